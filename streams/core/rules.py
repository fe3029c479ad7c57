"""What the rules of the core depend on: the calendar and the settings."""

from __future__ import annotations

from dataclasses import dataclass

from optionstream.schemas.derived import IvMode
from optionstream.streams.core.calendar import Calendar


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
