"""Implied volatility, solved a second time: Newton's step on the logarithm, between bounds.

Single legs need no solving (`legs`): repricing judges their volatilities. A surface has also those
between strikes and expiries, which no premium can judge; so its smiles are solved from the input.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from optionstream.streams.verify.chains.pricing import Parts, distance, option_value
from optionstream.streams.verify.chains.sides import Floats
from optionstream.streams.verify.chains.tolerances import EPSILON, ROUNDED

_MOST_STEPS = 200
_COARSEST = 1e-3
"""The last step is never wider than this part, however much rounding there is."""
_AT_THE_MONEY = 2.5
"""About √(2π): at the money the value is the total volatility divided by that, of the price."""


class Solved(NamedTuple):
    """``total``: volatility times √years; ``rounding``: the part of it that rounding may make."""

    total: Floats
    rounding: Floats


def total_volatility(forward: Floats, strike: Floats, value: Parts) -> Solved:
    """Solve for the total volatility at which options out of the money have their ``value``.

    Columns of one length; rupees, undiscounted, above 0 and below the lesser of forward and strike.
    """
    guess = _AT_THE_MONEY * value.value / np.sqrt(forward * strike)
    total = np.maximum(np.sqrt(2 * distance(forward, strike)), guess)
    low, high, rounding = np.zeros_like(total), np.full_like(total, np.inf), np.zeros_like(total)
    left = np.arange(len(total))
    with np.errstate(all="ignore"):
        for _ in range(_MOST_STEPS):
            if not left.size:
                break
            now, wanted = total[left], value.value[left]
            found, slope = option_value(forward[left], strike[left], now)
            too_low = ~(found.value >= wanted)
            low[left] = np.where(too_low, now, low[left])
            high[left] = np.where(too_low, high[left], now)
            step = now + np.log(wanted / found.value) * found.value / slope
            bounded = (step > low[left]) & (step < high[left])
            middle = np.where(np.isinf(high[left]), 2 * now, (low[left] + high[left]) / 2)
            total[left] = following = np.where(bounded, step, middle)
            rounding[left] = rounded = ROUNDED * (found.size + value.size[left]) / slope / now
            close = abs(following - now) <= now * np.clip(rounded, 2 * EPSILON, _COARSEST)
            left = left[~close]
    return Solved(total, rounding)
