"""The table of contract facts as typed rows: ``data/nse_contracts.toml``, checked when read.

What the rows mean is said in the file itself; the rules that use them are in `expiries` and
`contracts`. ``start`` of a row is its ``from``: the first trading date on which it holds.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from datetime import date, time
from functools import cache
from importlib import resources
from typing import Literal, Protocol, TypeVar

import msgspec

from optionstream.schemas.errors import CalendarError

Cycle = Literal["week", "month"]
Weekday = Literal["Monday", "Tuesday", "Wednesday", "Thursday", "Friday"]


class Fact(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A row with its source."""

    source: str


class DatedFact(Fact, frozen=True, kw_only=True, rename={"start": "from"}):
    """A row that holds from a date on."""

    start: date


class Listing(DatedFact, frozen=True, kw_only=True):
    """How many contracts of each kind are listed."""

    product: str
    weekly: int
    monthly: int
    quarterly: int
    half_yearly: int
    at_least: bool = False
    """True if ``weekly`` is a lower bound only."""
    last_weekly: date = date.max
    first_expiry: date = date.min


class WeekdayRule(DatedFact, frozen=True, kw_only=True):
    """The weekday on which contracts expire."""

    products: tuple[str, ...]
    cycle: Cycle
    weekday: Weekday
    new_from: date | None = None
    """The date from which contracts listed for the first time follow the rule already."""
    expiring_from: date = date.min


class Holidays(Fact, frozen=True, kw_only=True):
    """Holidays of fixed date, ``mm-dd``, and when a year's other holidays usually get known."""

    fixed: tuple[str, ...]
    usual_month: int
    usual_day: int


class HolidaysApplied(DatedFact, frozen=True, kw_only=True):
    """When the listed expiries began to avoid the holidays of a year."""

    year: int


class LateClosure(DatedFact, frozen=True, kw_only=True):
    """A closure that the listed expiries did not avoid before ``start``."""

    date: date


class Moved(DatedFact, frozen=True, kw_only=True):
    """An expiry that was put on another day than the rules give."""

    product: str
    nominal: date
    expiry: date


class ExpiryTime(DatedFact, frozen=True, kw_only=True):
    """The IST time at which contracts of a segment end."""

    segment: str
    time: time


class Lot(DatedFact, frozen=True, kw_only=True):
    """Shares of one lot for a range of expiries, both ends included."""

    product: str
    lot: int
    expiries_from: date
    expiries_to: date = date.max


class Grid(DatedFact, frozen=True, kw_only=True):
    """Distance of strikes near the money, index points, and strikes of the user's chain."""

    product: str
    strike_step: int
    chain_width: int


class Coverage(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How far the table is complete."""

    lots_until: date
    """The last date on which no later change of a lot can have taken effect."""


class ContractFacts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole table. Rows of a kind stand in the order of their ``start``."""

    coverage: Coverage
    listing: tuple[Listing, ...]
    weekday: tuple[WeekdayRule, ...]
    holidays: Holidays
    holidays_applied: tuple[HolidaysApplied, ...]
    late_closure: tuple[LateClosure, ...]
    moved: tuple[Moved, ...]
    expiry_time: tuple[ExpiryTime, ...]
    lot: tuple[Lot, ...]
    grid: tuple[Grid, ...]


class _Dated(Protocol):
    @property
    def start(self) -> date: ...


Row = TypeVar("Row", bound=_Dated)


@cache
def contract_facts() -> ContractFacts:
    """Return the packaged table of the National Stock Exchange."""
    path = resources.files("optionstream.streams.core.market.data") / "nse_contracts.toml"
    return msgspec.convert(tomllib.loads(path.read_text(encoding="utf-8")), ContractFacts)


def in_force(rows: Iterable[Row], on: date) -> Row | None:
    """Return the newest row whose ``start`` is not after a date; None before the first."""
    return max((row for row in rows if row.start <= on), key=lambda row: row.start, default=None)


def iso_date(text: str) -> date:
    """Parse an ISO date; raises `CalendarError` for anything else."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise CalendarError(f"{text!r} is no date: write it as 2025-10-28") from None
