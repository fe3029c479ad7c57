"""The windows of one session: right-open, counted from its open, the last one ends with it."""

from __future__ import annotations

from typing import Final

from optionstream.schemas.derived import INTERVAL_MS, INTERVALS, Interval
from optionstream.streams.core.market.calendar import Session
from optionstream.streams.core.ticks.cells import CELL_MS

MINUTES: Final[dict[Interval, int]] = {name: INTERVAL_MS[name] // CELL_MS for name in INTERVALS}
"""Minutes of a window, by interval."""


class Windows:
    """Where the minutes and the windows of a session lie. Instants are UTC epoch ms; minutes and
    windows are counted from 0 at the open."""

    def __init__(self, session: Session) -> None:
        self.open_ms = session.open_ms
        self.close_ms = session.close_ms
        self.minutes = -(-(session.close_ms - session.open_ms) // CELL_MS)
        """How many minutes the session has."""

    def minute_of(self, ts: int) -> int:
        """The minute that holds ``ts``, which must lie in the session."""
        return (ts - self.open_ms) // CELL_MS

    def minutes_ended(self, ts: int) -> int:
        """How many minutes have ended at ``ts``."""
        if ts >= self.close_ms:
            return self.minutes
        return max(0, (ts - self.open_ms) // CELL_MS)

    def instant(self, minute: int) -> int:
        """When a minute begins; that after the last one at the close."""
        return self.open_ms + minute * CELL_MS if minute < self.minutes else self.close_ms

    def stop(self, name: Interval, window: int) -> int:
        """The minute after the last one of a window."""
        stop = (window + 1) * MINUTES[name]
        return stop if stop < self.minutes else self.minutes

    def ended(self, name: Interval, minutes: int) -> int:
        """How many windows of an interval have ended once ``minutes`` have."""
        length = MINUTES[name]
        return minutes // length if minutes < self.minutes else -(-minutes // length)

    def ending(self, before: int, minutes: int) -> list[tuple[int, int, Interval, int]]:
        """The windows that end as the minutes that have ended become ``minutes`` from ``before``,
        in the order of (end, length): the minute after each, length in minutes, interval, window.
        """
        whole = minutes == self.minutes
        found = []
        for name, length in MINUTES.items():
            stop = -(-minutes // length) if whole else minutes // length
            for window in range(before // length, stop):
                found.append((self.stop(name, window), length, name, window))
        found.sort()
        return found
