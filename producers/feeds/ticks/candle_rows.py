"""Candles on their way into frames: their length, their order, their dates. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from operator import attrgetter
from typing import Final, NamedTuple

from optionstream.producers.feeds.times import closed_frames
from optionstream.schemas.errors import InputError
from optionstream.schemas.events import CandleFrame, Heartbeat
from optionstream.schemas.times import DAY_MS, IST_OFFSET_MS

SOURCE: Final = "candles"
"""One name for all candle files: the same candle in two of them is the same candle."""

_MINUTE_MS: Final = 60_000


class CandleRow(NamedTuple):
    """One candle as its source told it; ``start_ms`` UTC epoch ms, prices in rupees."""

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


def in_order(rows: list[CandleRow], name: str) -> Candles:
    """The candles by start (some brokers send the newest first), and how long one lasts.

    That is the most frequent distance of neighbouring starts within a date, of several the least.
    Raises InputError naming ``name`` for daily candles, for a length that cannot be told and for
    one that is no whole number of minutes.
    """
    ordered = sorted(rows, key=attrgetter("start_ms"))
    return Candles(ordered, _length_ms(ordered, name))


def candle_events(
    candles: Candles, product: str, frame_ticks: int
) -> Iterator[CandleFrame | Heartbeat]:
    """Frames of one date each, closed by heartbeats."""
    make = partial(_frame, product, candles.interval_ms)
    return closed_frames(candles.rows, frame_ticks, make)


def _length_ms(ordered: Sequence[CandleRow], name: str) -> int:
    distances = Counter(
        later.start_ms - earlier.start_ms
        for earlier, later in pairwise(ordered)
        if earlier.date == later.date and earlier.start_ms < later.start_ms
    )
    if not distances:
        raise InputError(name, _why_no_length(ordered))
    length = min(distances, key=lambda distance: (-distances[distance], distance))
    if length % _MINUTE_MS:
        raise InputError(name, f"candles of {length / 1000:g} s; a candle lasts whole minutes")
    return length


def _why_no_length(rows: Sequence[CandleRow]) -> str:
    if all((row.start_ms + IST_OFFSET_MS) % DAY_MS == 0 for row in rows):
        return (
            "daily candles, labelled with a date and not with the time they start at: they cannot "
            "be rolled up; use candles of 1 to 60 minutes"
        )
    return "the length of its candles cannot be told: no date has two of them"


def _frame(product: str, interval_ms: int, date: str, rows: list[CandleRow]) -> CandleFrame:
    volume = [row.volume for row in rows]
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
        volume=None if volume.count(None) == len(volume) else volume,
    )
