"""Candles as CSV with a header: open, high, low, close, perhaps a volume. Pure.

The start of a candle is one column (``date``, ``time``, ``datetime``, ``timestamp``; see
``instants.instant_ms``) or two, ``date`` and ``time``, in Indian time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from optionstream.producers.feeds.files.csv_table import (
    first_of,
    header_names,
    instant_reader,
    parse_number,
    parse_whole,
    read_table,
)
from optionstream.producers.feeds.ticks.candle_rows import CandleRow
from optionstream.producers.feeds.times import at_least_one
from optionstream.schemas.errors import InputError
from optionstream.schemas.times import ist_date

_PRICES: Final = ("open", "high", "low", "close")
_STARTS: Final = ("datetime", "timestamp", "date", "time")
_LABELS: Final = ("instrument", "symbol", "ticker")
_NOT_CANDLES: Final = frozenset(("ltp", "last_price", "strike", "strike_price", "expiry"))
"""A row that has one of these is a quote with the prices of its day, not a candle."""


@dataclass(frozen=True, slots=True)
class CandleTable:
    """``labels`` are the instruments that the rows name, none where there is no such column."""

    rows: list[CandleRow]
    labels: frozenset[str]


def looks_like_candles(head: bytes) -> bool:
    """Whether the header has the four prices, a start, and nothing of a quote."""
    names = header_names(head)
    return (
        names.issuperset(_PRICES)
        and not names.isdisjoint(_STARTS)
        and names.isdisjoint(_NOT_CANDLES)
    )


def read_candles(body: bytes, name: str, problems: list[str]) -> CandleTable:
    """Every readable row in file order; the others are told in ``problems``. Raises InputError
    naming ``name``: no CSV, a column missing, no row left."""
    table = read_table(body, name, problems)
    if missing := [price for price in _PRICES if price not in table.columns]:
        raise InputError(name, f"a candle CSV without the column {missing[0]}")
    start = instant_reader(table.columns, _STARTS)
    if start is None:
        raise InputError(name, "a candle CSV without a column that says when a candle starts")
    prices = [table.columns[price] for price in _PRICES]
    volume_at = table.columns.get("volume")
    label_at = first_of(table.columns, _LABELS)
    rows: list[CandleRow] = []
    labels: set[str] = set()
    for number, cells in table.rows:
        try:
            start_ms = start(cells)
            open_, high, low, close = (parse_number(cells[at]) for at in prices)
            volume = None if volume_at is None else parse_whole(cells[volume_at])
        except ValueError as error:
            problems.append(f"row {number}: {error}")
            continue
        rows.append(CandleRow(ist_date(start_ms), start_ms, open_, high, low, close, volume))
        if label_at is not None:
            labels.add(cells[label_at].strip())
    return CandleTable(at_least_one(rows, name, problems), frozenset(labels - {""}))
