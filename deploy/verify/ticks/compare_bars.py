"""Bars recomputed against bars told: in Kafka, MongoDB and Redis."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl

from optionstream.deploy.verify.differences import DIFFERENT, MISSING, SURPLUS, Differences
from optionstream.deploy.verify.stores import BROKEN, bar_id, bar_row
from optionstream.deploy.verify.ticks.expected_bars import NewestBar
from optionstream.deploy.verify.ticks.window_book import BAR_COLUMNS
from optionstream.schemas.derived import PARTIAL
from optionstream.schemas.topics import OHLC

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
