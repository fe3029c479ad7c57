"""Premiums, forward and time to expiry; option values and Greeks (docs/pricing.md)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from math import exp, isnan, nan, pi, sqrt
from statistics import median

import numpy as np
from msgspec import Struct
from scipy.special import erfc

from optionstream.schemas.derived import IvMode
from optionstream.schemas.errors import CalendarError
from optionstream.schemas.events import LEG_COLUMNS, ChainSnapshot
from optionstream.schemas.times import DAY_MS, ist_date
from optionstream.streams.core.market.contracts import chain_width, expiry_instant
from optionstream.streams.verify.chains.math import Figure, ratio
from optionstream.streams.verify.chains.sides import Bools, Floats, Side

DAYS_A_YEAR = 365
POINT = 0.01
"""One volatility point, and 1 % of rate."""


@dataclass(frozen=True, slots=True)
class Market:
    """``price`` is the forward, or with ``on_spot`` the spot, in rupees; ``rate`` is continuously
    compounded."""

    price: float
    years: float
    rate: float
    on_spot: bool

    @property
    def discount(self) -> float:
        """Value now of one rupee at expiry."""
        return exp(-self.rate * self.years)

    @property
    def forward(self) -> float:
        """Forward in rupees."""
        return self.price / self.discount if self.on_spot else self.price

    @property
    def carried(self) -> float:
        """Value now of one unit of the price that delta is for."""
        return 1.0 if self.on_spot else self.discount


@dataclass(frozen=True, slots=True)
class Parts:
    """A figure of each leg, and the size of what rounding made an error in on the way to it."""

    value: Floats
    size: Floats


def time_value(market: Market, strike: Floats, iv: Floats) -> Parts:
    """Return the undiscounted price of each strike's option that is out of the money, rupees."""
    parts, _ = option_value(market.forward, strike, iv * sqrt(market.years))
    return parts


def option_value(forward: float | Floats, strike: Floats, total: Floats) -> tuple[Parts, Floats]:
    """Return `time_value` at the volatility ``total`` (for the whole time), and its slope.

    Rounding enters by both terms, and by d1 and d2: N(z) changes by about z² of a change of z.
    """
    d1, d2 = _d(forward, strike, total)
    sign = np.where(strike >= forward, 1.0, -1.0)
    mine, theirs = forward * normal(sign * d1), strike * normal(sign * d2)
    size = (mine + theirs) * (1 + d1 * d1)
    return Parts(sign * (mine - theirs), size), forward * density(d1)


def greeks(
    market: Market, strike: Floats, is_call: Bools, premium: Floats, iv: Floats
) -> dict[str, Parts]:
    """Return delta, gamma, theta (a calendar day), vega (a volatility point), rho (1 % of rate)."""
    d1, d2 = _d(market.forward, strike, iv * sqrt(market.years))
    sign = np.where(is_call, 1.0, -1.0)
    carried, dense = market.carried, density(d1)
    vega = market.price * carried * dense * sqrt(market.years)
    decay = vega * iv / (2 * market.years)
    if market.on_spot:
        paid = sign * strike * market.discount * normal(sign * d2)
        interest, rho = -market.rate * paid, market.years * paid
    else:
        interest, rho = market.rate * premium, -market.years * premium
    return {
        "delta": _alone(sign * carried * normal(sign * d1)),
        "gamma": _alone(carried * dense / (market.price * iv * sqrt(market.years))),
        "theta": Parts((interest - decay) / DAYS_A_YEAR, (abs(interest) + decay) / DAYS_A_YEAR),
        "vega": _alone(vega * POINT),
        "rho": _alone(rho * POINT),
    }


def delta(forward: Floats, strike: Floats, is_call: Bools, total: Floats) -> Floats:
    """Return the delta of each option at the volatility ``total``, before `Market.carried`."""
    d1, _ = _d(forward, strike, total)
    sign = np.where(is_call, 1.0, -1.0)
    found: Floats = sign * normal(sign * d1)
    return found


def distance(forward: float | Floats, strike: Floats) -> Floats:
    """Return |ln(F/K)| without the rounding of F/K, which near the money would be most of it."""
    found: Floats = np.log1p(abs(forward - strike) / np.minimum(forward, strike))
    return found


def normal(z: Floats) -> Floats:
    """Return the standard normal distribution, from the complementary error function."""
    half: Floats = erfc(-z / sqrt(2)) / 2
    return half


def density(z: Floats) -> Floats:
    """Return the density of the standard normal distribution."""
    found: Floats = np.exp(-z * z / 2) / sqrt(2 * pi)
    return found


def _d(forward: float | Floats, strike: Floats, total: Floats) -> tuple[Floats, Floats]:
    d1 = np.copysign(distance(forward, strike), forward - strike) / total + total / 2
    return d1, d1 - total


def _alone(value: Floats) -> Parts:
    return Parts(value, abs(value))


RATES: dict[IvMode, float] = {"black76": 0.0, "nse": 0.10}
PAIRS = 5
USUAL_NEAR = 10


class Basis(Struct, frozen=True):
    """The inputs of everything that follows from prices; matrices as bytes, to be comparable.

    ``years`` is NaN where the time of expiry is not known.
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
        """Interest rate of the mode, continuously compounded."""
        return RATES[self.mode]

    @property
    def strikes(self) -> Floats:
        """Strikes in rupees, rising."""
        return np.frombuffer(self.strike_bytes)

    @property
    def sides(self) -> tuple[Side, Side]:
        """Calls and puts."""
        calls, puts = np.frombuffer(self.side_bytes).reshape(2, len(LEG_COLUMNS), -1)
        return Side(calls), Side(puts)

    @property
    def legs(self) -> int:
        """How many legs are present."""
        return sum(int(side.present.sum()) for side in self.sides)

    @property
    def premiums(self) -> tuple[Floats, Floats]:
        """Premiums of calls and puts in rupees, NaN for none."""
        calls, puts = self.sides
        return _premium(calls, self.mode), _premium(puts, self.mode)

    @property
    def discount(self) -> float:
        """Value now of one rupee at expiry; 1 once that is past."""
        return exp(-self.rate * self.years) if self.years > 0 else 1.0

    def forward(self) -> Figure:
        """Return the forward by parity: the median of the pairs whose premiums differ least."""
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
        """Return what the legs are priced with; None without a price or without time left."""
        price = self.spot if self.mode == "nse" else forward
        if price is None or not self.years > 0:
            return None
        return Market(price, self.years, self.rate, self.mode == "nse")

    def place(self, forward: float | None) -> int | None:
        """Return the position of the strike at the money."""
        price = self.spot if forward is None else forward
        if price is None:
            return None
        distances = [abs(strike - price) for strike in self.strikes.tolist()]
        return distances.index(min(distances))

    def at_the_money(self, forward: float | None) -> dict[str, Figure]:
        """Return the figures that follow from the strike at the money."""
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
    """Return the inputs of one snapshot; ``sides`` and ``unit`` as they go out."""
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
