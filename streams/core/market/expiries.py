"""Expiries of index options: which are listed on a date, and their kinds.

The facts are rows of ``data/nse_contracts.toml``; the rules are here:

1. A contract belongs to a week or to a month. Its nominal day is the expiry weekday of that week,
   or the last such weekday of that month, by the weekday rule that the contract follows.
2. When that day is a holiday, the contract expires on the trading day before. Listed dates avoid
   the holidays that are known at the time, so they may move later (docs/calendar.md).
3. Listed are the nearest monthlies, the quarterlies after them, the half-yearlies after those,
   and the nearest weeklies outside the weeks of the monthlies. A contract is still listed on the
   day it expires.
"""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache
from itertools import count, islice
from typing import Final, Literal

from optionstream.schemas.errors import CalendarError
from optionstream.streams.core.market.calendar import nse_calendar
from optionstream.streams.core.market.contract_facts import (
    Cycle,
    Listing,
    WeekdayRule,
    contract_facts,
    in_force,
    iso_date,
)

Kind = Literal["weekly", "monthly", "quarterly", "half_yearly"]

_DAY: Final = timedelta(days=1)
_WEEK: Final = timedelta(days=7)
_WEEKDAYS: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday")
_QUARTERS: Final = (3, 6, 9, 12)
_HALF_YEARS: Final = (6, 12)
_KEPT: Final = 4096


@dataclass(frozen=True, slots=True)
class Expiry:
    """A listed expiry and its kind on the given date: a half-yearly contract becomes a quarterly
    and at last a monthly one."""

    date: str
    """The IST date, ISO form."""
    kind: Kind


@dataclass(frozen=True, slots=True)
class _Period:
    """What a contract is named after: its date may move, its period does not."""

    cycle: Cycle
    start: date

    def last(self, weekday: int) -> date:
        """Return the last such weekday (0 is Monday) of the period."""
        if self.cycle == "week":
            return self.start + weekday * _DAY
        end = self.start.replace(day=monthrange(self.start.year, self.start.month)[1])
        return end - (end.weekday() - weekday) % 7 * _DAY


def expiries(product: str, on: str) -> tuple[Expiry, ...]:
    """Return the expiries that the exchange lists for the product on an IST date, rising.

    Where the table knows the number of weeklies only as a lower bound (``at_least``), farther
    ones may have been listed. Raises `CalendarError` for a product without rules, a date before
    its first contract, a year outside the calendar and a text that is no date.
    """
    return _listed(product, iso_date(on))


def kind_of(product: str, expiry: str, on: str) -> Kind | None:
    """Return the kind of an expiry on a date; None if it is not listed. Raises as `expiries`."""
    return next((listed.kind for listed in expiries(product, on) if listed.date == expiry), None)


def is_expiry(product: str, date: str) -> bool:
    """True if a contract of the product expires on the date. Raises as `expiries`."""
    return kind_of(product, date, date) is not None


@lru_cache(maxsize=_KEPT)
def _listed(product: str, on: date) -> tuple[Expiry, ...]:
    found = [
        Expiry(_date_of(product, period, on).isoformat(), kind)
        for period, kind in _periods(product, on)
    ]
    return tuple(sorted(found, key=lambda expiry: expiry.date))


@lru_cache(maxsize=_KEPT)
def _periods(product: str, on: date) -> tuple[tuple[_Period, Kind], ...]:
    row = _listing(product, on)
    first = max(on, row.first_expiry)
    from_here = (month for month in _months(on) if _date_of(product, month, on) >= first)
    monthlies = list(islice(from_here, row.monthly))
    later = _months(_following(monthlies[-1]).start)
    quarterlies = list(
        islice((month for month in later if month.start.month in _QUARTERS), row.quarterly)
    )
    half_yearlies = islice(
        (month for month in later if month.start.month in _HALF_YEARS), row.half_yearly
    )
    return (
        *((week, "weekly") for week in _weeks(product, on, row)),
        *((month, "monthly") for month in monthlies),
        *((month, "quarterly") for month in quarterlies),
        *((month, "half_yearly") for month in half_yearlies),
    )


def _weeks(product: str, on: date, row: Listing) -> list[_Period]:
    """Return the weeks of the listed weeklies."""
    weeks: list[_Period] = []
    start = on - on.weekday() * _DAY
    while len(weeks) < row.weekly:
        week = _Period("week", start)
        start += _WEEK
        expires = _date_of(product, week, on)
        if expires > row.last_weekly:
            break
        if expires >= on and not _has_monthly(product, week, on):
            weeks.append(week)
    return weeks


def _has_monthly(product: str, week: _Period, on: date) -> bool:
    """True if the monthly of the week's month, or of the next, has its nominal day in the week."""
    ends = {(week.start + days * _DAY).replace(day=1) for days in (0, 6)}
    days = (_nominal(product, _Period("month", month), on) for month in ends)
    return any(week.start <= day < week.start + _WEEK for day in days)


def _date_of(product: str, period: _Period, on: date) -> date:
    """Return the day on which the period's contract expires, as planned on a date."""
    day = _nominal(product, period, on)
    for row in contract_facts().moved:
        if (row.product, row.nominal) == (product, day) and row.start <= on:
            return row.expiry
    while not _trades(day, on):
        day -= _DAY
    return day


@lru_cache(maxsize=_KEPT)
def _nominal(product: str, period: _Period, on: date) -> date:
    """Return the period's day by the weekday rule that its contract follows on a date."""
    for rule in reversed(contract_facts().weekday):
        if product in rule.products and rule.cycle == period.cycle:
            day = period.last(_WEEKDAYS.index(rule.weekday))
            if day >= rule.expiring_from and _follows_rule(product, period, on, rule):
                return day
    raise CalendarError(f"no expiry weekday is known for {product} on {on}")


def _follows_rule(product: str, period: _Period, on: date, rule: WeekdayRule) -> bool:
    """True if a contract follows a rule: all since ``start``, new ones since ``new_from``."""
    if rule.start <= on:
        return True
    if rule.new_from is None or on < rule.new_from:
        return False
    return period not in (listed for listed, _ in _periods(product, rule.new_from - _DAY))


def _trades(day: date, on: date) -> bool:
    """True if contracts can expire on a day, as far as holidays are known on a date."""
    facts = contract_facts()
    if day.weekday() >= len(_WEEKDAYS) or f"{day:%m-%d}" in facts.holidays.fixed:
        return False
    if on < _holidays_known_from(day.year):
        return True
    calendar = nse_calendar()
    closed = day in calendar.closures or day in calendar.holiday_sessions
    return not closed or any(row.date == day and on < row.start for row in facts.late_closure)


def _holidays_known_from(year: int) -> date:
    facts = contract_facts()
    for row in facts.holidays_applied:
        if row.year == year:
            return row.start
    return date(year - 1, facts.holidays.usual_month, facts.holidays.usual_day)


def _listing(product: str, on: date) -> Listing:
    rows = [row for row in contract_facts().listing if row.product == product]
    if not rows:
        raise CalendarError(f"no expiry rules are known for {product}")
    calendar = nse_calendar()
    if not calendar.first_year <= on.year <= calendar.last_year:
        covers = f"expiries are known for {calendar.first_year} to {calendar.last_year}"
        raise CalendarError(f"{covers}, not {on.year} (asked about {product} on {on})")
    row = in_force(rows, on)
    if row is None:
        raise CalendarError(f"{product} has contracts from {rows[0].start}, not on {on}")
    return row


def _months(start: date) -> Iterator[_Period]:
    """Yield the month of a date and all that follow."""
    first = start.year * 12 + start.month - 1
    return (_Period("month", date(n // 12, n % 12 + 1, 1)) for n in count(first))


def _following(month: _Period) -> _Period:
    return next(islice(_months(month.start), 1, None))
