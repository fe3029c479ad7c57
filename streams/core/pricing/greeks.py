"""Greeks of all legs in one pass.

Each is a partial derivative of the premium in rupees, in the units of ``Greeks``; formulas and
conventions: docs/pricing.md. Source: J. C. Hull, "Options, Futures, and Other Derivatives",
chapters 18 and 19 (options on futures, Greek letters).
"""

from __future__ import annotations

from math import pi, sqrt
from typing import Final, NamedTuple

import numpy as np
from scipy.special import ndtr

from optionstream.streams.core.pricing.black import Bools, Floats, Number, log_distance

DAYS_PER_YEAR: Final = 365.0
_PERCENT: Final = 0.01
_DENSITY_AT_0: Final = 1.0 / sqrt(2.0 * pi)


class Greeks(NamedTuple):
    """Columns, one value for each leg.

    ``delta`` and ``gamma`` per index point and per index point squared; ``theta`` rupees per
    calendar day, ``vega`` rupees per volatility point (0.01), ``rho`` rupees per 1 % of rate.
    """

    delta: Floats
    gamma: Floats
    theta: Floats
    vega: Floats
    rho: Floats


def forward_greeks(
    forward: Number,
    strike: Floats,
    years: Number,
    sigma: Number,
    is_call: Bools,
    premium: Floats,
    rate: float = 0.0,
) -> Greeks:
    """Return Black-76 Greeks: the forward is the underlying, theta and rho hold it fixed.

    ``premium`` is the price in rupees at ``sigma``; ``rate`` a continuously compounded decimal.
    """
    discount = np.exp(-rate * years)
    root = np.sqrt(years)
    total = sigma * root
    d1 = _d1(forward, strike, total)
    sign = np.where(is_call, 1.0, -1.0)
    # n(d1) F D: what vega and theta have in common.
    weight = _density(d1) * (forward * discount)
    return Greeks(
        delta=sign * ndtr(sign * d1) * discount,
        gamma=weight / (forward * forward * total),
        theta=(rate * premium - weight * sigma * (0.5 / root)) * (1.0 / DAYS_PER_YEAR),
        vega=weight * (root * _PERCENT),
        rho=premium * (-_PERCENT * years),
    )


def spot_greeks(
    spot: Number,
    strike: Floats,
    years: Number,
    sigma: Number,
    is_call: Bools,
    rate: float,
) -> Greeks:
    """Return Black-Scholes Greeks without dividends: the spot is the underlying, and its forward
    moves with time and rate. Arguments as in `forward_greeks`."""
    discount = np.exp(-rate * years)
    root = np.sqrt(years)
    total = sigma * root
    d1 = _d1(spot / discount, strike, total)
    sign = np.where(is_call, 1.0, -1.0)
    weight = _density(d1) * spot
    # K D N(d2), negative for puts: the money borrowed to hold delta.
    loan = sign * ndtr(sign * (d1 - total)) * strike * discount
    return Greeks(
        delta=sign * ndtr(sign * d1),
        gamma=weight / (spot * spot * total),
        theta=(-rate * loan - weight * sigma * (0.5 / root)) * (1.0 / DAYS_PER_YEAR),
        vega=weight * (root * _PERCENT),
        rho=loan * (_PERCENT * years),
    )


def _d1(forward: Number, strike: Floats, total: Floats) -> Floats:
    moneyness = np.copysign(log_distance(forward, strike), forward - strike)
    d1: Floats = moneyness / total + 0.5 * total
    return d1


def _density(z: Floats) -> Floats:
    density: Floats = np.exp(-0.5 * z * z) * _DENSITY_AT_0
    return density
