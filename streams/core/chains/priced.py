"""The prices of a chain: premiums, forward, the strike at the money, volatilities, Greeks."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from optionstream.schemas import derived
from optionstream.schemas.derived import IvMode
from optionstream.schemas.errors import CalendarError
from optionstream.schemas.events import ChainSnapshot
from optionstream.streams.core.chains.figures import (
    EXPIRED,
    NO_ATM,
    NO_EXPIRY,
    NO_FORWARD,
    NO_IV,
    NO_PRICE,
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
    column,
)
from optionstream.streams.core.market.contracts import expiry_instant
from optionstream.streams.core.pricing.chain import Priced, price_chain
from optionstream.streams.core.pricing.implied import REASONS, Reason
from optionstream.streams.core.pricing.modes import DEFAULT_RATE, premiums, years_to_expiry
from optionstream.streams.core.pricing.parity import forward_from_parity

_COLUMNS = ("iv", "delta", "gamma", "theta", "vega", "rho")
_ONE_PERCENT = 0.01
_BELOW_INTRINSIC = int(Reason.BELOW_INTRINSIC)


@dataclass(frozen=True, slots=True)
class PricedChain:
    """What follows from the prices. ``premium`` and ``gex`` are (2, strikes); ``legs`` has calls
    and puts one after the other; ``atm`` is a position among the strikes."""

    table: ChainTable
    premium: Floats
    rate: float
    years: Figure
    forward: Figure
    atm: int | None
    legs: Priced
    gex: Floats
    reasons: list[int]
    """How many of the legs that are there have each code of ``implied.Reason``."""

    @property
    def atm_strike(self) -> Figure:
        if self.atm is None:
            return null(NO_FORWARD)
        return Figure(float(self.table.strikes[self.atm]))

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
        there: list[float] = self.legs.iv.reshape(2, -1)[:, self.atm].tolist()
        known = [iv for iv in there if iv == iv]
        return Figure(sum(known) / len(known)) if known else null(NO_IV)

    @property
    def legs_with_iv(self) -> int:
        return int(np.count_nonzero(~np.isnan(self.legs.iv)))

    @property
    def has_below_intrinsic(self) -> bool:
        return self.reasons[_BELOW_INTRINSIC] > 0

    def null_reasons(self) -> dict[str, int]:
        """How many legs that are there have no volatility, by reason."""
        counts = zip(REASONS, self.reasons, strict=True)
        return {name: count for name, count in counts if name and count}

    def greeks(self, side: int, oi_intraday: Floats) -> derived.Greeks:
        """The computed columns of one side; a leg that is missing has None in each."""
        strikes = len(self.table.strikes)
        rows = slice(side * strikes, (side + 1) * strikes)
        reasons = zip(
            self.legs.reason[rows].tolist(), self.table.present[side].tolist(), strict=True
        )
        return derived.Greeks(
            **{name: column(getattr(self.legs, name)[rows]) for name in _COLUMNS},
            reason=[REASONS[reason] if there else None for reason, there in reasons],
            oi_intraday=column(oi_intraday[side]),
            gex=column(self.gex[side]),
        )


def price(chain: ChainSnapshot, table: ChainTable, mode: IvMode) -> PricedChain:
    """Price every leg of a snapshot (docs/pricing.md)."""
    rate = DEFAULT_RATE[mode]
    premium = premiums(mode, table.bid, table.ask, table.last)
    years = years_to_expiry(mode, chain.ts_event, chain.expiry, _instant(chain))
    discount = float(np.exp(-rate * years)) if years > 0 else 1.0
    forward, why = forward_from_parity(table.strikes, premium[CALL], premium[PUT], discount)
    spot = chain.underlying_price
    underlying = forward if mode == "black76" else spot
    legs = price_chain(
        mode,
        np.concatenate((table.strikes, table.strikes)),
        _is_call(len(table.strikes)),
        premium.ravel(),
        np.nan if underlying is None else underlying,
        years,
        rate,
    )
    return PricedChain(
        table=table,
        premium=premium,
        rate=rate,
        years=_years(years),
        forward=Figure(forward, why),
        atm=_at_the_money(table.strikes, spot if forward is None else forward),
        legs=legs,
        gex=_gamma_exposure(table, legs, underlying),
        reasons=np.bincount(legs.reason[table.present.ravel()], minlength=len(REASONS)).tolist(),
    )


@lru_cache(maxsize=1_024)
def _is_call(strikes: int) -> Bools:
    """Of calls and puts one after the other. Shared: nobody may write to it."""
    column = np.repeat(IS_CALL, strikes, axis=1).ravel()
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
    """Position of the strike nearest to ``price``, of two the lower."""
    return None if price is None else int(np.argmin(np.abs(strikes - price)))


def _gamma_exposure(table: ChainTable, legs: Priced, underlying: float | None) -> Floats:
    """Rupees by which the delta of a leg's open interest changes for a move of 1 %; puts negative:
    who sold both is assumed to hedge (docs/pricing.md)."""
    if underlying is None or table.oi_unit == "lots":
        return np.full(table.oi.shape, np.nan)
    sign = np.where(IS_CALL, 1.0, -1.0)
    shares: Floats = legs.gamma.reshape(2, -1) * table.oi * sign
    return shares * (underlying * underlying * _ONE_PERCENT)
