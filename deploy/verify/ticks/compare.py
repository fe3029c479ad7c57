"""Raw ticks and rejects against what the history and the latest view hold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl

from optionstream.deploy.verify.chains.facts import instant
from optionstream.deploy.verify.differences import (
    DIFFERENT,
    MISSING,
    MOST_LISTED,
    SURPLUS,
    Differences,
)
from optionstream.deploy.verify.ledger import RejectKey
from optionstream.deploy.verify.stores import BROKEN
from optionstream.deploy.verify.ticks.journal import in_64_bits
from optionstream.deploy.verify.ticks.stored import STORED_COLUMNS, LatestTick
from optionstream.schemas import redis_keys
from optionstream.schemas.documents import TICKS

_PLACE = ["partition", "offset", "index"]
_WHERE = f"mongo {TICKS}"

RejectFacts = Mapping[RejectKey, dict[str, Any]]


def compare_stored_ticks(
    expected: pl.DataFrame, told: pl.DataFrame, differences: Differences
) -> None:
    """Both in STORED_COLUMNS; each tick must be there exactly once."""
    _report_repeats(told, differences)
    wrong = told.join(expected, on=list(STORED_COLUMNS), how="anti", nulls_equal=True)
    known = wrong.join(expected, on=_PLACE, suffix=" expected")
    for row in _first(known, DIFFERENT, differences):
        wanted = {name: row[f"{name} expected"] for name in STORED_COLUMNS if name not in _PLACE}
        got = {name: row[name] for name in wanted}
        differences.add(DIFFERENT, _WHERE, _place(row), wanted, got)
    for row in _first(wrong.join(expected, on=_PLACE, how="anti"), SURPLUS, differences):
        differences.add(SURPLUS, _WHERE, _place(row), None, row)
    missing = expected.join(told, on=_PLACE, how="anti").sort(_PLACE)
    for row in _first(missing, MISSING, differences):
        differences.add(MISSING, _WHERE, _place(row), row, None)


def compare_rejects(
    expected: RejectFacts, told: RejectFacts, where: str, differences: Differences
) -> None:
    """By record and reason: events, indices, time and bytes of what was refused, as far as
    ``expected`` names them."""
    for key in told.keys() - expected.keys():
        differences.add(SURPLUS, where, _reject_id(key), None, told[key])
    for key, facts in expected.items():
        actual = told.get(key)
        if actual is None:
            differences.add(MISSING, where, _reject_id(key), facts, None)
        elif names := [name for name in facts if facts[name] != actual[name]]:
            wanted = {name: facts[name] for name in names}
            got = {name: actual[name] for name in names}
            differences.add(DIFFERENT, where, _reject_id(key), wanted, got)


def compare_latest_ticks(
    newest: Mapping[str, set[LatestTick]],
    values: Mapping[str, dict[str, Any] | None],
    differences: Differences,
) -> None:
    """The values under ``latest:underlying``."""
    expected = {redis_keys.underlying(product): ticks for product, ticks in newest.items()}
    prefix = redis_keys.underlying("")
    found = {key: value for key, value in values.items() if key.startswith(prefix)}
    for key in found.keys() - expected.keys():
        differences.add(SURPLUS, "redis", key, None, found[key])
    for key, ticks in expected.items():
        shown = next(iter(ticks))._asdict()
        if key not in found:
            differences.add(MISSING, "redis", key, shown, None)
        elif _tick_of(found[key]) not in ticks:
            differences.add(DIFFERENT, "redis", key, shown, found[key])


def _tick_of(document: Any) -> LatestTick | None:
    try:
        order = in_64_bits(document["seq"])
        stamp = instant(document["timestamp"])
        return LatestTick(stamp, order, document["price"], document["volume"])
    except BROKEN:
        return None


def _report_repeats(told: pl.DataFrame, differences: Differences) -> None:
    repeats = told.group_by(_PLACE).len().filter(pl.col("len") > 1)
    for row in _first(repeats, SURPLUS, differences):
        differences.add(SURPLUS, _WHERE, _place(row), "once", f"{row['len']} times as read")


def _first(frame: pl.DataFrame, kind: str, differences: Differences) -> list[dict[str, Any]]:
    """As many rows as are listed; the rest is only counted."""
    shown = frame.head(MOST_LISTED)
    differences.add_many(kind, _WHERE, frame.height - shown.height)
    return shown.to_dicts()


def _place(row: Mapping[str, Any]) -> str:
    return "|".join(str(row[name]) for name in _PLACE)


def _reject_id(key: RejectKey) -> str:
    return "|".join(str(part) for part in key)
