"""Ticks as CSV with a header, as programs write down what a broker sends. Pure.

A time, a last price, perhaps a symbol and a volume: the day's so far, or what came since the row
before (``volume_delta``). The sum of the deltas is the day's volume, for the first one after
subscribing is all that was traded before. Prices are rounded to the paisa: brokers send 32-bit
floats (25974.900390625).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Final

from optionstream.producers.feeds.files.csv_table import (
    EMPTY,
    first_of,
    header_names,
    instant_reader,
    parse_number,
    parse_whole,
    read_table,
)
from optionstream.producers.feeds.ticks.tick_rows import TickRow, Unnumbered, tick_frame
from optionstream.producers.feeds.times import at_least_one, closed_frames
from optionstream.schemas.errors import InputError
from optionstream.schemas.events import Heartbeat, TickFrame
from optionstream.schemas.times import ist_date

SOURCE: Final = "ticks-csv"

_TIMES: Final = (
    "exchange_timestamp",
    "timestamp",
    "datetime",
    "time",
    "date",
    "ltt",
    "last_trade_time",
)
_PRICES: Final = ("last_price", "ltp", "last_traded_price")
_VOLUMES: Final = ("volume", "volume_traded", "day_volume", "total_volume", "cumulative_volume")
_DELTA: Final = "volume_delta"
_SYMBOLS: Final = ("trading_symbol", "tradingsymbol", "symbol", "instrument")
_IDS: Final = ("security_id", "instrument_token")
_PAISA_DECIMALS: Final = 2
_NOT_TICKS: Final = frozenset(("strike", "strike_price", "option_type"))
_SIDES: Final = ("bid", "ask")


@dataclass(frozen=True, slots=True)
class TickTable:
    """``symbols`` are the instruments that the rows name; rows may leave it empty."""

    rows: list[TickRow]
    symbols: frozenset[str]


def looks_like_tick_table(head: bytes) -> bool:
    """Whether the header has a time, a last price, and nothing of an option chain."""
    names = header_names(head)
    return (
        not names.isdisjoint(_TIMES)
        and not names.isdisjoint(_PRICES)
        and names.isdisjoint(_NOT_TICKS)
    )


def looks_like_book(head: bytes) -> bool:
    """Whether the header is of an order-book summary: a time, bids, asks, no strike."""
    names = header_names(head)
    return (
        not names.isdisjoint(_TIMES)
        and all(any(side in name for name in names) for side in _SIDES)
        and names.isdisjoint(_NOT_TICKS)
    )


def tick_table_events(
    table: TickTable, product: str, frame_ticks: int
) -> Iterator[TickFrame | Heartbeat]:
    """Frames of one date each, closed by heartbeats."""
    return closed_frames(table.rows, frame_ticks, partial(tick_frame, product, SOURCE))


def read_ticks(body: bytes, name: str, problems: list[str]) -> TickTable:
    """Every row with a price, in file order.

    Rows that cannot be read are told in ``problems`` one by one, rows without a price (packets
    about open interest only, …) in one line. Raises InputError naming ``name``: no CSV, a column
    missing, no row left, rows about several instruments.
    """
    table = read_table(body, name, problems)
    layout = _layout(table.columns, name)
    volumes = _DayVolumes(table.columns, problems)
    numbered = Unnumbered()
    rows: list[TickRow] = []
    symbols: set[str] = set()
    ids: set[str] = set()
    unpriced: list[int] = []
    for number, cells in table.rows:
        try:
            ts_ms = layout.instant(cells)
            date = ist_date(ts_ms)
            volume = volumes.at(date, cells)
            price = _price(cells[layout.price_at])
        except ValueError as error:
            problems.append(f"row {number}: {error}")
            continue
        if price is None:
            unpriced.append(number)
            continue
        rows.append(numbered.row(date, ts_ms, price, volume))
        symbols.add(_text(cells, layout.symbol_at))
        ids.add(_text(cells, layout.id_at))
    if unpriced:
        problems.append(f"rows without a last price: {len(unpriced)}, the first is {unpriced[0]}")
    if len(ids - {""}) > 1:
        raise InputError(name, f"rows about {len(ids - {''})} instruments; one a file")
    return TickTable(at_least_one(rows, name, problems), frozenset(symbols - {""}))


@dataclass(frozen=True, slots=True)
class _Layout:
    instant: Callable[[list[str]], int]
    price_at: int
    symbol_at: int | None
    id_at: int | None


def _layout(columns: Mapping[str, int], name: str) -> _Layout:
    instant, price_at = instant_reader(columns, _TIMES), first_of(columns, _PRICES)
    if instant is None or price_at is None:
        raise InputError(name, "a tick CSV without a column of times or of last prices")
    return _Layout(instant, price_at, first_of(columns, _SYMBOLS), first_of(columns, _IDS))


def _price(text: str) -> float | None:
    if text.strip().lower() in EMPTY:
        return None
    return round(parse_number(text), _PAISA_DECIMALS)


def _text(cells: list[str], at: int | None) -> str:
    return "" if at is None else cells[at].strip()


class _DayVolumes:
    """The day's volume at each row, told or summed up."""

    def __init__(self, columns: Mapping[str, int], problems: list[str]) -> None:
        self._told_at = first_of(columns, _VOLUMES)
        self._delta_at = columns.get(_DELTA)
        self._sums: dict[str, int] = {}
        self._problems = problems
        self._before = len(problems)

    def at(self, date: str, cells: list[str]) -> int | None:
        """None where there is none. Raises ValueError.

        Behind a row that could not be read a sum is not known any more: its delta is missing.
        """
        if self._told_at is not None:
            return _not_negative(parse_whole(cells[self._told_at]))
        if self._delta_at is None or len(self._problems) > self._before:
            return None
        delta = parse_whole(cells[self._delta_at]) or 0
        total = self._sums[date] = self._sums.get(date, 0) + delta
        return _not_negative(total)


def _not_negative(volume: int | None) -> int | None:
    if volume is not None and volume < 0:
        raise ValueError(f"a day's volume of {volume}")
    return volume
