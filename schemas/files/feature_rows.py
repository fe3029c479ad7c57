"""Rows of the feature data set: their columns, their order, and the paths of their files. Pure.

A row is one bar of one product, with the chain figures of the nearest and the next expiry as of
the bar's end. Figures are those of ``schemas.figures``. docs/features.md has the rule,
docs/adr/0016 its reasons.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final, Literal, NamedTuple, get_args

from optionstream.schemas.derived import INTERVAL_MS
from optionstream.schemas.figures import FIGURES, LEVELS, RATIOS, TOTALS

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
"""Reasons for which the figures of a chain are null as a whole."""

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
    """A column of the files. ``null`` says when it has no value; empty if it always has one."""

    name: str
    kind: Kind
    unit: str
    meaning: str
    null: str = ""


_MS = "UTC epoch ms"
_BAR_COLUMNS: Final = (
    Column("product", "string", "", "Exchange's symbol"),
    Column("interval", "string", "", "Length of the bar: 1m, 3m, 5m, 15m, 30m, 60m"),
    Column("start", "int", _MS, "Start of the bar, inclusive"),
    Column("end", "int", _MS, "End of the bar, exclusive; the row's time T"),
    Column("session", "string", "", "Trading session of the bar"),
    Column("revision", "int", "", "1 for the first row of the bar, one more with each later one"),
    Column("bar_revision", "int", "", "Revision of the bar: more than 1 after late ticks"),
    Column("known_at", "int", _MS, "Receipt time by which all of the row was known"),
    Column("open", "float", "rupees", "First price"),
    Column("high", "float", "rupees", "Highest price"),
    Column("low", "float", "rupees", "Lowest price"),
    Column("close", "float", "rupees", "Last price"),
    Column(
        "volume", "int", "as the source counts", "Traded within the bar", "volume_reason says why"
    ),
    Column("volume_reason", "string", "", "Why volume is null", "volume is there"),
    Column("ticks", "int", "", "Ticks in the bar, or candles if it was made of those"),
)

_WHOLE = "{rank}_reason is set"
_EITHER = "{rank}_reason or {rank}_null_reasons says why"
_UNKNOWN = "the source has none; {rank}_reason is set"
_NONE = "no strike has any; {rank}_reason is set"
_AS_EXPIRY = "as {rank}_expiry"


def _figure_column(name: str) -> Column:
    """Return the column of a figure, with type, unit and meaning from the table of figures."""
    row = FIGURES[name]
    types = row.annotation, *get_args(row.annotation)
    kind: Kind = "float" if float in types else "int" if int in types else "string"
    meaning = row.meaning.replace("`", "")
    return Column(
        name, kind, row.unit.replace("`", ""), meaning, _EITHER if row.reasons else _WHOLE
    )


_BY_FORWARD: Final = ("forward", "years", "atm_strike", "atm_iv", "iv_mode", "straddle")
_COUNTS: Final = ("gex_total", "legs_with_iv", "missing_legs", "completeness")
_CHAIN_COLUMNS: Final = (
    Column(
        "expiry", "string", "", "Expiry, ISO date", "{rank}_reason is no_chain_yet or chains_gone"
    ),
    Column("snapshot_id", "string", "", "Snapshot used", _AS_EXPIRY),
    Column("ts_event", "int", _MS, "Exchange time of the snapshot, not after end", _AS_EXPIRY),
    Column("ts_recv", "int", _MS, "Receipt time of the snapshot", _AS_EXPIRY),
    Column("age_ms", "int", "ms", "end − ts_event", _AS_EXPIRY),
    Column("reason", "string", "", "Why the columns below are null", "they are there"),
    Column("null_reasons", "string", "", "figure:reason of null ones, by comma", _WHOLE),
    Column("flags", "string", "", "Quality flags of the snapshot, by comma", _WHOLE),
    Column("source", "string", "", "Feed of the snapshot", _WHOLE),
    _figure_column("oi_unit"),
    _figure_column("lot_size"),
    _figure_column("underlying_price")._replace(null=_UNKNOWN),
    *(_figure_column(name) for name in _BY_FORWARD),
    *(_figure_column(row.name) for row in RATIOS if row.name != "near_strikes"),
    *(_figure_column(row.name) for row in TOTALS),
    _figure_column(LEVELS[0].name),
    Column("resistance", "float", "rupees", "Strike of most call open interest", _NONE),
    Column("support", "float", "rupees", "Strike of most put open interest", _NONE),
    *(_figure_column(name) for name in _COUNTS),
)


def _ranked(rank: str, column: Column) -> Column:
    return column._replace(name=f"{rank}_{column.name}", null=column.null.format(rank=rank))


COLUMNS: Final = (*_BAR_COLUMNS, *(_ranked(rank, one) for rank in RANKS for one in _CHAIN_COLUMNS))
"""Every column, in the order of the files."""
BAR_NAMES: Final = tuple(one.name for one in _BAR_COLUMNS)
CHAIN_NAMES: Final = tuple(one.name for one in _CHAIN_COLUMNS)
"""Columns of one expiry, without its rank."""
_AT_REASON: Final = CHAIN_NAMES.index("reason")
FIGURE_NAMES: Final = CHAIN_NAMES[_AT_REASON + 1 :]
"""Columns that are null when the chain is: the ones after ``reason``."""

BarKey = tuple[str, str, int]


def bar_key(row: Row) -> BarKey:
    """Return the bar of a row: product, interval, start."""
    return row["product"], row["interval"], row["start"]


def file_order(row: Row) -> tuple[Any, ...]:
    """Return a sort key: product, length of the interval, start, revision."""
    return row["product"], INTERVAL_MS[row["interval"]], row["start"], row["revision"]


def version_of(row: Row) -> Version:
    """Return the version of a row: rows of one bar with more information have greater ones.

    A later revision of the bar is greater, then a nearer expiry, then a later snapshot of the same
    expiry. None of them is ever lost again, so versions only rise.
    """
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
    """Return the last revision of each bar, in the order of the files."""
    chosen: dict[BarKey, Row] = {}
    for row in rows:
        other = chosen.get(bar_key(row))
        if other is None or row["revision"] > other["revision"]:
            chosen[bar_key(row)] = row
    return sorted(chosen.values(), key=file_order)


def file_path(day: str, product: str) -> str:
    """Return the path of a product's IST date within the folder of the namespace."""
    return f"{_DATE_PREFIX}{day}/{product}{SUFFIX}"


def date_of_folder(name: str) -> str | None:
    """Return the date in a folder's name; None for any other folder."""
    found = _FOLDER.match(name)
    return found[1] if found else None
