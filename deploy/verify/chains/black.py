"""Prices and Greeks by their textbook formulas, for a volatility that is given.

Black (1976) on the forward, or Black and Scholes (1973) on the spot; docs/pricing.md has both. The
normal distribution is taken from the complementary error function, N(z) = erfc(-z / √2) / 2.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, pi, sqrt

import numpy as np
from scipy.special import erfc

from optionstream.deploy.verify.chains.sides import Bools, Floats

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
        return exp(-self.rate * self.years)

    @property
    def forward(self) -> float:
        return self.price / self.discount if self.on_spot else self.price


@dataclass(frozen=True, slots=True)
class Parts:
    """A figure of each leg, and the size of what rounding made an error in on the way to it."""

    value: Floats
    size: Floats


def time_value(market: Market, strike: Floats, iv: Floats) -> Parts:
    """Undiscounted price of the option of each strike that is out of the money, rupees.

    Rounding enters by both terms, and by d1 and d2: N(z) changes by about z² of a change of z.
    """
    d1, d2 = _d(market, strike, iv)
    sign = np.where(strike >= market.forward, 1.0, -1.0)
    mine, theirs = market.forward * _normal(sign * d1), strike * _normal(sign * d2)
    return Parts(sign * (mine - theirs), (mine + theirs) * (1 + d1 * d1))


def greeks(
    market: Market, strike: Floats, is_call: Bools, premium: Floats, iv: Floats
) -> dict[str, Parts]:
    """Delta, gamma, theta (a calendar day), vega (a volatility point) and rho (1 % of rate)."""
    d1, d2 = _d(market, strike, iv)
    sign = np.where(is_call, 1.0, -1.0)
    carried = 1.0 if market.on_spot else market.discount
    density = np.exp(-d1 * d1 / 2) / sqrt(2 * pi)
    vega = market.price * carried * density * sqrt(market.years)
    decay = vega * iv / (2 * market.years)
    if market.on_spot:
        paid = sign * strike * market.discount * _normal(sign * d2)
        interest, rho = -market.rate * paid, market.years * paid
    else:
        interest, rho = market.rate * premium, -market.years * premium
    return {
        "delta": _alone(sign * carried * _normal(sign * d1)),
        "gamma": _alone(carried * density / (market.price * iv * sqrt(market.years))),
        "theta": Parts((interest - decay) / DAYS_A_YEAR, (abs(interest) + decay) / DAYS_A_YEAR),
        "vega": _alone(vega * POINT),
        "rho": _alone(rho * POINT),
    }


def _d(market: Market, strike: Floats, iv: Floats) -> tuple[Floats, Floats]:
    total = iv * sqrt(market.years)
    ahead = market.forward - strike
    # ln(F/K) without the rounding of F/K, which near the money would be most of it.
    apart = np.log1p(abs(ahead) / np.minimum(market.forward, strike))
    d1 = np.copysign(apart, ahead) / total + total / 2
    return d1, d1 - total


def _normal(z: Floats) -> Floats:
    half: Floats = erfc(-z / sqrt(2)) / 2
    return half


def _alone(value: Floats) -> Parts:
    return Parts(value, abs(value))
