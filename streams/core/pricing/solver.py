"""Black's formula solved for the total volatility, all legs at once.

The unknown is s = sigma sqrt(T) of the out-of-the-money option of a strike (see ``black``). The
solver works on ln b, or on ln c where more than half of the maximum is reached: neither
underflows, and both are near enough to a power of s for Householder's steps of third order. The
first guess is within 1e-4 for options as they trade (s below 0.2), so that one step is enough for
the digits of a double; where it is not there are more, and a leg on which they fail is bisected.
"""

from __future__ import annotations

from math import pi, sqrt
from typing import Final

import numpy as np
from scipy.special import ndtri

from optionstream.streams.core.pricing.black import LOG_ROOT_2PI, Bools, Floats, scaled_value

_ROUNDS: Final = 8
_CONVERGED: Final = 1e-4
"""Relative step after which the error is below double precision: it falls with the 4th power."""
_ABOVE: Final = (6.238847e-05, 8.194573e-03, 3.737756e-02, 2.380118e-01, 6.365897e-01)
_BELOW: Final = (3.124422e-05, 4.438246e-03, 4.801694e-02, 2.230519e-01, 1.372022, 1.0)
"""Numerator and denominator of the first guess, the highest power first; a fit of least maximum
error, made for this module."""
_HALVINGS: Final = 64


def total_volatility(x: Floats, b: Floats, c: Floats) -> Floats:
    """Return s of normalised values ``b``, at distances ``c`` from their maximum; x = -|ln(F/K)|.

    ``b``, ``c`` and ``-x`` are at least 1e-290.
    """
    side, target = None, np.log(b)
    upper = b > c
    if upper.any():
        side, target = np.where(upper, -1.0, 1.0), np.log(np.where(upper, c, b))
    s = _first_guess(x, b, c, upper)
    step = _householder(x, s, target, side)
    s *= 1.0 + step
    far = ~(np.abs(step) <= _CONVERGED)
    if far.any():
        sides = np.ones_like(s) if side is None else side
        s[far] = _further(x[far], s[far], b[far], target[far], sides[far])
    return s


def _further(x: Floats, s: Floats, b: Floats, target: Floats, side: Floats) -> Floats:
    """Steps until each leg has settled. One that has takes no more, whatever the others need: the
    last digit of a volatility does not depend on the legs it is solved with."""
    s, moving = s.copy(), np.arange(len(s))
    for _ in range(_ROUNDS - 1):
        step = _householder(x[moving], s[moving], target[moving], side[moving])
        s[moving] *= 1.0 + step
        moving = moving[~(np.abs(step) <= _CONVERGED)]
        if not moving.size:
            return s
    s[moving] = bisect(x[moving], b[moving], target[moving], side[moving])
    return s


def _first_guess(x: Floats, b: Floats, c: Floats, upper: Bools) -> Floats:
    """Bachelier's model for small s: b/|x| = n(y)/y - N(-y) with y = |x|/s.

    y as a function of q = ln(1 + |x|/2b) is fitted by a rational function that is of first order
    in q at 0 and of order sqrt(q) at infinity, as y is; it is within 3e-5 for every q up to 730.
    What Black's model adds in the order s^3 comes after. Near the maximum c is about
    2 cosh(x/2) N(-s/2).
    """
    q = np.log1p(x / (-2.0 * b))
    y = q * np.sqrt(_horner(_ABOVE, q) / _horner(_BELOW, q))
    s: Floats = -x / y
    s *= 1.0 + s * s / (24.0 + 10.0 * y * y)
    if upper.any():
        s[upper] = -2.0 * ndtri(c[upper] / (2.0 * np.cosh(0.5 * x[upper])))
    return s


def _horner(coefficients: tuple[float, ...], q: Floats) -> Floats:
    """Evaluate the polynomial with these coefficients, the highest power first."""
    result = coefficients[0] * q
    for coefficient in coefficients[1:-1]:
        result += coefficient
        result *= q
    result += coefficients[-1]
    return result


def _householder(x: Floats, s: Floats, target: Floats, side: Floats | None) -> Floats:
    """Return the step of third order on ln b (or ln c) towards ``target``, as a part of s.

    ``scaled``, a = s v'/v = h^2 - t^2 and s^2 v''/v = a^2 - 3 h^2 - t^2 give all derivatives.
    Source: A. S. Householder, "The numerical treatment of a single nonlinear equation" (1970).
    """
    h, t = x / s, 0.5 * s
    h2, t2 = h * h, t * t
    scaled = scaled_value(h, t, side)
    newton = (target - _log_value(scaled, s, h2, t2)) * scaled
    slope, bend = 1.0 / scaled, h2 - t2
    second = bend - slope
    third = second * (second - slope) - 3.0 * h2 - t2
    step: Floats = (
        newton
        * (1.0 + 0.5 * second * newton)
        / (1.0 + newton * (second + third * newton * (1.0 / 6.0)))
    )
    return step


def _log_value(scaled: Floats, s: Floats, h2: Floats, t2: Floats) -> Floats:
    """Return ln b (or ln c) from b/(s v)."""
    return np.log(np.abs(scaled) * s) - 0.5 * (h2 + t2) - LOG_ROOT_2PI


def bisect(x: Floats, b: Floats, target: Floats, side: Floats) -> Floats:
    """Return s to the last digit by halving ln s: slow, and always right.

    Bounds: b is at most s/sqrt(2 pi), b at |x|/s = 40 is below every value that is solved, and c
    is at most exp(-s^2/8) once s^2 is above 2|x|.
    """
    low = np.maximum(sqrt(2.0 * pi) * 0.999 * b, -x / 40.0)
    high = np.sqrt(300.0 - 4.0 * x)
    for _ in range(_HALVINGS):
        s = np.sqrt(low) * np.sqrt(high)
        h, t = x / s, 0.5 * s
        found = _log_value(scaled_value(h, t, side), s, h * h, t * t)
        too_low = (found - target) * side < 0.0
        low, high = np.where(too_low, s, low), np.where(too_low, high, s)
    return np.sqrt(low) * np.sqrt(high)
