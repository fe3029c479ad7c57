"""Ticks as CSV with a header, as programs record what a broker sends. Pure.

A time, a last price, perhaps a symbol and a volume: the day's so far, or what came since the row
before (``volume_delta``). The sum of the deltas is the day's volume, because the first one after
subscribing is all that was traded before. Prices are rounded to the paisa: brokers send 32-bit
floats (25974.900390625).
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Final

from optionstream.producers.feeds.files.csv_table import (
    Table,
    header_names,
    is_empty,
    parse_number,
    parse_whole,
    read_table,
)
from optionstream.producers.feeds.format import FeedInput
from optionstream.producers.feeds.frames import at_least_one, closed_frames
from optionstream.producers.feeds.products import product_of_file
from optionstream.producers.feeds.ticks.tick_rows import TickRow, Unnumbered, tick_frame
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


def looks_like_tick_table(head: bytes) -> bool:
    """True if the header has a time, a last price, and no column of an option chain."""
    names = header_names(head)
    return (
        not names.isdisjoint(_TIMES)
        and not names.isdisjoint(_PRICES)
        and names.isdisjoint(_NOT_TICKS)
    )


def looks_like_book(head: bytes) -> bool:
    """True if the header is that of an order-book summary: a time, bids, asks, no strike."""
    names = header_names(head)
    return (
        not names.isdisjoint(_TIMES)
        and all(any(side in name for name in names) for side in _SIDES)
        and names.isdisjoint(_NOT_TICKS)
    )


def tick_table_events(file: FeedInput) -> Iterator[TickFrame | Heartbeat]:
    """Yield the rows with a price in frames of one date each, closed by heartbeats.

    Rows that cannot be read are reported as problems one by one, rows without a price (packets
    about open interest only, …) in one line. Raises InputError: damaged CSV, a column missing, no
    row left, rows of several instruments, no product.
    """
    table = read_table(file.source.body(), file.name, file.problems)
    instant, price_at = table.instant_reader(_TIMES), table.find_column(_PRICES)
    if instant is None or price_at is None:
        raise file.error("a tick CSV without a column of times or of last prices")
    symbol_at, id_at = table.find_column(_SYMBOLS), table.find_column(_IDS)
    volumes = _DayVolumes(table, file.problems)
    numbered = Unnumbered()
    symbols: set[str] = set()
    ids: set[str] = set()
    rows: list[TickRow] = []
    unpriced: list[int] = []

    def parse(cells: list[str]) -> TickRow | None:
        ts_ms = instant(cells)
        date = ist_date(ts_ms)
        volume = volumes.at(date, cells)
        price = cells[price_at]
        if is_empty(price):
            return None
        row = numbered.row(date, ts_ms, round(parse_number(price), _PAISA_DECIMALS), volume)
        symbols.add(_text(cells, symbol_at))
        ids.add(_text(cells, id_at))
        return row

    for number, row in file.parse_rows(table.rows, parse):
        if row is None:
            unpriced.append(number)
        else:
            rows.append(row)
    if unpriced:
        file.problems.append(
            f"rows without a last price: {len(unpriced)}, the first is {unpriced[0]}"
        )
    if len(ids - {""}) > 1:
        raise file.error(f"rows of {len(ids - {''})} instruments; use one per file")
    at_least_one(rows, file)
    # Never from the path: a file `nifty_futures.csv` holds a future, not the index.
    product = product_of_file(file, symbols - {""})
    yield from closed_frames(rows, file.frame_ticks, partial(tick_frame, product, SOURCE))


def _text(cells: list[str], at: int | None) -> str:
    return "" if at is None else cells[at].strip()


class _DayVolumes:
    """The day's volume at each row, as stated or as the sum of deltas."""

    def __init__(self, table: Table, problems: list[str]) -> None:
        self._total_at = table.find_column(_VOLUMES)
        self._delta_at = table.columns.get(_DELTA)
        self._sums: dict[str, int] = {}
        self._problems = problems
        self._before = len(problems)

    def at(self, date: str, cells: list[str]) -> int | None:
        """Return the day's volume, None where there is none. Raises ValueError.

        After a row that could not be read the sum is not known any more: its delta is missing.
        """
        if self._total_at is not None:
            return _not_negative(parse_whole(cells[self._total_at]))
        if self._delta_at is None or len(self._problems) > self._before:
            return None
        delta = parse_whole(cells[self._delta_at]) or 0
        total = self._sums[date] = self._sums.get(date, 0) + delta
        return _not_negative(total)


def _not_negative(volume: int | None) -> int | None:
    if volume is not None and volume < 0:
        raise ValueError(f"a day's volume of {volume}")
    return volume
