"""Option prices off a smile: Black-76 on the forward, volatility a parabola in log-moneyness."""

from __future__ import annotations

from dataclasses import dataclass
from math import erf
from typing import Final

import numpy as np

from optionstream.producers.simulated.underlying import Floats

RATE: Final = 0.065
"""Interest per year, continuously compounded."""
YEAR_MS: Final = 365 * 86_400_000
_LEAST_YEARS: Final = 60_000 / YEAR_MS
_SQRT_HALF: Final = np.sqrt(0.5)


@dataclass(frozen=True, slots=True)
class Quotes:
    """Fair values in rupees and volatility as a decimal, of the strikes of many captures."""

    call: Floats
    put: Floats
    volatility: Floats


def price_options(
    spot: Floats, strikes: Floats, to_expiry_ms: Floats, at_the_money: Floats
) -> Quotes:
    """``strikes`` is captures × strikes; the other arguments have one value for each capture.

    ``at_the_money`` is the volatility a month out. Source: F. Black, "The pricing of commodity
    contracts", Journal of Financial Economics 3 (1976).
    """
    years = np.maximum(to_expiry_ms / YEAR_MS, _LEAST_YEARS)[:, None]
    forward = spot[:, None] * np.exp(RATE * years)
    discount = np.exp(-RATE * years)
    volatility = smile(np.log(strikes / forward), years, at_the_money[:, None])
    deviation = volatility * np.sqrt(years)
    d1 = np.log(forward / strikes) / deviation + deviation / 2.0
    call = discount * (forward * normal_cdf(d1) - strikes * normal_cdf(d1 - deviation))
    put = call - discount * (forward - strikes)
    return Quotes(np.maximum(call, 0.0), np.maximum(put, 0.0), volatility)


def smile(log_moneyness: Floats, years: Floats, at_the_money: Floats) -> Floats:
    """Higher for low strikes, a parabola in log-moneyness that flattens with time to expiry."""
    month = 1.0 / 12.0
    level = at_the_money * (1.0 + 0.08 * np.tanh((month - years) / month))
    scaled = log_moneyness / np.sqrt(np.maximum(years, 1.0 / 365.0))
    shaped: Floats = level * np.clip(1.0 - 0.35 * scaled + 0.55 * scaled**2, 0.6, 4.0)
    return shaped


def normal_cdf(values: Floats) -> Floats:
    """Distribution function of the standard normal; numpy has none."""
    flat = [erf(value) for value in (values * _SQRT_HALF).ravel().tolist()]
    return 0.5 * (1.0 + np.array(flat).reshape(values.shape))
