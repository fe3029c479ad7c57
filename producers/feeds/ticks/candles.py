"""Candles: CSV with a header, or the JSON of brokers' historical APIs, as frames. Pure.

CSV has open, high, low, close and perhaps a volume. The start of a candle is one column (``date``,
``time``, ``datetime``, ``timestamp``; see ``times.instant_ms``) or two, ``date`` and ``time``, in
Indian time.

JSON is ``{"data": {"candles": [[start, open, high, low, close, volume, …]]}}``, which Kite and
Upstox share. Kite sends the oldest candle first, Upstox the newest. A candle has no place for the
open interest that may follow the volume.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from operator import attrgetter
from typing import Final, NamedTuple

from msgspec import Struct

from optionstream.producers.feeds.files.csv_table import (
    as_whole,
    header_names,
    parse_number,
    parse_whole,
    read_table,
)
from optionstream.producers.feeds.files.json_body import decode_json
from optionstream.producers.feeds.format import FeedInput
from optionstream.producers.feeds.frames import at_least_one, closed_frames, none_if_empty
from optionstream.producers.feeds.products import product_of_index_file
from optionstream.producers.feeds.times import instant_ms
from optionstream.schemas.events import CandleFrame, Heartbeat
from optionstream.schemas.times import DAY_MS, IST_OFFSET_MS, ist_date

SOURCE: Final = "candles"
"""One name for all candle files: the same candle in two of them is the same candle."""

_MINUTE_MS: Final = 60_000
_PRICES: Final = ("open", "high", "low", "close")
_STARTS: Final = ("datetime", "timestamp", "date", "time")
_LABELS: Final = ("instrument", "symbol", "ticker")
_NOT_CANDLES: Final = frozenset(("ltp", "last_price", "strike", "strike_price", "expiry"))
"""A row with one of these columns is a quote with the prices of its day, not a candle."""
_JSON_HEAD: Final = re.compile(rb'\{.*"candles"\s*:\s*\[', re.DOTALL)
_LEAST_CELLS: Final = 5
_VOLUME_AT: Final = 5

Cell = str | int | float | None


class CandleRow(NamedTuple):
    """One candle of a source; ``start_ms`` UTC epoch ms, prices in rupees."""

    date: str
    """The IST date of ``start_ms``."""
    start_ms: int
    open: float
    high: float
    low: float
    close: float
    volume: int | None


@dataclass(frozen=True, slots=True)
class Candles:
    """Candles of one length, by start."""

    rows: list[CandleRow]
    interval_ms: int


class _Data(Struct, frozen=True):
    candles: list[list[Cell]]


class _Body(Struct, frozen=True):
    data: _Data


def looks_like_candles(head: bytes) -> bool:
    """True if the header has the four prices, a start, and no column of a quote."""
    names = header_names(head)
    return (
        names.issuperset(_PRICES)
        and not names.isdisjoint(_STARTS)
        and names.isdisjoint(_NOT_CANDLES)
    )


def looks_like_candle_json(head: bytes) -> bool:
    """True if the head starts an object with a list ``candles``."""
    return _JSON_HEAD.match(head.lstrip()) is not None


def csv_candle_events(file: FeedInput) -> Iterator[CandleFrame | Heartbeat]:
    """Yield the candles of a CSV; rows that cannot be read are reported as problems. Raises
    InputError: damaged CSV, a column missing, no row left, no product."""
    table = read_table(file.source.body(), file.name, file.problems)
    if missing := [price for price in _PRICES if price not in table.columns]:
        raise file.error(f"a candle CSV without the column {missing[0]}")
    start = table.instant_reader(_STARTS)
    if start is None:
        raise file.error("a candle CSV without a column for the start of a candle")
    prices = [table.columns[price] for price in _PRICES]
    volume_at = table.columns.get("volume")
    label_at = table.find_column(_LABELS)
    labels: set[str] = set()

    def parse(cells: list[str]) -> CandleRow:
        start_ms = start(cells)
        open_, high, low, close = (parse_number(cells[at]) for at in prices)
        volume = None if volume_at is None else parse_whole(cells[volume_at])
        if label_at is not None:
            labels.add(cells[label_at].strip())
        return CandleRow(ist_date(start_ms), start_ms, open_, high, low, close, volume)

    rows = [row for _, row in file.parse_rows(table.rows, parse)]
    candles = in_order(at_least_one(rows, file), file)
    product = product_of_index_file(file, labels - {""})
    yield from candle_events(candles, product, file.frame_ticks)


def json_candle_events(file: FeedInput) -> Iterator[CandleFrame | Heartbeat]:
    """Yield the candles of a JSON body; those that cannot be read are reported as problems. Raises
    InputError: truncated JSON, another shape, no candle left, no product."""
    body = decode_json(file.source.body(), _Body, file, "candle")
    rows = [row for _, row in file.parse_rows(enumerate(body.data.candles, 1), _row, "candle")]
    candles = in_order(at_least_one(rows, file), file)
    yield from candle_events(candles, product_of_index_file(file), file.frame_ticks)


def in_order(rows: list[CandleRow], file: FeedInput) -> Candles:
    """Sort the candles by start and find how long one lasts.

    That is the most frequent distance of neighbouring starts within a date, of several the least.
    Raises InputError for daily candles, for a length that cannot be found and for one that is not
    a whole number of minutes.
    """
    ordered = sorted(rows, key=attrgetter("start_ms"))
    distances = Counter(
        later.start_ms - earlier.start_ms
        for earlier, later in pairwise(ordered)
        if earlier.date == later.date and earlier.start_ms < later.start_ms
    )
    if not distances:
        raise file.error(_why_no_length(ordered))
    length = min(distances, key=lambda distance: (-distances[distance], distance))
    if length % _MINUTE_MS:
        raise file.error(f"candles of {length / 1000:g} s; a candle lasts whole minutes")
    return Candles(ordered, length)


def candle_events(
    candles: Candles, product: str, frame_ticks: int
) -> Iterator[CandleFrame | Heartbeat]:
    """Yield frames of one date each, closed by heartbeats."""
    make = partial(_frame, product, candles.interval_ms)
    return closed_frames(candles.rows, frame_ticks, make)


def _row(cells: list[Cell]) -> CandleRow:
    if len(cells) < _LEAST_CELLS:
        raise ValueError(f"{len(cells)} values; start, open, high, low and close are the least")
    start_ms = instant_ms(str(cells[0]))
    open_, high, low, close = (_price(cell) for cell in cells[1:_LEAST_CELLS])
    volume = _volume(cells[_VOLUME_AT]) if len(cells) > _VOLUME_AT else None
    return CandleRow(ist_date(start_ms), start_ms, open_, high, low, close, volume)


def _price(cell: Cell) -> float:
    if isinstance(cell, int | float):
        return float(cell)
    raise ValueError(f"{cell!r} is not a price")


def _volume(cell: Cell) -> int | None:
    if cell is None:
        return None
    if isinstance(cell, int | float):
        return as_whole(cell)
    raise ValueError(f"{cell!r} is not a volume")


def _why_no_length(rows: Sequence[CandleRow]) -> str:
    if all((row.start_ms + IST_OFFSET_MS) % DAY_MS == 0 for row in rows):
        return (
            "daily candles, labelled with a date and not with the time they start at: they cannot "
            "be rolled up; use candles of 1 to 60 minutes"
        )
    return "cannot find the length of its candles: no date has two of them"


def _frame(product: str, interval_ms: int, date: str, rows: list[CandleRow]) -> CandleFrame:
    return CandleFrame(
        product=product,
        source=SOURCE,
        session=date,
        ts_recv=max(row.start_ms for row in rows) + interval_ms,
        interval_ms=interval_ms,
        start_ms=[row.start_ms for row in rows],
        open=[row.open for row in rows],
        high=[row.high for row in rows],
        low=[row.low for row in rows],
        close=[row.close for row in rows],
        volume=none_if_empty([row.volume for row in rows]),
    )
