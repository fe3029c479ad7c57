"""Implied volatility and Greeks of a chain in one call."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from optionstream.schemas.derived import IvMode
from optionstream.streams.core.pricing.black import Bools, Floats, Number
from optionstream.streams.core.pricing.greeks import Greeks, forward_greeks, spot_greeks
from optionstream.streams.core.pricing.implied import SOLVED, Codes, Legs, Reason, classify, solve

COLUMNS: Final = ("iv", *Greeks._fields)
_IV: Final = COLUMNS.index("iv")
_GAMMA: Final = COLUMNS.index("gamma")


@dataclass(frozen=True, slots=True)
class Priced:
    """The figures of each leg: ``columns`` has a row for each name of ``COLUMNS``, NaN in all of
    them where ``reason``, the code of ``implied.Reason``, is not 0.

    ``iv`` is a decimal (0.12 is 12 %); the Greeks are in the units of ``greeks.Greeks``.
    """

    columns: Floats
    reason: Codes

    @property
    def iv(self) -> Floats:
        """Implied volatility of each leg, a decimal."""
        column: Floats = self.columns[_IV]
        return column

    @property
    def gamma(self) -> Floats:
        """Gamma of each leg, per index point squared."""
        column: Floats = self.columns[_GAMMA]
        return column


def price_chain(
    mode: IvMode,
    strike: Floats,
    is_call: Bools,
    premium: Floats,
    underlying: Number,
    years: Number,
    rate: float,
) -> Priced:
    """Compute volatilities and Greeks of legs given as columns of equal length.

    ``underlying`` is the forward (``black76``) or the spot (``nse``) in rupees, ``years`` as
    ``modes.years_to_expiry`` counts them, both one number or one for each leg; ``rate`` is a
    continuously compounded decimal, ``premium`` in rupees. NaN stands for what is not known,
    except of strikes, which are above 0.
    """
    discount = np.exp(-rate * years)
    forward = underlying if mode == "black76" else underlying / discount
    legs = Legs.of(forward, strike, years, is_call, premium / discount)
    reason = classify(legs)
    if mode == "nse":
        np.copyto(reason, Reason.EXPIRY_DAY, where=np.equal(years, 0.0))
    solved = reason == SOLVED
    columns = np.full((len(COLUMNS), len(strike)), np.nan)
    if solved.any():
        legs = legs.only(solved)
        sigma = solve(legs)
        columns[0, solved] = sigma
        columns[1:, solved] = _greeks(mode, legs, sigma, rate)
    return Priced(columns, reason)


def _greeks(mode: IvMode, legs: Legs, sigma: Floats, rate: float) -> Greeks:
    forward, strike, years, is_call, value, *_ = legs
    discount = np.exp(-rate * years)
    if mode == "nse":
        return spot_greeks(forward * discount, strike, years, sigma, is_call, rate)
    return forward_greeks(forward, strike, years, sigma, is_call, value * discount, rate)
