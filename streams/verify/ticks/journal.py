"""What one product's windows are made of: accepted ticks, candles and heartbeats, as applied."""

from __future__ import annotations

from array import array
from typing import NamedTuple

from optionstream.streams.core.market.calendar import Session

_LEAST, _GREATEST = -(1 << 63), (1 << 63) - 1

UNNUMBERED = -1
"""The feed of ticks whose identity is no number."""


class Feed(NamedTuple):
    """Whose numbers count up together."""

    source: str
    label: str


class SessionLog(NamedTuple):
    """A session that was current, and how many ticks, candles and marks had come before it.

    ``at`` is when it began; ``ts_ms`` how far time had come by then, 0 if it had not begun.
    """

    session: Session
    at: int
    ts_ms: int
    ticks: int
    candles: int
    marks: int


class Journal:
    """Columns of accepted ticks and candles, marks of heartbeats and the sessions in turn.

    ``at`` numbers everything that happened to the product; it rises by one each time.
    """

    def __init__(self) -> None:
        self.at = 0
        self.sessions: list[SessionLog] = []
        self.feeds: dict[Feed, int] = {}
        self.tick_at = array("q")
        self.feed = array("i")
        self.ts = array("q")
        self.order = array("q")
        self.price = array("d")
        self.volume = array("q")
        self.has_volume = array("b")
        self.candle_at = array("q")
        self.start = array("q")
        self.end = array("q")
        self.length = array("q")
        self.prices = tuple(array("d") for _ in range(4))
        """Open, high, low and close of the candles."""
        self.traded = array("q")
        self.has_traded = array("b")
        self.mark_at = array("q")
        self.mark_ts = array("q")
        self._latest = 0

    def begin(self, session: Session) -> None:
        """Close the session that runs, if any, and start the next."""
        self.at += 1
        counts = len(self.tick_at), len(self.candle_at), len(self.mark_at)
        self.sessions.append(SessionLog(session, self.at, self._latest, *counts))

    def tick(self, ts_ms: int, price: float, order: int, volume: int | None, feed: int) -> None:
        """One tick of the session that runs; ``feed`` as `feed_of` says."""
        self.at += 1
        self.tick_at.append(self.at)
        self.feed.append(feed)
        self.ts.append(ts_ms)
        self.order.append(in_64_bits(order))
        self.price.append(price)
        self.volume.append(0 if volume is None else in_64_bits(volume))
        self.has_volume.append(volume is not None)
        self._latest = max(self._latest, ts_ms)

    def ticks(
        self,
        ts_ms: list[int],
        price: list[float],
        order: list[int],
        volume: list[int | None],
        feed: int,
    ) -> None:
        """Ticks of the session that runs, one after the other."""
        count = len(ts_ms)
        self.tick_at.extend(range(self.at + 1, self.at + 1 + count))
        self.at += count
        self.feed.extend([feed] * count)
        self.ts.extend(ts_ms)
        self.order.extend(all_in_64_bits(order))
        self.price.extend(price)
        self.volume.extend(all_in_64_bits([traded or 0 for traded in volume]))
        self.has_volume.extend([traded is not None for traded in volume])
        self._latest = max(self._latest, *ts_ms)

    def candle(
        self,
        start: int,
        end: int,
        length: int,
        prices: tuple[float, float, float, float],
        traded: int | None,
    ) -> None:
        """One candle of the session that runs: [start, end), the ``length`` of its kind, ms."""
        self.at += 1
        self.candle_at.append(self.at)
        self.start.append(start)
        self.end.append(end)
        self.length.append(length)
        for column, price in zip(self.prices, prices, strict=True):
            column.append(price)
        self.traded.append(traded or 0)
        self.has_traded.append(traded is not None)
        self._latest = max(self._latest, end - 1)

    def mark(self, ts_ms: int) -> None:
        """Time has come to ``ts_ms`` without an event."""
        self.at += 1
        self.mark_at.append(self.at)
        self.mark_ts.append(ts_ms)
        self._latest = max(self._latest, ts_ms)

    def feed_of(self, source: str, label: str) -> int:
        """The number of a feed."""
        return self.feeds.setdefault(Feed(source, label), len(self.feeds))


def in_64_bits(number: int) -> int:
    """The number, or the nearest that fits a signed 64-bit column."""
    return min(max(number, _LEAST), _GREATEST)


def all_in_64_bits(numbers: list[int]) -> list[int]:
    """`in_64_bits` of each; the same list where that changes nothing."""
    if min(numbers) >= _LEAST and max(numbers) <= _GREATEST:
        return numbers
    return [in_64_bits(number) for number in numbers]
