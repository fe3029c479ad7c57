"""Epoch milliseconds and India Standard Time (UTC+05:30, no daylight saving)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from functools import lru_cache

IST = timezone(timedelta(hours=5, minutes=30), "IST")
IST_OFFSET_MS = 19_800_000
DAY_MS = 86_400_000
LAST_MS = 253_402_214_400_000
"""The latest instant of a record, in the year 9999: every store and client holds it as a date."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def ist(ms: int) -> datetime:
    """Return the instant as an aware datetime in IST."""
    return (_EPOCH + timedelta(milliseconds=ms)).astimezone(IST)


def to_ms(moment: datetime) -> int:
    """Return epoch milliseconds of an aware datetime, exact to the millisecond."""
    return (moment - _EPOCH) // timedelta(milliseconds=1)


def rfc3339(ms: int) -> str:
    """Return ``2025-10-27T15:14:26+05:30``, with milliseconds only if there are some."""
    spec = "milliseconds" if ms % 1000 else "seconds"
    return ist(ms).isoformat(timespec=spec)


def ist_date(ms: int) -> str:
    """Return the IST calendar date of the instant, ISO form."""
    return _date_of((ms + IST_OFFSET_MS) // DAY_MS)


@lru_cache(maxsize=4_096)
def _date_of(days: int) -> str:
    """Return the date ``days`` after 1970-01-01."""
    return (_EPOCH + timedelta(days=days)).date().isoformat()
