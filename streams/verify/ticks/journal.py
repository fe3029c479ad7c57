"""What one product's windows are made of: accepted ticks, candles and heartbeats, as applied."""

from __future__ import annotations

from array import array
from typing import Any, NamedTuple

from optionstream.streams.core.market.calendar import Session

_LEAST, _GREATEST = -(1 << 63), (1 << 63) - 1

UNNUMBERED = -1
"""The feed of ticks whose identity is no number."""

Table = dict[str, Any]
"""Arrays of equal length by column, in the order of ``at``."""

_TICK = {"at": "q", "feed": "i", "ts": "q", "order": "q", "price": "d", "volume": "q", "given": "b"}
_PRICES = {"open": "d", "high": "d", "low": "d", "close": "d"}
_TIMES = {"at": "q", "ts": "q", "last_ts": "q", "length": "q"}
_CANDLE = {**_TIMES, **_PRICES, "traded": "q", "given": "b"}


class Feed(NamedTuple):
    """Whose numbers count up together."""

    source: str
    label: str


class SessionLog(NamedTuple):
    """A session that was current, and how many ticks, candles and marks had come before it.

    ``at`` is when it started; ``ts_ms`` how far time had come by then, 0 if it had not started.
    """

    session: Session
    at: int
    ts_ms: int
    ticks: int
    candles: int
    marks: int


class Journal:
    """Tables of accepted ticks and candles, marks of heartbeats, and the sessions in turn.

    ``at`` numbers everything that happened to the product; it rises by one each time. ``given``
    says whether the column before it has a value.
    """

    def __init__(self) -> None:
        self.at = 0
        self.sessions: list[SessionLog] = []
        self.feeds: dict[Feed, int] = {}
        self.ticks = _table(_TICK)
        self.candles = _table(_CANDLE)
        self.marks = _table({"at": "q", "ts": "q"})
        self._latest = 0

    def begin(self, session: Session) -> None:
        """Close the current session, if any, and start the next."""
        self.at += 1
        counts = [len(table["at"]) for table in (self.ticks, self.candles, self.marks)]
        self.sessions.append(SessionLog(session, self.at, self._latest, *counts))

    def add_tick(self, ts_ms: int, price: float, order: int, volume: int | None, feed: int) -> None:
        """Add one tick of the current session; ``feed`` as `feed_of` says."""
        traded = 0 if volume is None else in_64_bits(volume)
        row = feed, ts_ms, in_64_bits(order), price, traded, volume is not None
        self._add(self.ticks, ts_ms, row)

    def add_ticks(
        self,
        ts_ms: list[int],
        price: list[float],
        order: list[int],
        volume: list[int | None],
        feed: int,
    ) -> None:
        """Add ticks of the current session, one after the other."""
        count, ticks = len(ts_ms), self.ticks
        ticks["at"].extend(range(self.at + 1, self.at + 1 + count))
        self.at += count
        ticks["feed"].extend([feed] * count)
        ticks["ts"].extend(ts_ms)
        ticks["order"].extend(all_in_64_bits(order))
        ticks["price"].extend(price)
        ticks["volume"].extend(all_in_64_bits([traded or 0 for traded in volume]))
        ticks["given"].extend([traded is not None for traded in volume])
        self._latest = max(self._latest, *ts_ms)

    def add_candle(
        self,
        start: int,
        end: int,
        length: int,
        prices: tuple[float, float, float, float],
        traded: int | None,
    ) -> None:
        """Add one candle of the current session: [start, end), the ``length`` of its kind, ms."""
        row = start, end - 1, length, *prices, traded or 0, traded is not None
        self._add(self.candles, end - 1, row)

    def add_mark(self, ts_ms: int) -> None:
        """Note that time has come to ``ts_ms`` without an event."""
        self._add(self.marks, ts_ms, (ts_ms,))

    def feed_of(self, source: str, label: str) -> int:
        """Return the number of a feed."""
        return self.feeds.setdefault(Feed(source, label), len(self.feeds))

    def _add(self, table: Table, ts_ms: int, row: tuple[float, ...]) -> None:
        self.at += 1
        for column, value in zip(table.values(), (self.at, *row), strict=True):
            column.append(value)
        self._latest = max(self._latest, ts_ms)


def in_64_bits(number: int) -> int:
    """Return the number, or the nearest that fits a signed 64-bit column."""
    return min(max(number, _LEAST), _GREATEST)


def all_in_64_bits(numbers: list[int]) -> list[int]:
    """Return `in_64_bits` of each; the same list where that changes nothing."""
    if min(numbers) >= _LEAST and max(numbers) <= _GREATEST:
        return numbers
    return [in_64_bits(number) for number in numbers]


def _table(columns: dict[str, str]) -> Table:
    return {name: array(code) for name, code in columns.items()}
