"""Raw ticks and rejects against what the history and the latest view hold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl

from optionstream.schemas import redis_keys
from optionstream.schemas.derived import PARTIAL
from optionstream.schemas.documents import TICKS
from optionstream.schemas.topics import OHLC
from optionstream.streams.verify.chains.facts import instant
from optionstream.streams.verify.ledger import RejectKey
from optionstream.streams.verify.report import DIFFERENT, MISSING, MOST_LISTED, SURPLUS, Differences
from optionstream.streams.verify.stores import BROKEN, bar_id, bar_row
from optionstream.streams.verify.ticks.expected_bars import NewestBar
from optionstream.streams.verify.ticks.journal import in_64_bits
from optionstream.streams.verify.ticks.stored import STORED_COLUMNS, LatestTick
from optionstream.streams.verify.ticks.window_book import BAR_COLUMNS

_KEY = ["product", "interval", "start", "revision"]
_TOPIC = f"kafka {OHLC}"


def compare_bars(
    expected: pl.DataFrame, told: pl.DataFrame, where: str, differences: Differences
) -> None:
    """Both in BAR_COLUMNS, final revisions only; ``told`` may repeat what is identical."""
    told = told.unique()
    wrong = told.join(expected, on=list(BAR_COLUMNS), how="anti", nulls_equal=True)
    known = wrong.join(expected, on=_KEY, suffix=" expected")
    for row in known.iter_rows(named=True):
        _report_different(row, where, differences)
    for row in wrong.join(expected, on=_KEY, how="anti").iter_rows(named=True):
        differences.add(SURPLUS, where, bar_id(row), None, row)
    for row in expected.join(told, on=_KEY, how="anti").sort(_KEY).iter_rows(named=True):
        differences.add(MISSING, where, bar_id(row), row, None)


def finals_told(told: pl.DataFrame) -> pl.DataFrame:
    """The bars that are not partial."""
    return told.filter(pl.col("revision") > PARTIAL)


def compare_newest_bars(
    newest: Mapping[str, NewestBar],
    values: Mapping[str, dict[str, Any] | None],
    *,
    may_expire: bool,
    every_partial: bool,
    differences: Differences,
) -> None:
    """The values under the ``ohlc`` keys. ``every_partial``: no tick may be lacking in one."""
    found = {key: value for key, value in values.items() if key.startswith("ohlc:")}
    for key in found.keys() - newest.keys():
        differences.add(SURPLUS, "redis", key, None, found[key])
    for key, expected in newest.items():
        if key not in found:
            if expected.row is not None and not may_expire:
                differences.add(MISSING, "redis", key, expected.row, None)
        elif not _is_newest(expected, found[key], every_partial=every_partial):
            differences.add(DIFFERENT, "redis", key, expected.row, found[key])


def _is_newest(expected: NewestBar, value: Any, *, every_partial: bool) -> bool:
    try:
        row = bar_row(value)
    except BROKEN:
        return False
    return expected.agrees(row, every_partial=every_partial)


def report_partials(wrong: pl.DataFrame, differences: Differences) -> None:
    """``wrong``: partial bars told (BAR_COLUMNS) that were true at no moment."""
    for row in wrong.sort(_KEY).iter_rows(named=True):
        wanted = "a partial bar that was true once"
        differences.add(DIFFERENT, _TOPIC, f"{bar_id(row)}|{row['ticks']}", wanted, row)


def _report_different(row: dict[str, Any], where: str, differences: Differences) -> None:
    names = [name for name in BAR_COLUMNS if name not in _KEY]
    wrong = [name for name in names if row[name] != row[f"{name} expected"]]
    wanted = {name: row[f"{name} expected"] for name in wrong}
    differences.add(DIFFERENT, where, bar_id(row), wanted, {name: row[name] for name in wrong})


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
