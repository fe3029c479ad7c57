"""Two namespaces side by side, over places that are made up."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import polars as pl

from optionstream.streams.verify.against import Comparison, compare_places
from optionstream.streams.verify.places import Place, Row
from optionstream.streams.verify.report import DIFFERENT, MISSING, SURPLUS
from optionstream.streams.verify.ticks.stored import STORED_COLUMNS

Values = list[tuple[str, Row]]
BAR = {"open": 1.0, "close": 2.0, "volume": None}


def place(namespace: str, values: Values) -> Place:
    def rows() -> Iterator[tuple[str, Row]]:
        return iter(values)

    return Place(namespace, "kafka analytics.ohlc", rows)


def ticks(namespace: str, *rows: tuple[Any, ...]) -> Place:
    frame = pl.DataFrame(list(rows), schema=STORED_COLUMNS, orient="row")
    return Place(namespace, "mongo underlying_ticks", None, lambda: frame)


def tick(at: int, price: float = 1.0, offset: int = 0) -> tuple[Any, ...]:
    return (0, offset, 0, "NIFTY", at, 7, price, None, None)


def compared(mine: Values, others: Values) -> Comparison:
    return compare_places([place("a", mine)], [place("b", others)], lambda name: None)


def test_the_same_in_any_order_and_as_often_as_may_be_is_no_difference() -> None:
    found = compared([("1", BAR), ("2", BAR), ("1", BAR)], [("2", dict(BAR)), ("1", BAR)])
    assert found.ok
    assert found.compared == {"kafka analytics.ohlc": 2}
    assert found.to_dict()["against"] == "b"


def test_what_differs_is_told_by_field_from_both_sides() -> None:
    found = compared([("1", BAR), ("3", BAR)], [("1", BAR | {"close": 3.0}), ("2", BAR)])
    assert not found.ok
    told = {(one.kind, one.id): (one.expected, one.actual) for one in found.differences}
    assert told == {
        (DIFFERENT, "1"): ({"close": 3.0}, {"close": 2.0}),
        (MISSING, "2"): (None, None),
        (SURPLUS, "3"): (None, None),
    }
    assert found.difference_totals == {
        f"kafka analytics.ohlc: {kind}": 1 for kind in (DIFFERENT, MISSING, SURPLUS)
    }


def test_several_values_under_one_id_are_compared_together() -> None:
    two = [("1", BAR), ("1", BAR | {"close": 3.0})]
    assert compared(two, list(reversed(two))).ok
    assert not compared(two, two[:1]).ok


def test_a_null_is_not_a_zero_and_a_missing_field_is_no_null() -> None:
    assert not compared([("1", {"volume": None})], [("1", {"volume": 0})]).ok
    found = compared([("1", {"volume": None})], [("1", {})])
    assert found.differences[0].expected == {"volume": "absent"}


def test_all_differences_are_counted_and_the_first_shown() -> None:
    found = compared([], [(f"{at:03}", BAR) for at in range(50)])
    assert found.difference_totals == {f"kafka analytics.ohlc: {MISSING}": 50}
    assert [one.id for one in found.differences] == [f"{at:03}" for at in range(20)]


def test_ticks_are_compared_by_how_often_each_is_there_wherever_it_lies() -> None:
    def both(mine: Place, others: Place) -> Comparison:
        return compare_places([mine], [others], lambda name: None)

    same = both(ticks("a", tick(1), tick(2)), ticks("b", tick(2, offset=9), tick(1, offset=8)))
    assert same.ok
    assert same.compared == {"mongo underlying_ticks": 2}
    twice = both(ticks("a", tick(1), tick(1, offset=5)), ticks("b", tick(1), tick(3)))
    assert twice.difference_totals == {
        f"mongo underlying_ticks: {SURPLUS}": 1,
        f"mongo underlying_ticks: {MISSING}": 1,
    }
    told = {(one.kind, one.expected["count"], one.actual["count"]) for one in twice.differences}
    assert told == {
        (SURPLUS, 1, 2), (MISSING, 1, 0),
    }  # fmt: skip
