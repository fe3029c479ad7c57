"""What the recomputation must be told: calendar, limits, partitions."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from optionstream.schemas import rejects
from optionstream.schemas.derived import IvMode
from optionstream.schemas.settings import Settings
from optionstream.schemas.times import IST, to_ms
from optionstream.streams.core.market.calendar import Calendar

EARLIEST_MS = 946_684_800_000
"""2000-01-01T00:00:00Z, the first instant taken."""
LATEST_MS = 4_102_444_800_000
"""2100-01-01T00:00:00Z, the first instant refused again."""


@dataclass(frozen=True, slots=True)
class Rules:
    """``partitions`` is the number of partitions by topic (without the namespace). The rest are the
    settings of the same names."""

    calendar: Calendar
    partitions: dict[str, int]
    live: bool
    lateness_ms: int
    future_limit_ms: int
    silence_ms: int
    quote_cadence_ms: int
    stale_ms: int
    iv_mode: IvMode
    covered_from: int = field(init=False)
    covered_until: int = field(init=False)

    @classmethod
    def of(
        cls, settings: Settings, calendar: Calendar, partitions: dict[str, int], *, live: bool
    ) -> Rules:
        """The rules that workers with these settings went by."""
        return cls(
            calendar=calendar,
            partitions=partitions,
            live=live,
            lateness_ms=settings.allowed_lateness_ms,
            future_limit_ms=settings.future_limit_ms,
            silence_ms=settings.silence_ms,
            quote_cadence_ms=settings.quote_cadence_ms,
            stale_ms=settings.stale_ms,
            iv_mode=settings.iv_mode,
        )

    def __post_init__(self) -> None:
        first = datetime(self.calendar.first_year, 1, 1, tzinfo=IST)
        after = datetime(self.calendar.last_year + 1, 1, 1, tzinfo=IST)
        object.__setattr__(self, "covered_from", to_ms(first))
        object.__setattr__(self, "covered_until", to_ms(after))

    def covers(self, ts_ms: int) -> bool:
        """Whether the calendar has facts for the instant's year (IST)."""
        return self.covered_from <= ts_ms < self.covered_until

    def flaw(self, ts_ms: int, price: float, ts_recv: int) -> str | None:
        """Why a tick is refused for its content alone; None when it is not."""
        if not possible_time(ts_ms):
            return rejects.BAD_TIME
        if not 0 < price < float("inf"):
            return rejects.BAD_PRICE
        return self.misdated(ts_ms, ts_recv)

    def misdated(self, ts_ms: int, ts_recv: int) -> str | None:
        """Why an event of a possible time is refused for its time; None when it is not."""
        if self.from_the_future(ts_ms, ts_recv):
            return rejects.FUTURE_EVENT
        return None if self.covers(ts_ms) else rejects.NO_CALENDAR

    def flawless(self, ts_ms: list[int], price: list[float], ts_recv: int) -> bool:
        """Whether ``flaw`` finds nothing in any tick of a record: the extremes tell for all,
        because each limit is one-sided. (The codec lets no NaN in.)"""
        return (
            self.flaw(min(ts_ms), min(price), ts_recv) is None
            and self.flaw(max(ts_ms), max(price), ts_recv) is None
        )

    def from_the_future(self, ts_ms: int, ts_recv: int) -> bool:
        """Whether an event lies too far ahead of its receipt; never in a replay."""
        return self.live and ts_ms > ts_recv + self.future_limit_ms


def possible_time(ts_ms: int) -> bool:
    """Whether the stamp lies from 2000 up to, not including, 2100 (UTC)."""
    return EARLIEST_MS <= ts_ms < LATEST_MS
