"""What the rules of the core depend on: the calendar and the settings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from optionstream.schemas.derived import IvMode
from optionstream.streams.core.market.calendar import Calendar

EARLIEST_MS: Final = 946_684_800_000
LATEST_MS: Final = 4_102_444_800_000
"""The first instant that is taken, and the first that is not any more: 2000 and 2100, UTC."""
MAX_WAITING: Final = 8
"""Sessions of which a first event may wait for a second."""


@dataclass(frozen=True, slots=True)
class Rules:
    """Durations are event time, in milliseconds; see schemas.settings for what each means."""

    calendar: Calendar
    lateness_ms: int = 2_000
    future_limit_ms: int | None = None
    """None where events may lie ahead of their receipt (replays)."""
    silence_ms: int = 60_000
    quote_cadence_ms: int = 1_000
    stale_ms: int = 300_000
    iv_mode: IvMode = "black76"
