"""Black's formula without cancellation, and prices from it.

Every option is reduced to the out-of-the-money one of its strike. With x = -|ln(F/K)|, total
volatility s = sigma sqrt(T), h = x/s, t = s/2, normal distribution N and density n,

    b = exp(x/2) N(h + t) - exp(-x/2) N(h - t)        its normalised value
    c = exp(x/2) - b                                  how far it stays below its maximum
    v = exp(-(h^2 + t^2)/2) / sqrt(2 pi)              db/ds

and the undiscounted price is sqrt(F K) b + intrinsic value. Source: F. Black, "The pricing of
commodity contracts", Journal of Financial Economics 3 (1976); the normalised form is that of
P. Jaeckel, "Let's be rational", Wilmott (2015).
"""

from __future__ import annotations

from math import log, pi, sqrt
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import erfcx

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Number = float | Floats
"""One number for all legs, or an array with one for each."""

LOG_ROOT_2PI: Final = 0.5 * log(2.0 * pi)
_ROOT_HALF: Final = sqrt(0.5)
_ROOT_HALF_PI: Final = sqrt(0.5 * pi)
_SERIES_BELOW: Final = 0.12
"""Value of t below which the series is more exact than the difference."""
_SERIES_TERMS: Final = 6
"""After the first; what is left out is below a quarter of the first's last digit."""
_LEAST: Final = 1e-290
"""Stands for a distance of 0, so that x/s and x/b need no case of their own at the money."""
_LEAST_H: Final = -200.0
"""Below it v is 0 in double precision."""


def black76_price(
    forward: Number,
    strike: Floats,
    years: Number,
    sigma: Number,
    is_call: Bools,
    discount: Number = 1.0,
) -> Floats:
    """Return Black-76 prices in rupees, one for each strike (F. Black, 1976).

    ``forward`` and ``strike`` are rupees above 0, ``years`` and ``sigma`` (a decimal) 0 or more,
    ``discount`` is the value now of one rupee at expiry. Out of the money the result has full
    relative precision, however small it is; in the money it adds the intrinsic value.
    """
    total = np.broadcast_to(sigma * np.sqrt(years), strike.shape)
    distance = log_distance(forward, strike)
    alive = total > _LEAST
    # Any other total volatility serves where there is none: its value is thrown away below.
    s = np.where(alive, total, 1.0)
    h, t = np.maximum(-distance / s, _LEAST_H), 0.5 * s
    # Where most of the maximum is reached the value follows from what is missing.
    side = np.where(h + t > 1.0, -1.0, 1.0)
    v = np.exp(-0.5 * (h * h + t * t) - LOG_ROOT_2PI)
    b = scaled_value(h, t, side) * s * v
    b += np.where(side < 0.0, np.exp(-0.5 * distance), 0.0)
    outside = np.where(alive, np.sqrt(forward * strike) * b, 0.0)
    price: Floats = discount * (outside + intrinsic(forward, strike, is_call))
    return price


def intrinsic(forward: Number, strike: Floats, is_call: Bools) -> Floats:
    """Return max(F - K, 0) of calls, max(K - F, 0) of puts; undiscounted rupees."""
    ahead = forward - strike
    return np.maximum(np.where(is_call, ahead, -ahead), 0.0)


def log_distance(forward: Number, strike: Floats) -> Floats:
    """Return |ln(F/K)|, at full relative precision near the money too; at the money ``_LEAST``."""
    distance = np.log1p(np.abs(forward - strike) / np.minimum(forward, strike))
    return np.maximum(distance, _LEAST, out=distance)


def scaled_value(h: Floats, t: Floats, side: Floats | None = None) -> Floats:
    """Return b/(s v) where ``side`` is 1 or not given, -c/(s v) where it is -1; t above 0.

    With Mills' ratio Y(z) = N(z)/n(z), b/v = Y(h + t) - Y(h - t) and c/v = Y(-h - t) + Y(h - t):
    no exponential, so nothing under- or overflows, and only the first has a cancellation, for
    small t. There it is summed as a series.
    """
    if side is None:
        if t.max() < _SERIES_BELOW:
            return _series(h, t)
        scaled = (_mills(h + t) - _mills(h - t)) / (2.0 * t)
        small = t < _SERIES_BELOW
    else:
        scaled = (side * _mills(side * (h + t)) - _mills(h - t)) / (2.0 * t)
        small = (t < _SERIES_BELOW) & (side > 0.0)
    if small.any():
        scaled[small] = _series(h[small], t[small])
    return scaled


def _mills(z: Floats) -> Floats:
    ratio: Floats = _ROOT_HALF_PI * erfcx(-_ROOT_HALF * z)
    return ratio


def _series(h: Floats, t: Floats) -> Floats:
    """Return (Y(h + t) - Y(h - t)) / 2t by Taylor's series: sum of t^2n Y^(2n+1)(h) / (2n+1)!.

    From Y' = 1 + z Y follows Y^(2n+3) = (h^2 + 4n+3) Y^(2n+1) - 2n(2n+1) Y^(2n-1), which the loop
    uses for the terms themselves. Against the first, the n-th is at most t^2n / (3 5 ... (2n+1)).
    As many for every t, so that a leg's value does not depend on the legs beside it.
    """
    t2 = t * t
    t4, four_t2 = t2 * t2, 4.0 * t2
    factor = h * h * t2 + 3.0 * t2
    newer = 1.0 + h * _mills(h)
    total = newer.copy()
    carried = t2
    for n in range(_SERIES_TERMS):
        term = factor * newer
        term -= carried
        term /= (2 * n + 2) * (2 * n + 3)
        total += term
        carried = t4 * newer
        factor += four_t2
        newer = term
    return total
