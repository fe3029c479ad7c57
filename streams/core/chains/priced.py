"""Prices of chains: premiums, forward, the strike at the money, volatilities, Greeks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import exp

import numpy as np

from optionstream.schemas.derived import Greeks, IvMode
from optionstream.schemas.errors import CalendarError
from optionstream.schemas.events import ChainSnapshot, OiUnit
from optionstream.streams.core.chains.figures import (
    EXPIRED,
    NO_ATM,
    NO_EXPIRY,
    NO_FORWARD,
    NO_IV,
    NO_OI,
    NO_PRICE,
    OI_IN_LOTS,
    Figure,
    null,
)
from optionstream.streams.core.chains.table import (
    CALL,
    IS_CALL,
    PUT,
    Bools,
    ChainTable,
    Floats,
    any_leg,
    lists,
)
from optionstream.streams.core.market.contracts import expiry_instant
from optionstream.streams.core.pricing.chain import COLUMNS, price_chain
from optionstream.streams.core.pricing.implied import REASONS, SOLVED, Codes, Reason
from optionstream.streams.core.pricing.modes import DEFAULT_RATE, premiums, years_to_expiry
from optionstream.streams.core.pricing.parity import forwards_from_parity

_GREEK_COLUMNS = (*COLUMNS, "oi_intraday", "gex")
_ONE_PERCENT = 0.01
_BELOW_INTRINSIC = int(Reason.BELOW_INTRINSIC)


@dataclass(frozen=True, slots=True)
class PricedChain:
    """What follows from the prices of one chain. ``premium`` and ``iv`` are (2, strikes); ``atm``
    is a position among the strikes."""

    strikes: Floats
    premium: Floats
    iv: Floats
    rate: float
    years: Figure
    forward: Figure
    atm: int | None
    gex_total: Figure
    reasons: list[int]
    """How many of the present legs have each code of ``implied.Reason``."""

    @property
    def atm_strike(self) -> Figure:
        """The strike nearest to the forward, rupees."""
        return null(NO_FORWARD) if self.atm is None else Figure(float(self.strikes[self.atm]))

    @property
    def straddle(self) -> Figure:
        """Call plus put premium at the money, rupees."""
        if self.atm is None:
            return null(NO_ATM)
        call, put = self.premium[:, self.atm].tolist()
        total = call + put
        return null(NO_PRICE) if total != total else Figure(total)

    @property
    def atm_iv(self) -> Figure:
        """Mean volatility of the legs at the money, a decimal."""
        if self.atm is None:
            return null(NO_ATM)
        known = [iv for iv in self.iv[:, self.atm].tolist() if iv == iv]
        return Figure(sum(known) / len(known)) if known else null(NO_IV)

    @property
    def legs_with_iv(self) -> int:
        """How many legs have a volatility."""
        return self.reasons[SOLVED]

    @property
    def has_below_intrinsic(self) -> bool:
        """True if the premium of a leg is below its intrinsic value."""
        return self.reasons[_BELOW_INTRINSIC] > 0

    def figures(self) -> dict[str, Figure]:
        """Return what may be null, by the names in the record."""
        return {
            "years": self.years,
            "forward": self.forward,
            "atm_strike": self.atm_strike,
            "atm_iv": self.atm_iv,
            "straddle": self.straddle,
            "gex_total": self.gex_total,
        }

    def null_reasons(self) -> dict[str, int]:
        """Return how many of the present legs have no volatility, by reason."""
        counts = zip(REASONS, self.reasons, strict=True)
        return {name: count for name, count in counts if name and count}


@dataclass(frozen=True, slots=True)
class PricedTable:
    """The chains of a table and the figures of their legs: ``columns`` is (6, chains, 2, strikes)
    in the order of ``pricing.chain.COLUMNS``, ``reason`` and ``gex`` are (chains, 2, strikes)."""

    chains: list[PricedChain]
    columns: Floats
    reason: Codes
    gex: Floats

    def greeks(self, table: ChainTable, oi_intraday: Floats) -> list[tuple[Greeks, Greeks]]:
        """Return the computed columns of the calls and of the puts of each chain; a missing leg
        has None in each."""
        sides = 2 * len(self.chains)
        columns = lists(np.concatenate((self.columns, oi_intraday[None], self.gex[None])))
        reasons = self._reasons(table.present)
        greeks = [
            Greeks(
                reason=reasons[side],
                **dict(zip(_GREEK_COLUMNS, columns[side::sides], strict=True)),
            )
            for side in range(sides)
        ]
        return list(zip(greeks[::2], greeks[1::2], strict=True))

    def _reasons(self, present: Bools) -> list[list[str | None]]:
        """Return the reason for which each leg has no volatility, by side."""
        codes = self.reason.reshape(-1, self.reason.shape[-1])
        named: list[list[str | None]] = [[None] * codes.shape[-1] for _ in codes]
        there = present.reshape(codes.shape)
        for side, leg in np.argwhere((codes != SOLVED) & there).tolist():
            named[side][leg] = REASONS[codes[side, leg]]
        return named


def price(chains: Sequence[ChainSnapshot], table: ChainTable, mode: IvMode) -> PricedTable:
    """Price every leg of the snapshots of a table (docs/pricing.md); ``chains`` are its chains."""
    rate = DEFAULT_RATE[mode]
    premium = premiums(mode, table.bid, table.ask, table.last)
    shape, legs_each = premium.shape, premium[0].size
    years = [years_to_expiry(mode, one.ts_event, one.expiry, _instant(one)) for one in chains]
    discounts = [exp(-rate * left) if left > 0 else 1.0 for left in years]
    forwards = forwards_from_parity(table.strikes, premium[:, CALL], premium[:, PUT], discounts)
    spots = [one.underlying_price for one in chains]
    underlying = np.array(
        [forward for forward, _ in forwards] if mode == "black76" else spots, dtype=np.float64
    )
    legs = price_chain(
        mode,
        np.repeat(table.strikes, 2, axis=0).ravel(),
        _is_call(shape),
        premium.ravel(),
        np.repeat(underlying, legs_each),
        np.repeat(np.array(years), legs_each),
        rate,
    )
    iv, reason = legs.iv.reshape(shape), legs.reason.reshape(shape)
    gex = _gamma_exposure(table, legs.gamma.reshape(shape), underlying)
    reasons = _counted(table, reason)
    gex_totals = _gex_totals(table, gex, reasons)
    priced = [
        PricedChain(
            strikes=table.strikes[at],
            premium=premium[at],
            iv=iv[at],
            rate=rate,
            years=_years(years[at]),
            forward=Figure(forward, why),
            atm=_at_the_money(table.strikes[at], spots[at] if forward is None else forward),
            gex_total=gex_totals[at],
            reasons=reasons[at],
        )
        for at, (forward, why) in enumerate(forwards)
    ]
    return PricedTable(priced, legs.columns.reshape(-1, *shape), reason, gex)


@lru_cache(maxsize=1_024)
def _is_call(shape: tuple[int, ...]) -> Bools:
    """Return which legs of a table of that shape are calls, one after the other. Read-only."""
    column = np.broadcast_to(IS_CALL, shape).ravel()
    column.flags.writeable = False
    return column


def _instant(chain: ChainSnapshot) -> int | None:
    try:
        return expiry_instant(chain.product, chain.expiry)
    except CalendarError:
        return None


def _years(years: float) -> Figure:
    if years != years:
        return null(NO_EXPIRY)
    return null(EXPIRED) if years < 0 else Figure(years)


def _at_the_money(strikes: Floats, price: float | None) -> int | None:
    """Return the position of the strike nearest to ``price``, of two the lower."""
    return None if price is None else int(np.argmin(np.abs(strikes - price)))


def _counted(table: ChainTable, reason: Codes) -> list[list[int]]:
    """Return for each chain how many of its present legs have each code."""
    codes = len(REASONS)
    first = codes * np.arange(len(reason))[:, None, None]
    counts = np.bincount((reason + first)[table.present], minlength=codes * len(reason))
    by_code: list[list[int]] = counts.reshape(-1, codes).tolist()
    return by_code


def _gamma_exposure(table: ChainTable, gamma: Floats, underlying: Floats) -> Floats:
    """Return the rupees by which the delta of each leg's open interest changes for a move of 1 %,
    puts negative (docs/pricing.md). NaN where open interest is in lots."""
    shares = gamma * table.oi * np.where(IS_CALL, 1.0, -1.0)
    gex: Floats = shares * (underlying * underlying * _ONE_PERCENT)[:, None, None]
    for at, unit in enumerate(table.oi_unit):
        if unit == "lots":
            gex[at] = np.nan
    return gex


def _gex_totals(table: ChainTable, gex: Floats, reasons: Sequence[Sequence[int]]) -> list[Figure]:
    known = ~np.isnan(gex)
    sums, is_known = np.where(known, gex, 0.0).reshape(len(gex), -1).sum(axis=1), any_leg(known)
    return [
        Figure(float(sums[at])) if is_known[at] else null(_no_gex(unit, reasons[at][SOLVED]))
        for at, unit in enumerate(table.oi_unit)
    ]


def _no_gex(unit: OiUnit, legs_with_iv: int) -> str:
    if unit == "lots":
        return OI_IN_LOTS
    return NO_OI if legs_with_iv else NO_IV
