"""Index option contracts: moment of expiry, lot size, strike step and chain width.

The facts are rows of ``data/nse_contracts.toml``, each with its dates and its source
(docs/calendar.md). Dates are IST, in ISO form. What no row covers is None, with a reason code
where a record needs one, or a `CalendarError`: never a guess.
"""

from __future__ import annotations

from datetime import date, datetime
from functools import lru_cache
from typing import Final

from optionstream.schemas.errors import CalendarError
from optionstream.schemas.times import IST, to_ms
from optionstream.streams.core.market.calendar import FNO, Session, nse_calendar
from optionstream.streams.core.market.contract_facts import Grid, contract_facts, in_force, iso_date
from optionstream.streams.core.market.expiries import Expiry, Kind, expiries, is_expiry, kind_of

__all__ = [
    "LOT_SIZE_UNKNOWN",
    "Expiry",
    "Kind",
    "chain_width",
    "expiries",
    "expiry_instant",
    "is_expiry",
    "kind_of",
    "lot_size",
    "sessions_for",
    "strike_step",
]

LOT_SIZE_UNKNOWN: Final = "lot_size_unknown"
"""Reason code of a record whose open interest stays in lots because `lot_size` is None."""

_KEPT: Final = 4096
"""Answers kept per function: a full day of every product needs a few hundred."""


def sessions_for(segment: str, date: date) -> tuple[Session, ...]:
    """Return the exchange's sessions of an IST date, as `Calendar.sessions_for`."""
    return nse_calendar().sessions_for(segment, date)


@lru_cache(maxsize=_KEPT)
def expiry_instant(product: str, expiry: str) -> int:
    """Return the instant at which a contract of that expiry ends, UTC epoch ms.

    It is the closing time of the derivatives segment in force on the date, the same for every
    product. The date need not be one of the product's expiries: long-dated contracts
    are listed with dates that move when a year's holidays are known. Raises `CalendarError` for a
    text that is no date and for a date before the table.
    """
    day = iso_date(expiry)
    rows = [row for row in contract_facts().expiry_time if row.segment == FNO]
    row = in_force(rows, day)
    if row is None:
        first = min(row.start for row in rows)
        raise CalendarError(f"times of expiry are known from {first}, not {product} of {expiry}")
    return to_ms(datetime.combine(day, row.time, tzinfo=IST))


@lru_cache(maxsize=_KEPT)
def lot_size(product: str, expiry: str, on: str) -> int | None:
    """Return the shares of one lot of the product's contracts of that expiry, on a trading date.

    A lot belongs to an expiry and a date: a change leaves the near contracts as they are and
    converts the long-dated ones later. After its expiry a contract keeps its last lot. None where
    no row covers it, or where a later review may have changed it: `LOT_SIZE_UNKNOWN`. Raises
    `CalendarError` for a text that is no date.
    """
    day = iso_date(expiry)
    last_day = min(iso_date(on), day)
    facts = contract_facts()
    if last_day > facts.coverage.lots_until:
        return None
    rows = (
        row
        for row in reversed(facts.lot)
        if row.product == product
        and row.start <= last_day
        and row.expiries_from <= day <= row.expiries_to
    )
    row = next(rows, None)
    return None if row is None else row.lot


@lru_cache(maxsize=_KEPT)
def strike_step(product: str, on: str) -> int | None:
    """Return the distance of neighbouring strikes near the money, index points; None if unknown.

    Raises `CalendarError` for a text that is no date.
    """
    row = in_force(_grids(product), iso_date(on))
    return None if row is None else row.strike_step


@lru_cache(maxsize=_KEPT)
def chain_width(product: str) -> int | None:
    """Return how many strikes of the user's chain are around the money, that at it included; None
    if unknown."""
    row = in_force(_grids(product), date.max)
    return None if row is None else row.chain_width


def _grids(product: str) -> list[Grid]:
    return [row for row in contract_facts().grid if row.product == product]
