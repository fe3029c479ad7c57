"""Bars recomputed against bars told: in Kafka, MongoDB and Redis."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from optionstream.deploy.verify.differences import DIFFERENT, MISSING, SURPLUS, Differences
from optionstream.deploy.verify.stores import BROKEN, bar_id, bar_row
from optionstream.deploy.verify.timeline import Timeline
from optionstream.deploy.verify.window_book import BAR_COLUMNS, WindowBook
from optionstream.schemas import redis_keys
from optionstream.schemas.derived import INTERVAL_MS, PARTIAL
from optionstream.schemas.topics import OHLC

_KEY = ["product", "interval", "start", "revision"]
_TOPIC = f"kafka {OHLC}"


@dataclass
class BarExpectation:
    """All final revisions (``finals``, in BAR_COLUMNS) and the newest window of each series."""

    finals: pl.DataFrame
    newest: dict[str, NewestBar] = field(default_factory=dict)
    """By Redis key."""


@dataclass(frozen=True)
class NewestBar:
    """The newest started window of a product and interval; ``book`` judges it while it is open."""

    row: dict[str, Any]
    book: WindowBook | None


def expect_bars(
    timelines: Iterable[Timeline], told: pl.DataFrame, differences: Differences
) -> BarExpectation:
    """Recompute every bar; on the way judge the partial bars among ``told`` (Kafka's)."""
    partials = told.filter(pl.col("revision") <= PARTIAL)
    frames = [pl.DataFrame(schema=BAR_COLUMNS)]
    newest = {}
    for timeline in timelines:
        for interval, length_ms in INTERVAL_MS.items():
            book = WindowBook(timeline, interval, length_ms)
            mine = (pl.col("product") == book.product) & (pl.col("interval") == interval)
            _report_partials(book.wrong_partials(partials.filter(mine)), differences)
            partials = partials.filter(~mine)
            finals = book.finals()
            frames.append(finals)
            newest[redis_keys.ohlc(book.product, interval)] = _newest(book, finals)
    _report_partials(partials, differences)
    return BarExpectation(pl.concat(frames), newest)


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
            if not may_expire:
                differences.add(MISSING, "redis", key, expected.row, None)
        elif not _is_newest(expected, found[key], every_partial=every_partial):
            differences.add(DIFFERENT, "redis", key, expected.row, found[key])


def _newest(book: WindowBook, finals: pl.DataFrame) -> NewestBar:
    still_open = book.newest_open()
    if not still_open.is_empty():
        return NewestBar(still_open.row(0, named=True), book)
    return NewestBar(finals.sort("start", "revision").row(-1, named=True), None)


def _is_newest(expected: NewestBar, value: Any, *, every_partial: bool) -> bool:
    try:
        row = bar_row(value)
    except BROKEN:
        return False
    if expected.book is None:
        return row == expected.row
    if row["start"] != expected.row["start"] or row["revision"] != PARTIAL:
        return False
    if every_partial and row["ticks"] != expected.row["ticks"]:
        return False
    frame = pl.DataFrame([row], schema=BAR_COLUMNS, orient="row", strict=False)
    return expected.book.wrong_partials(frame).is_empty()


def _report_partials(wrong: pl.DataFrame, differences: Differences) -> None:
    for row in wrong.sort(_KEY).iter_rows(named=True):
        wanted = "a partial bar that was true once"
        differences.add(DIFFERENT, _TOPIC, f"{bar_id(row)}|{row['ticks']}", wanted, row)


def _report_different(row: dict[str, Any], where: str, differences: Differences) -> None:
    names = [name for name in BAR_COLUMNS if name not in _KEY]
    wrong = [name for name in names if row[name] != row[f"{name} expected"]]
    wanted = {name: row[f"{name} expected"] for name in wrong}
    differences.add(DIFFERENT, where, bar_id(row), wanted, {name: row[name] for name in wrong})
