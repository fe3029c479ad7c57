"""The exchange's ways to write dates and times, all of them Indian time. Pure."""

from __future__ import annotations

import re
from datetime import date, datetime
from typing import Final

from optionstream.schemas.times import IST, to_ms

_MONTHS: Final = (
    "jan",
    "feb",
    "mar",
    "apr",
    "may",
    "jun",
    "jul",
    "aug",
    "sep",
    "oct",
    "nov",
    "dec",
)
_MONTH_NUMBER: Final = {name: number for number, name in enumerate(_MONTHS, 1)}

_NAMED = r"(?P<day>\d{1,2})-(?P<name>[A-Za-z]{3})-(?P<year>\d{4})"
_DATE_FORMS: Final = (
    re.compile(_NAMED),
    re.compile(r"(?P<day>\d{1,2})(?P<name>[A-Za-z]{3})(?P<year>\d{4})"),
    re.compile(r"(?P<day>\d{2})-(?P<month>\d{2})-(?P<year>\d{4})"),
    re.compile(r"(?P<year>\d{4})-(?P<month>\d{2})-(?P<day>\d{2})"),
)
_STAMP: Final = re.compile(
    r"(?P<date>\S+) (?P<hour>\d{2}):(?P<minute>\d{2})(?::(?P<second>\d{2}))?"
)
_COMPACT: Final = re.compile(r"(\d{4})(\d{2})(\d{2})(\d{2})(\d{2})")


def parse_date(text: str) -> date:
    """``14-Oct-2025``, ``14OCT2025``, ``14-10-2025`` or ``2025-10-14``. Raises ValueError."""
    for form in _DATE_FORMS:
        found = form.fullmatch(text.strip())
        if found:
            return date(int(found["year"]), _month(found), int(found["day"]))
    raise ValueError(f"{text!r} is no date (dd-Mon-yyyy, dd-mm-yyyy or yyyy-mm-dd)")


def month_number(name: str) -> int:
    """1 for ``Jan``, in any case. Raises ValueError."""
    number = _MONTH_NUMBER.get(name.lower())
    if number is None:
        raise ValueError(f"{name!r} is no month")
    return number


def parse_stamp(text: str) -> int:
    """``13-Oct-2025 13:53:23``, or any date that ``parse_date`` takes and ``13:53``, in Indian
    time as UTC epoch ms. Raises ValueError."""
    found = _STAMP.fullmatch(text.strip())
    if not found:
        raise ValueError(f"{text!r} is no time (dd-Mon-yyyy HH:MM:SS)")
    hour, minute, second = (int(found[name] or 0) for name in ("hour", "minute", "second"))
    return ist_instant(text, parse_date(found["date"]), hour, minute, second)


def parse_compact_stamp(text: str) -> int:
    """``202608191127`` in Indian time as UTC epoch ms. Raises ValueError."""
    found = _COMPACT.fullmatch(text.strip())
    if not found:
        raise ValueError(f"{text!r} is no time (yyyymmddHHMM)")
    year, month, day, hour, minute = map(int, found.groups())
    return ist_instant(text, date(year, month, day), hour, minute)


def ist_instant(text: str, day: date, hour: int, minute: int, second: int = 0) -> int:
    """The Indian time as UTC epoch ms. Raises ValueError, which calls it ``text``."""
    ms = to_ms(datetime(day.year, day.month, day.day, hour, minute, second, tzinfo=IST))
    if ms < 0:
        raise ValueError(f"{text!r} lies before 1970")
    return ms


def _month(found: re.Match[str]) -> int:
    parts = found.groupdict()
    return month_number(found["name"]) if "name" in parts else int(found["month"])
