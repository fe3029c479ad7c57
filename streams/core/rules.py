"""The settings and the calendar that the rules depend on, and the rules for one event's content.

The content rules (docs/semantics.md, rules 1 to 4 of "Ticks", "Candles" and "Option quotes") are
the same for the engine, which rejects what breaks them, and for the sinks, which read the same
topics and must not show it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf, isfinite
from typing import Final

from optionstream.schemas import rejects
from optionstream.schemas.derived import IvMode
from optionstream.schemas.events import TickFrame
from optionstream.schemas.settings import Settings
from optionstream.schemas.topics import Namespace
from optionstream.streams.core.market.calendar import Calendar, calendar_for

EARLIEST_MS: Final = 946_684_800_000
LATEST_MS: Final = 4_102_444_800_000
"""The first accepted instant, and the first that is too late: 2000 and 2100, UTC epoch ms."""
MAX_WAITING: Final = 8
"""Maximum number of later sessions waiting for a confirming second event."""


@dataclass(frozen=True, slots=True)
class Rules:
    """Durations are event time, in milliseconds; see schemas.settings for what each means."""

    calendar: Calendar
    lateness_ms: int = 2_000
    future_limit_ms: int | None = None
    """None where events may be ahead of their receipt (replays)."""
    silence_ms: int = 60_000
    quote_cadence_ms: int = 1_000
    stale_ms: int = 300_000
    iv_mode: IvMode = "black76"

    @classmethod
    def of(cls, namespace: Namespace, settings: Settings) -> Rules:
        """Return the rules in force in a namespace."""
        return cls(
            calendar=calendar_for(namespace),
            lateness_ms=settings.allowed_lateness_ms,
            future_limit_ms=settings.future_limit_ms if namespace.is_live else None,
            silence_ms=settings.silence_ms,
            quote_cadence_ms=settings.quote_cadence_ms,
            stale_ms=settings.stale_ms,
            iv_mode=settings.iv_mode,
        )

    def is_future(self, ts: int, ts_recv: int) -> bool:
        """True if ``ts`` is too far ahead of its receipt; both UTC epoch ms."""
        return self.future_limit_ms is not None and ts > ts_recv + self.future_limit_ms

    def fault(self, ts: int, ts_recv: int, figures: str | None) -> str | None:
        """Return the reason (schemas.rejects) by which an event is refused, None for a good one.

        ``figures`` is the reason that its figures give by themselves, None when they are sound.
        """
        if not EARLIEST_MS <= ts < LATEST_MS:
            return rejects.BAD_TIME
        if figures is not None:
            return figures
        if self.is_future(ts, ts_recv):
            return rejects.FUTURE_EVENT
        return None if self.calendar.covers(ts) else rejects.NO_CALENDAR

    def tick_fault(self, ts: int, price: float, ts_recv: int) -> str | None:
        """Return the reason by which a tick is refused, None for a good one."""
        return self.fault(ts, ts_recv, price_fault(price))

    def are_sound(self, earliest: int, latest: int, prices: Sequence[float], ts_recv: int) -> bool:
        """True if no tick is refused, judged with a few passes in C instead of tick by tick.

        ``earliest`` and ``latest`` are the least and the greatest time, ``ts_recv`` the least
        receipt. False may also mean that prices are too large to be added up.
        """
        low = min(prices)
        return (
            self.tick_fault(earliest, low, ts_recv) is None
            and self.tick_fault(latest, low, ts_recv) is None
            and isfinite(sum(prices))
        )

    def is_sound_frame(self, frame: TickFrame) -> bool:
        """True if no tick of a checked frame is refused; False as `are_sound`."""
        return self.are_sound(min(frame.ts_ms), max(frame.ts_ms), frame.price, frame.ts_recv)


def price_fault(price: float) -> str | None:
    """Return ``bad_price`` for a price that is not finite or not above 0, else None."""
    return None if 0 < price < inf else rejects.BAD_PRICE
