"""Event time without closed hours, for replays at a pace."""

from __future__ import annotations

from collections.abc import Collection
from datetime import date

from optionstream.schemas.times import DAY_MS, IST_OFFSET_MS
from optionstream.streams.core.market.calendar import SEGMENTS, Calendar

_EPOCH_ORDINAL = date(1970, 1, 1).toordinal()


def day_of(at_ms: int) -> int:
    """Return the IST date of an instant (epoch ms), in days after 1970-01-01."""
    return (at_ms + IST_OFFSET_MS) // DAY_MS


class TradingTime:
    """Counts the time during which a session of any segment runs.

    Years outside the calendar count as closed: their events are rejected anyway. So do, after
    ``limit_to``, days that have nothing to replay.
    """

    def __init__(self, calendar: Calendar) -> None:
        self._calendar = calendar
        self._first = date(calendar.first_year, 1, 1).toordinal() - _EPOCH_ORDINAL
        self._after = date(calendar.last_year + 1, 1, 1).toordinal() - _EPOCH_ORDINAL
        self._only: Collection[int] | None = None
        self._before = [0]
        """Open time of all days before ``_first`` + index, ms."""

    def limit_to(self, days: Collection[int]) -> None:
        """Count only these days, numbered as by ``day_of``."""
        self._only, self._before = days, [0]

    def open_ms(self, start_ms: int, end_ms: int) -> int:
        """Return the open time between two instants, all in ms; 0 if they are not in order."""
        return max(0, self._total_ms(end_ms) - self._total_ms(start_ms))

    def _total_ms(self, at_ms: int) -> int:
        """Return the open time from the start of the calendar to the instant, in ms."""
        day = day_of(at_ms)
        if day < self._first:
            return 0
        before = self._before_day(min(day, self._after))
        if day >= self._after:
            return before
        return before + sum(max(0, min(end, at_ms) - start) for start, end in self._spans(day))

    def _before_day(self, day: int) -> int:
        while len(self._before) <= day - self._first:
            spans = self._spans(self._first + len(self._before) - 1)
            self._before.append(self._before[-1] + sum(end - start for start, end in spans))
        return self._before[day - self._first]

    def _spans(self, day: int) -> list[tuple[int, int]]:
        """Return the sessions of any segment on the day, merged where they overlap."""
        if self._only is not None and day not in self._only:
            return []
        found = sorted(
            (session.open_ms, session.close_ms)
            for segment in SEGMENTS
            for session in self._calendar.sessions_on(segment, day)
        )
        spans: list[tuple[int, int]] = []
        for start, end in found:
            if spans and start <= spans[-1][1]:
                spans[-1] = spans[-1][0], max(end, spans[-1][1])
            else:
                spans.append((start, end))
        return spans
