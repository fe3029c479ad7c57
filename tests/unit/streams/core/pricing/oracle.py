"""QuantLib as an independent oracle of one option, and random options to try."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import QuantLib as ql
from hypothesis import settings

from optionstream.streams.core.pricing.black import Bools, Floats

MINUTE = 1.0 / 525_600.0
PATIENT = settings(deadline=None)
"""For property tests: a busy machine is no failure."""


class Options(NamedTuple):
    forward: Floats
    strike: Floats
    years: Floats
    sigma: Floats
    is_call: Bools

    def calculator(self, leg: int, sigma: float, discount: float = 1.0) -> ql.BlackCalculator:
        """QuantLib's analytic formulas for one leg."""
        kind = ql.Option.Call if self.is_call[leg] else ql.Option.Put
        payoff = ql.PlainVanillaPayoff(kind, float(self.strike[leg]))
        deviation = float(sigma * np.sqrt(self.years[leg]))
        return ql.BlackCalculator(payoff, float(self.forward[leg]), deviation, discount)


def random_options(count: int, seed: int) -> Options:
    """From one minute to five years and 0.1 % to 500 %, a tenth of them far from the money.

    Moneyness is drawn in units of the total volatility, which is what makes an option deep.
    """
    rng = np.random.default_rng(seed)
    years = rng.choice(
        np.array([MINUTE, 60 * MINUTE, 1 / 365, 7 / 365, 30 / 365, 0.25, 1.0, 5.0]), count
    )
    sigma = np.exp(rng.uniform(np.log(0.001), np.log(5.0), count))
    depth = np.where(rng.random(count) < 0.1, 7.0, 2.0)
    moneyness = np.clip(depth * rng.standard_normal(count) * sigma * np.sqrt(years), -5.0, 5.0)
    forward = np.exp(rng.uniform(np.log(100.0), np.log(80_000.0), count))
    strike = forward * np.exp(moneyness)
    return Options(forward, strike, years, sigma, rng.random(count) < 0.5)


def strict_errors() -> np.errstate:
    """Whatever NumPy would warn of is an error; of underflow to 0 it never warns."""
    return np.errstate(all="raise", under="ignore")
