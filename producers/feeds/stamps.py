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
    re.compile(r"(?P<day>\d{2})-(?P<month>\d{2})-(?P<year>\d{4})"),
    re.compile(r"(?P<year>\d{4})-(?P<month>\d{2})-(?P<day>\d{2})"),
)
_STAMP: Final = re.compile(r"(?P<date>\S+) (?P<hour>\d{2}):(?P<minute>\d{2}):(?P<second>\d{2})")


def parse_date(text: str) -> date:
    """``14-Oct-2025``, ``14-10-2025`` or ``2025-10-14``. Raises ValueError for another form."""
    for form in _DATE_FORMS:
        found = form.fullmatch(text.strip())
        if found:
            return date(int(found["year"]), _month(found), int(found["day"]))
    raise ValueError(f"{text!r} is no date (dd-Mon-yyyy, dd-mm-yyyy or yyyy-mm-dd)")


def parse_stamp(text: str) -> int:
    """``13-Oct-2025 13:53:23`` in Indian time as UTC epoch ms. Raises ValueError."""
    found = _STAMP.fullmatch(text.strip())
    if not found:
        raise ValueError(f"{text!r} is no time (dd-Mon-yyyy HH:MM:SS)")
    day = parse_date(found["date"])
    hour, minute, second = (int(found[name]) for name in ("hour", "minute", "second"))
    ms = to_ms(datetime(day.year, day.month, day.day, hour, minute, second, tzinfo=IST))
    if ms < 0:
        raise ValueError(f"{text!r} lies before 1970")
    return ms


def _month(found: re.Match[str]) -> int:
    parts = found.groupdict()
    if "name" not in parts:
        return int(found["month"])
    number = _MONTH_NUMBER.get(found["name"].lower())
    if number is None:
        raise ValueError(f"{found['name']!r} is no month")
    return number
