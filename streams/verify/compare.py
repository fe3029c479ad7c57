"""The one comparison: expected results and those found in a place, by id, field by field.

Each expected id must be found, and each id found be expected. Several expected facts of one id are
variants, any of which is right. How close numbers must be is said by whoever calls.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import chain, islice
from typing import Any, Final, Generic, NamedTuple, TypeVar

import polars as pl

from optionstream.schemas.times import to_ms
from optionstream.streams.verify.report import DIFFERENT, MISSING, MOST_LISTED, SURPLUS, Differences

E = TypeVar("E")
"""Expected facts."""
F = TypeVar("F")
"""Facts found."""

Facts = dict[str, Any]
"""A result by field: all that is compared of it."""
Wrong = dict[str, tuple[Any, Any]]
"""By field, what was expected and what was found."""

BROKEN: Final = (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError)
"""What reading a document raises that has not the expected shape."""
ABSENT: Final = "absent"
"""Stands for a field that one side lacks."""
_EXPECTED: Final = " expected"


def whole(facts: Any) -> Any:
    """Return the facts as they are, to be shown in a report."""
    return facts


class Judge(NamedTuple, Generic[E, F]):
    """How facts of one kind are compared.

    ``apart`` returns the fields in which found facts are wrong, ``shown`` and ``shown_found`` what
    a report says of expected and of found facts.
    """

    apart: Callable[[E, F], Wrong]
    shown: Callable[[E], Any] = whole
    shown_found: Callable[[F], Any] = whole


def compare(
    expected: Mapping[str, Sequence[E]],
    found: Mapping[str, Sequence[F]],
    judge: Judge[E, F],
    where: str,
    differences: Differences,
    *,
    every: bool = False,
) -> None:
    """Report what is missing, surplus or different among the facts ``found``, by id.

    With ``every``, each variant of an id must be found, else (a store with one place for an id) any
    one of them.
    """
    for id_ in sorted(found.keys() - expected.keys()):
        differences.add(SURPLUS, where, id_, None, judge.shown_found(found[id_][0]))
    for id_, variants in expected.items():
        if id_ not in found:
            differences.add(MISSING, where, id_, judge.shown(variants[0]), None)
            continue
        wrong = [[judge.apart(one, actual) for one in variants] for actual in found[id_]]
        for of_variants in wrong:
            differences.add_wrong(where, id_, min(of_variants, key=len))
        if every and len(variants) > 1:
            unmet = (one for one, *each in zip(variants, *wrong, strict=True) if all(each))
            for variant in islice(unmet, 1):
                differences.add(MISSING, where, id_, judge.shown(variant), None)


def compare_frames(
    expected: pl.DataFrame,
    found: pl.DataFrame,
    key: Sequence[str],
    where: str,
    differences: Differences,
) -> None:
    """Report the same for rows of the same columns, of which ``key`` is the id.

    Only rows that differ leave the frames, and of those no more than are listed.
    """
    columns = expected.columns

    def listed(frame: pl.DataFrame, kind: str) -> Iterator[tuple[str, Facts]]:
        shown = frame.head(MOST_LISTED)
        differences.add_many(kind, where, frame.height - shown.height)
        for row in shown.iter_rows(named=True):
            yield "|".join(str(row[name]) for name in key), row

    wrong = found.join(expected, on=columns, how="anti", nulls_equal=True)
    for id_, row in listed(wrong.join(expected, on=key, suffix=_EXPECTED), DIFFERENT):
        wanted = {name: row[name + _EXPECTED] for name in columns if name not in key}
        differences.add_wrong(where, id_, fields_apart(wanted, {n: row[n] for n in wanted}))
    for id_, row in listed(wrong.join(expected, on=key, how="anti"), SURPLUS):
        differences.add(SURPLUS, where, id_, None, row)
    for id_, row in listed(expected.join(found, on=key, how="anti").sort(key), MISSING):
        differences.add(MISSING, where, id_, row, None)


def instant(value: Any) -> int:
    """Return the epoch milliseconds of a document's aware datetime or RFC 3339 text."""
    return to_ms(datetime.fromisoformat(value) if isinstance(value, str) else value)


def fields_apart(
    wanted: Mapping[str, Any],
    found: Mapping[str, Any],
    agrees: Callable[[str, Any, Any], bool] = lambda name, mine, theirs: bool(mine == theirs),
) -> Wrong:
    """Return the fields that do not agree; `ABSENT` stands for one that a side lacks."""
    pairs = (
        (name, wanted.get(name, ABSENT), found.get(name, ABSENT))
        for name in dict.fromkeys(chain(wanted, found))
    )
    return {name: (mine, theirs) for name, mine, theirs in pairs if not agrees(name, mine, theirs)}


def agree(mine: Any, theirs: Any, relative: float, absolute: float = 0.0) -> bool:
    """True if both are equal, floats but for a tolerance, at whatever depth of dicts and lists."""
    if isinstance(mine, dict) and isinstance(theirs, dict):
        return mine.keys() == theirs.keys() and all(
            agree(value, theirs[name], relative, absolute) for name, value in mine.items()
        )
    if isinstance(mine, list) and isinstance(theirs, list):
        return len(mine) == len(theirs) and all(
            agree(*pair, relative, absolute) for pair in zip(mine, theirs, strict=True)
        )
    if isinstance(mine, float):
        return type(theirs) in (int, float) and (
            abs(mine - theirs) <= relative * max(abs(mine), abs(theirs)) + absolute
        )
    return bool(mine == theirs)
