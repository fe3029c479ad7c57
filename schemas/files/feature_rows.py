"""The rows of the feature data set: their columns, their order, and where the files lie. Pure.

A row is one bar of one product, with what the option chains of the nearest and the next expiry
said as of the bar's end. docs/features.md has the rule; docs/adr/0016 its reasons.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final, Literal, NamedTuple

from optionstream.schemas.derived import INTERVAL_MS

RANKS: Final = ("near", "next")
"""The two expiries of a row, the nearest first."""

NO_CHAIN_YET: Final = "no_chain_yet"
CHAIN_SILENT: Final = "chain_silent"
CHAINS_GONE: Final = "chains_gone"
CHAIN_REASONS: Final = {
    NO_CHAIN_YET: "no snapshot of such an expiry, of the bar's date, was known by the bar's end",
    CHAIN_SILENT: "the newest one known by then is older than the setting allows",
    CHAINS_GONE: "the bar came when the chains of its date were no longer kept",
}
"""Why the figures of a chain are null as a whole."""

PARTIAL: Final = "partial"
LOCK: Final = "lock"
POSITIONS: Final = "positions.json"
SUFFIX: Final = ".parquet"
_DATE_PREFIX: Final = "date="
_FOLDER = re.compile(r"^date=(\d{4}-\d{2}-\d{2})$")

Row = dict[str, Any]
"""A row, by column."""
Version = tuple[Any, ...]
"""Orders the rows of one bar by what they were made from; equal versions have equal content."""
Kind = Literal["string", "int", "float"]


class Column(NamedTuple):
    """A column of the files. ``null``: when it has no value; empty for one that always has."""

    name: str
    kind: Kind
    unit: str
    meaning: str
    null: str = ""


_MS = "UTC epoch ms"
_BAR_COLUMNS: Final = (
    Column("product", "string", "", "the exchange's symbol"),
    Column("interval", "string", "", "length of the bar: 1m, 3m, 5m, 15m, 30m, 60m"),
    Column("start", "int", _MS, "start of the bar, inclusive"),
    Column("end", "int", _MS, "end of the bar, exclusive: the time T of the row"),
    Column("session", "string", "", "trading session of the bar"),
    Column("revision", "int", "", "1 for the first row of the bar, one more with each later one"),
    Column("bar_revision", "int", "", "revision of the bar: more than 1 after late ticks"),
    Column("known_at", "int", _MS, "receipt time by which all that the row tells was known"),
    Column("open", "float", "rupees", "first price"),
    Column("high", "float", "rupees", "highest price"),
    Column("low", "float", "rupees", "lowest price"),
    Column("close", "float", "rupees", "last price"),
    Column(
        "volume", "int", "as the source counts", "traded within the bar", "volume_reason says why"
    ),
    Column("volume_reason", "string", "", "why volume is null", "volume is there"),
    Column("ticks", "int", "", "ticks in the bar, or candles where these were rolled up"),
)

_WHOLE = "{rank}_reason is set"
_EITHER = "{rank}_reason is set, or {rank}_null_reasons names it"
_UNTOLD = "not told; {rank}_reason is set"
_NONE = "no strike has any; {rank}_reason is set"
_CHAIN_COLUMNS: Final = (
    Column(
        "expiry",
        "string",
        "",
        "the expiry, ISO date",
        "{rank}_reason is no_chain_yet or chains_gone",
    ),
    Column("snapshot_id", "string", "", "the snapshot that is told", "as {rank}_expiry"),
    Column("ts_event", "int", _MS, "its exchange time, not after end", "as {rank}_expiry"),
    Column("ts_recv", "int", _MS, "its receipt", "as {rank}_expiry"),
    Column("age_ms", "int", "ms", "end − ts_event", "as {rank}_expiry"),
    Column("reason", "string", "", "why the columns below are null", "they are there"),
    Column("null_reasons", "string", "", "figure:reason of null ones, by comma", _WHOLE),
    Column("flags", "string", "", "the chain's quality flags, by comma", _WHOLE),
    Column("source", "string", "", "the feed", _WHOLE),
    Column("oi_unit", "string", "", "unit of open interest: shares, or lots", _WHOLE),
    Column(
        "lot_size",
        "int",
        "shares",
        "shares a contract",
        "unknown for its date; {rank}_reason is set",
    ),
    Column("underlying_price", "float", "rupees", "spot as the chain had it", _UNTOLD),
    Column("forward", "float", "rupees", "by put-call parity", _EITHER),
    Column("years", "float", "years of 365 days", "time to expiry from ts_event", _EITHER),
    Column("atm_strike", "float", "rupees", "the strike nearest to the forward", _EITHER),
    Column("atm_iv", "float", "decimal", "implied volatility at that strike", _EITHER),
    Column("iv_mode", "string", "", "black76 or nse: how it was computed", _WHOLE),
    Column("straddle", "float", "rupees", "call plus put at that strike", _EITHER),
    Column("pcr_oi", "float", "ratio", "put over call open interest", _EITHER),
    Column("pcr_volume", "float", "ratio", "put over call volume", _EITHER),
    Column("pcr_oi_near", "float", "ratio", "pcr_oi near the money", _EITHER),
    Column("pcr_volume_near", "float", "ratio", "pcr_volume near the money", _EITHER),
    Column("call_oi", "float", "oi_unit", "open interest of all calls", _EITHER),
    Column("put_oi", "float", "oi_unit", "open interest of all puts", _EITHER),
    Column("call_oi_change", "float", "oi_unit", "of calls, against the day before", _EITHER),
    Column("put_oi_change", "float", "oi_unit", "of puts, against the day before", _EITHER),
    Column("call_oi_intraday", "float", "oi_unit", "of calls, since the day's first", _EITHER),
    Column("put_oi_intraday", "float", "oi_unit", "of puts, since the day's first", _EITHER),
    Column("call_volume", "float", "as the source counts", "calls, the day so far", _EITHER),
    Column("put_volume", "float", "as the source counts", "puts, the day so far", _EITHER),
    Column("max_pain", "float", "rupees", "the strike of least payout", _EITHER),
    Column("resistance", "float", "rupees", "the strike of most call open interest", _NONE),
    Column("support", "float", "rupees", "the strike of most put open interest", _NONE),
    Column("gex_total", "float", "rupees of delta for 1 %", "gamma exposure", _EITHER),
    Column("legs_with_iv", "int", "", "legs with an implied volatility", _WHOLE),
    Column("missing_legs", "int", "", "legs that the chain lacks", _WHOLE),
    Column("completeness", "float", "share", "legs that are there, 0 to 1", _WHOLE),
)


def _of(rank: str, column: Column) -> Column:
    return column._replace(name=f"{rank}_{column.name}", null=column.null.format(rank=rank))


COLUMNS: Final = (*_BAR_COLUMNS, *(_of(rank, one) for rank in RANKS for one in _CHAIN_COLUMNS))
"""Every column, in the order of the files."""
BAR_NAMES: Final = tuple(one.name for one in _BAR_COLUMNS)
CHAIN_NAMES: Final = tuple(one.name for one in _CHAIN_COLUMNS)
"""Columns of one expiry, without its rank."""
_AT_REASON: Final = CHAIN_NAMES.index("reason")
FIGURE_NAMES: Final = CHAIN_NAMES[_AT_REASON + 1 :]
"""Those that are null when the chain is: the ones after ``reason``."""

BarKey = tuple[str, str, int]


def bar_key(row: Row) -> BarKey:
    """The bar that a row is about."""
    return row["product"], row["interval"], row["start"]


def file_order(row: Row) -> tuple[Any, ...]:
    """By interval, then start, then revision."""
    return row["product"], INTERVAL_MS[row["interval"]], row["start"], row["revision"]


def version_of(row: Row) -> Version:
    """More information is a greater version: a later revision of the bar; a nearer expiry; of the
    same expiry a later snapshot. None of them is ever lost again, so versions only rise."""
    version: list[Any] = [row["bar_revision"]]
    for rank in RANKS:
        version += _chain_version(*(row[f"{rank}_{name}"] for name in CHAIN_NAMES[:4]))
    return tuple(version)


def _chain_version(
    expiry: str | None, snapshot_id: str | None, ts_event: int | None, ts_recv: int | None
) -> tuple[int, int, int, str]:
    if expiry is None or snapshot_id is None or ts_event is None or ts_recv is None:
        return -99_999_999, -1, -1, ""
    return -int(expiry.replace("-", "")), ts_event, ts_recv, snapshot_id


def newest(rows: Iterable[Row]) -> list[Row]:
    """The last revision of each bar, in the order of the files."""
    chosen: dict[BarKey, Row] = {}
    for row in rows:
        held = chosen.get(bar_key(row))
        if held is None or row["revision"] > held["revision"]:
            chosen[bar_key(row)] = row
    return sorted(chosen.values(), key=file_order)


def file_path(day: str, product: str) -> str:
    """Where the rows of a product's IST date lie within the folder of the namespace."""
    return f"{_DATE_PREFIX}{day}/{product}{SUFFIX}"


def date_of_folder(name: str) -> str | None:
    """The date that a folder is of; None for any other folder."""
    found = _FOLDER.match(name)
    return found[1] if found else None
