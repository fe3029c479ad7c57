"""Dates and times of files: the ways to write them, as UTC epoch milliseconds. Pure.

A time without a zone is Indian time.
"""

from __future__ import annotations

import re
from datetime import date, datetime
from typing import Final

from optionstream.schemas.times import IST, to_ms

LATEST_MS: Final = 253_370_764_800_000
"""Start of the year 9999; instants from there on are not valid."""
CLOSE: Final = (15, 30)
"""Hour and minute that stand for the close where a source says only the date."""

_SECONDS_DIGITS: Final = (9, 10)
_MILLISECONDS_DIGITS: Final = 13
_SHOWN_CHARS: Final = 40
_MONTHS: Final = "jan feb mar apr may jun jul aug sep oct nov dec".split()  # noqa: SIM905
_DATE_FORMS: Final = (
    re.compile(r"(?P<day>\d{1,2})-(?P<name>[A-Za-z]{3})-(?P<year>\d{4})"),
    re.compile(r"(?P<day>\d{1,2})(?P<name>[A-Za-z]{3})(?P<year>\d{4})"),
    re.compile(r"(?P<day>\d{2})-(?P<month>\d{2})-(?P<year>\d{4})"),
    re.compile(r"(?P<year>\d{4})-(?P<month>\d{2})-(?P<day>\d{2})"),
)
_STAMP: Final = re.compile(
    r"(?P<date>\S+) (?P<hour>\d{2}):(?P<minute>\d{2})(?::(?P<second>\d{2}))?"
)
_COMPACT: Final = re.compile(r"(\d{4})(\d{2})(\d{2})(\d{2})(\d{2})")


def instant_ms(text: str) -> int:
    """Parse epoch seconds (9 or 10 digits) or milliseconds (13), ISO 8601, or a date as
    ``parse_date`` takes it (its midnight in India).

    Fractions of a millisecond are cut off. Raises ValueError.
    """
    text = text.strip()
    ms = _digits_ms(text) if text.isascii() and text.isdigit() else None
    if ms is None:
        ms = to_ms(in_india(_moment(text)))
    if not 0 <= ms < LATEST_MS:
        raise ValueError(f"{text!r} is outside the years 1970 to 9998")
    return ms


def in_india(moment: datetime) -> datetime:
    """Return the moment, in Indian time if it has no offset."""
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=IST)


def parse_date(text: str) -> date:
    """Parse ``14-Oct-2025``, ``14OCT2025``, ``14-10-2025`` or ``2025-10-14``. Raises
    ValueError."""
    for form in _DATE_FORMS:
        found = form.fullmatch(text.strip())
        if found:
            return date(int(found["year"]), _month(found), int(found["day"]))
    raise ValueError(f"{text!r} is not a date (dd-Mon-yyyy, dd-mm-yyyy or yyyy-mm-dd)")


def month_number(name: str) -> int:
    """Return 1 for ``Jan``, in any case. Raises ValueError."""
    try:
        return _MONTHS.index(name.lower()) + 1
    except ValueError:
        raise ValueError(f"{name!r} is not a month") from None


def parse_stamp(text: str) -> int:
    """Parse ``13-Oct-2025 13:53:23``, with any date of ``parse_date`` and seconds or none, into
    UTC epoch ms. Raises ValueError."""
    found = _STAMP.fullmatch(text.strip())
    if not found:
        raise ValueError(f"{text!r} is not a time (dd-Mon-yyyy HH:MM:SS)")
    hour, minute, second = (int(found[name] or 0) for name in ("hour", "minute", "second"))
    return ist_instant(text, parse_date(found["date"]), hour, minute, second)


def parse_compact_stamp(text: str) -> int:
    """Parse ``202608191127`` into UTC epoch ms. Raises ValueError."""
    found = _COMPACT.fullmatch(text.strip())
    if not found:
        raise ValueError(f"{text!r} is not a time (yyyymmddHHMM)")
    year, month, day, hour, minute = map(int, found.groups())
    return ist_instant(text, date(year, month, day), hour, minute)


def close_of_day(day: date) -> int:
    """Return the close of a day as UTC epoch ms. Raises ValueError for a day before 1970."""
    return ist_instant(str(day), day, *CLOSE)


def ist_instant(text: str, day: date, hour: int, minute: int, second: int = 0) -> int:
    """Return an Indian time as UTC epoch ms. Raises ValueError, which calls it ``text``."""
    return not_before_1970(
        datetime(day.year, day.month, day.day, hour, minute, second, tzinfo=IST), repr(text)
    )


def ist_ms(date: str, minute: str) -> int:
    """Return UTC epoch ms of ``2026-01-06``, ``09:15``. Raises ValueError."""
    return not_before_1970(datetime.fromisoformat(f"{date} {minute}").replace(tzinfo=IST), date)


def not_before_1970(moment: datetime, shown: str) -> int:
    """Return an aware moment as UTC epoch ms. Raises ValueError, which calls it ``shown``."""
    ms = to_ms(moment)
    if ms < 0:
        raise ValueError(f"{shown} is before 1970")
    return ms


def _digits_ms(text: str) -> int | None:
    if len(text) in _SECONDS_DIGITS:
        return int(text) * 1000
    return int(text) if len(text) == _MILLISECONDS_DIGITS else None


def _moment(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        pass
    try:
        return datetime.combine(parse_date(text), datetime.min.time())
    except ValueError:
        raise ValueError(f"{text[:_SHOWN_CHARS]!r} is not a time") from None


def _month(found: re.Match[str]) -> int:
    parts = found.groupdict()
    return month_number(found["name"]) if "name" in parts else int(found["month"])
