"""Premiums, forward, time to expiry: what the figures of price follow from (docs/pricing.md)."""

from __future__ import annotations

from datetime import date
from math import exp, isnan, nan
from statistics import median

import numpy as np
from msgspec import Struct

from optionstream.deploy.verify.chains.black import DAYS_A_YEAR, Market
from optionstream.deploy.verify.chains.math import Figure, ratio
from optionstream.deploy.verify.chains.sides import Floats, Side
from optionstream.schemas.derived import IvMode
from optionstream.schemas.errors import CalendarError
from optionstream.schemas.events import LEG_COLUMNS, ChainSnapshot
from optionstream.schemas.times import DAY_MS, ist_date
from optionstream.streams.core.market.contracts import chain_width, expiry_instant

RATES: dict[IvMode, float] = {"black76": 0.0, "nse": 0.10}
PAIRS = 5
USUAL_NEAR = 10


class Basis(Struct, frozen=True):
    """The inputs of everything that hangs on prices; matrices as bytes, to be comparable.

    ``sides`` are the columns of calls and puts, ``years`` is NaN where the time of expiry is not
    known.
    """

    mode: IvMode
    unit: str
    spot: float | None
    years: float
    near: int
    strike_bytes: bytes
    side_bytes: bytes

    @property
    def rate(self) -> float:
        return RATES[self.mode]

    @property
    def strikes(self) -> Floats:
        return np.frombuffer(self.strike_bytes)

    @property
    def sides(self) -> tuple[Side, Side]:
        calls, puts = np.frombuffer(self.side_bytes).reshape(2, len(LEG_COLUMNS), -1)
        return Side(calls), Side(puts)

    @property
    def legs(self) -> int:
        """How many legs are there."""
        return sum(int(side.present.sum()) for side in self.sides)

    @property
    def premiums(self) -> tuple[Floats, Floats]:
        """Of calls and puts in rupees, NaN for none."""
        calls, puts = self.sides
        return _premium(calls, self.mode), _premium(puts, self.mode)

    @property
    def discount(self) -> float:
        return exp(-self.rate * self.years) if self.years > 0 else 1.0

    def forward(self) -> Figure:
        """By put-call parity: the median over the pairs whose premiums differ least."""
        calls, puts = self.premiums
        pairs = [
            (abs(call - put), strike, strike + (call - put) / self.discount)
            for strike, call, put in zip(
                self.strikes.tolist(), calls.tolist(), puts.tolist(), strict=True
            )
            if not isnan(call - put)
        ]
        if not pairs:
            return None, "no_parity_pair"
        forward = median(implied for _, _, implied in sorted(pairs)[:PAIRS])
        return (forward, None) if forward > 0 else (None, "forward_not_positive")

    def market(self, forward: float | None) -> Market | None:
        """What the legs are priced by; None without a price or without time left."""
        price = self.spot if self.mode == "nse" else forward
        if price is None or not self.years > 0:
            return None
        return Market(price, self.years, self.rate, self.mode == "nse")

    def place(self, forward: float | None) -> int | None:
        """Position of the strike at the money."""
        price = self.spot if forward is None else forward
        if price is None:
            return None
        distances = [abs(strike - price) for strike in self.strikes.tolist()]
        return distances.index(min(distances))

    def at_the_money(self, forward: float | None) -> dict[str, Figure]:
        """The figures that hang on the strike at the money."""
        at = self.place(forward)
        if at is None:
            names = ("straddle", "pcr_oi_near", "pcr_volume_near")
            return {"atm_strike": (None, "no_forward"), **dict.fromkeys(names, (None, "no_atm"))}
        window = slice(max(at - self.near, 0), at + self.near + 1)
        calls, puts = (side.part(window) for side in self.sides)
        straddle = sum(float(premium[at]) for premium in self.premiums)
        return {
            "atm_strike": (float(self.strikes[at]), None),
            "straddle": (None, "no_price") if isnan(straddle) else (straddle, None),
            "pcr_oi_near": ratio(calls, puts, "oi"),
            "pcr_volume_near": ratio(calls, puts, "volume"),
        }


def basis_of(chain: ChainSnapshot, sides: tuple[Side, Side], unit: str, mode: IvMode) -> Basis:
    """The inputs of one snapshot; ``sides`` and ``unit`` as they go out."""
    width = chain_width(chain.product)
    return Basis(
        mode=mode,
        unit=unit,
        spot=chain.underlying_price,
        years=_years(chain, mode),
        near=USUAL_NEAR if width is None else width // 2,
        strike_bytes=np.array(chain.strikes, dtype=np.float64).tobytes(),
        side_bytes=np.stack([side.columns for side in sides]).tobytes(),
    )


def _years(chain: ChainSnapshot, mode: IvMode) -> float:
    if mode == "nse":
        today = date.fromisoformat(ist_date(chain.ts_event))
        return (date.fromisoformat(chain.expiry) - today).days / DAYS_A_YEAR
    try:
        left = expiry_instant(chain.product, chain.expiry) - chain.ts_event
    except CalendarError:
        return nan
    return left / (DAYS_A_YEAR * DAY_MS)


def _premium(side: Side, mode: IvMode) -> Floats:
    last, bid, ask = side["last"], side["bid"], side["ask"]
    traded = np.where(last > 0, last, np.nan)
    if mode == "nse":
        return traded
    return np.where((bid > 0) & (ask >= bid), (bid + ask) / 2, traded)
