"""What the recomputation depends on: calendar, settings, partitions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from optionstream.schemas import rejects
from optionstream.schemas.settings import Settings
from optionstream.schemas.times import IST, to_ms
from optionstream.streams.core.market.calendar import Calendar

EARLIEST_MS = 946_684_800_000
"""2000-01-01T00:00:00Z, the first instant accepted."""
LATEST_MS = 4_102_444_800_000
"""2100-01-01T00:00:00Z, the first instant refused again."""


@dataclass(frozen=True, slots=True)
class Rules:
    """``settings`` are those that the workers had.

    ``partitions`` is the number of partitions by topic (without the namespace).
    """

    settings: Settings
    calendar: Calendar
    partitions: Mapping[str, int]
    live: bool
    covered_from: int = field(init=False)
    covered_until: int = field(init=False)

    def __post_init__(self) -> None:
        first = datetime(self.calendar.first_year, 1, 1, tzinfo=IST)
        after = datetime(self.calendar.last_year + 1, 1, 1, tzinfo=IST)
        object.__setattr__(self, "covered_from", to_ms(first))
        object.__setattr__(self, "covered_until", to_ms(after))

    def covers(self, ts_ms: int) -> bool:
        """True if the calendar has facts for the instant's year (IST)."""
        return self.covered_from <= ts_ms < self.covered_until

    def flaw(self, ts_ms: int, price: float, ts_recv: int) -> str | None:
        """Return why a tick is refused for its content alone, None if it is not."""
        if not possible_time(ts_ms):
            return rejects.BAD_TIME
        if not 0 < price < float("inf"):
            return rejects.BAD_PRICE
        return self.misdated(ts_ms, ts_recv)

    def misdated(self, ts_ms: int, ts_recv: int) -> str | None:
        """Return why an event of a possible time is refused for its time, None if it is not."""
        if self.from_the_future(ts_ms, ts_recv):
            return rejects.FUTURE_EVENT
        return None if self.covers(ts_ms) else rejects.NO_CALENDAR

    def flawless(self, ts_ms: list[int], price: list[float], ts_recv: int) -> bool:
        """True if ``flaw`` finds nothing in any tick of a record.

        The extremes stand for all, because each limit is one-sided. (The codec lets no NaN in.)
        """
        return (
            self.flaw(min(ts_ms), min(price), ts_recv) is None
            and self.flaw(max(ts_ms), max(price), ts_recv) is None
        )

    def from_the_future(self, ts_ms: int, ts_recv: int) -> bool:
        """True if an event is too far ahead of its receipt; never in a replay."""
        return self.live and ts_ms > ts_recv + self.settings.future_limit_ms


def possible_time(ts_ms: int) -> bool:
    """True from 2000 up to, not including, 2100 (UTC)."""
    return EARLIEST_MS <= ts_ms < LATEST_MS
