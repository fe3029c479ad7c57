"""Expiry dates of the simulated products: plain weekdays, holidays left aside."""

from __future__ import annotations

from calendar import monthrange
from datetime import date, datetime, time, timedelta
from typing import Final

from optionstream.producers.simulated.specs import ProductSpec
from optionstream.schemas.times import IST, to_ms

_WEEK: Final = timedelta(days=7)
_TIME: Final = time(15, 30)
_LATER_TIME: Final = time(15, 40)
_LATER_FROM: Final = date(2026, 8, 3)
"""From then on derivatives trade, and end, ten minutes longer (docs/calendar.md)."""


def expiries_of(spec: ProductSpec, on: date) -> list[date]:
    """The dates quoted on a day, rising; a contract that expires on the day is among them."""
    if spec.expiries == "monthly":
        return _monthlies(spec, on, spec.expiry_count)
    first = on + timedelta(days=(spec.expiry_weekday - on.weekday()) % 7)
    weeklies = [first + n * _WEEK for n in range(max(1, spec.expiry_count - 1))]
    monthlies = _monthlies(spec, on, len(weeklies) + 1)
    later = [day for day in monthlies if day not in weeklies]
    return sorted([*weeklies, *later[: spec.expiry_count - len(weeklies)]])


def expiry_ms(day: date) -> int:
    """The instant of expiry, UTC epoch ms."""
    at = _LATER_TIME if day >= _LATER_FROM else _TIME
    return to_ms(datetime.combine(day, at, tzinfo=IST))


def _monthlies(spec: ProductSpec, on: date, count: int) -> list[date]:
    days: list[date] = []
    year, month = on.year, on.month
    while len(days) < count:
        last = date(year, month, monthrange(year, month)[1])
        day = last - timedelta(days=(last.weekday() - spec.expiry_weekday) % 7)
        if day >= on:
            days.append(day)
        year, month = (year + 1, 1) if month == 12 else (year, month + 1)
    return days
