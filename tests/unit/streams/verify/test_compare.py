"""The one comparison: nothing missing, surplus or different goes unseen, and no more is listed."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest

from optionstream.streams.verify.compare import (
    ABSENT,
    Facts,
    Judge,
    agree,
    compare,
    compare_frames,
    fields_apart,
)
from optionstream.streams.verify.report import (
    DIFFERENT,
    MISSING,
    MOST_LISTED,
    SURPLUS,
    Differences,
)

ALL = Judge[Facts, Facts](fields_apart)
Told = list[tuple[str, str, Any, Any]]


def compared(expected: Any, found: Any, *, every: bool = False) -> Told:
    differences = Differences()
    compare(expected, found, ALL, "here", differences, every=every)
    return shown(differences)


def shown(differences: Differences) -> Told:
    assert all(one.where == "here" for one in differences.listed)
    return [(one.kind, one.id, one.expected, one.actual) for one in differences.listed]


def test_what_is_as_expected_is_no_difference() -> None:
    assert compared({"a": [{"x": 1, "y": None}]}, {"a": [{"y": None, "x": 1.0}]}) == []
    assert compared({}, {}) == []


def test_each_side_must_have_what_the_other_has() -> None:
    assert compared({"a": [{"x": 1}]}, {"b": [{"x": 1}]}) == [
        (SURPLUS, "b", None, {"x": 1}),
        (MISSING, "a", {"x": 1}, None),
    ]


def test_only_the_fields_that_differ_are_reported() -> None:
    expected, found = {"x": 1, "y": 2, "z": None}, {"x": 1, "y": 3, "w": None}
    wanted = {"y": 2, "z": None, "w": ABSENT}
    assert compared({"a": [expected]}, {"a": [found]}) == [
        (DIFFERENT, "a", wanted, {"y": 3, "z": ABSENT, "w": None})
    ]


def test_any_variant_is_right_and_the_nearest_is_shown() -> None:
    variants = {"a": [{"x": 1, "y": 1}, {"x": 2, "y": 2}]}
    assert compared(variants, {"a": [{"x": 2, "y": 2}]}) == []
    assert compared(variants, {"a": [{"x": 1, "y": 2}, {"x": 2, "y": 3}]}) == [
        (DIFFERENT, "a", {"y": 1}, {"y": 2}),
        (DIFFERENT, "a", {"y": 2}, {"y": 3}),
    ]


def test_every_variant_must_be_there_where_each_has_a_place() -> None:
    variants = {"a": [{"x": 1}, {"x": 2}]}
    assert compared(variants, {"a": [{"x": 2}, {"x": 1}]}, every=True) == []
    assert compared(variants, {"a": [{"x": 1}]}, every=True) == [(MISSING, "a", {"x": 2}, None)]
    assert compared({"a": [{"x": 1}]}, {"a": [{"x": 2}]}, every=True) == [
        (DIFFERENT, "a", {"x": 1}, {"x": 2})
    ]


def frame(*rows: tuple[str, int, float | None]) -> pl.DataFrame:
    schema = {"product": pl.String, "at": pl.Int64, "price": pl.Float64}
    return pl.DataFrame(rows, schema=schema, orient="row")


def test_rows_are_compared_by_their_key() -> None:
    differences = Differences()
    expected = frame(("A", 1, 1.0), ("A", 2, None), ("B", 1, 3.0), ("B", 2, 4.0))
    found = frame(("B", 2, 4.0), ("A", 2, None), ("A", 1, None), ("C", 1, 1.0), ("A", 1, 1.0))
    compare_frames(expected, found, ("product", "at"), "here", differences)
    assert shown(differences) == [
        (DIFFERENT, "A|1", {"price": 1.0}, {"price": None}),
        (SURPLUS, "C|1", None, {"product": "C", "at": 1, "price": 1.0}),
        (MISSING, "B|1", {"product": "B", "at": 1, "price": 3.0}, None),
    ]


@pytest.mark.parametrize("kind", [MISSING, SURPLUS, DIFFERENT])
def test_all_rows_are_counted_and_the_first_listed(kind: str) -> None:
    rows = frame(*(("A", at, 1.0) for at in range(MOST_LISTED + 5)))
    other = {MISSING: rows.clear(), SURPLUS: rows, DIFFERENT: rows.with_columns(price=2.0)}[kind]
    expected = rows.clear() if kind == SURPLUS else rows
    differences = Differences()
    compare_frames(expected, other, ("product", "at"), "here", differences)
    assert differences.totals == {("here", kind): MOST_LISTED + 5}
    assert len(differences.listed) == MOST_LISTED


@pytest.mark.parametrize(
    ("mine", "theirs", "right"),
    [
        (1.0, 1.0 + 5e-10, True),
        (1.0, 1.0 + 5e-9, False),
        (1e6, 1e6 + 5e-4, True),
        (0.0, 5e-12, True),
        (0.0, 5e-10, False),
        (1.0, None, False),
        (None, 0.0, False),
        (0.0, False, False),
        (1, 1 + 1e-12, False),
        ("1", 1, False),
        ([1.0, {"a": 2.0}], [1.0, {"a": 2.0 + 1e-9}], True),
        ([1.0, {"a": 2.0}], [1.0, {"a": 2.1}], False),
        ([1.0], [1.0, 1.0], False),
        ({"a": 1.0}, {"b": 1.0}, False),
        ({"a": 1.0}, [1.0], False),
    ],
)
def test_floats_agree_within_the_tolerance(mine: Any, theirs: Any, *, right: bool) -> None:
    assert agree(mine, theirs, 1e-9, 1e-11) is right
