"""Single ticks and candles on their way to the journal."""

from __future__ import annotations

from typing import NamedTuple

from optionstream.deploy.verify.records import RawRecord
from optionstream.deploy.verify.ticks.journal import Journal

Group = tuple[str, str, str]
"""Source, session label, and what identity is made of: ``seq``, ``tick_id`` or, for candles, their
length in ms and their start."""
Number = int | tuple[int, int]
"""Identity within a group: ``seq``, the minute of the session and ``tick_id``, or the start."""


class Arrival(NamedTuple):
    """Where an event lies in the log, and its identity: ``number`` within ``group``."""

    record: RawRecord
    position: int
    group: Group
    number: Number

    def same_as(self, other: Arrival) -> bool:
        return self.number == other.number and self.group == other.group


class TickArrival(NamedTuple):
    """One tick; ``feed`` as in `Journal.feed_of`."""

    arrival: Arrival
    ts_ms: int
    price: float
    order: int
    volume: int | None
    feed: int

    def enter(self, journal: Journal) -> None:
        journal.tick(self.ts_ms, self.price, self.order, self.volume, self.feed)


class CandleArrival(NamedTuple):
    """One candle, prices in the order open, high, low, close."""

    arrival: Arrival
    start: int
    end: int
    length: int
    prices: tuple[float, float, float, float]
    traded: int | None

    def enter(self, journal: Journal) -> None:
        journal.candle(self.start, self.end, self.length, self.prices, self.traded)
