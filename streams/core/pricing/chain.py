"""Implied volatility and Greeks of a chain in one call."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from optionstream.schemas.derived import IvMode
from optionstream.streams.core.pricing.black import Bools, Floats, Number
from optionstream.streams.core.pricing.greeks import Greeks, forward_greeks, spot_greeks
from optionstream.streams.core.pricing.implied import SOLVED, Codes, Legs, Reason, classify, solve


@dataclass(frozen=True, slots=True)
class Priced:
    """Columns with one value for each leg; NaN in all of them where ``reason`` is not 0.

    ``iv`` is a decimal (0.12 is 12 %), ``reason`` the code of ``implied.Reason``; the Greeks are
    in the units of ``greeks.Greeks``.
    """

    iv: Floats
    delta: Floats
    gamma: Floats
    theta: Floats
    vega: Floats
    rho: Floats
    reason: Codes


def price_chain(
    mode: IvMode,
    strike: Floats,
    is_call: Bools,
    premium: Floats,
    underlying: Number,
    years: Number,
    rate: float,
) -> Priced:
    """Volatilities and Greeks of legs given as columns of equal length.

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
    columns = np.full((6, len(strike)), np.nan)
    if solved.any():
        legs = legs.only(solved)
        sigma = solve(legs)
        columns[0, solved] = sigma
        columns[1:, solved] = _greeks(mode, legs, sigma, rate)
    iv, delta, gamma, theta, vega, rho = columns
    return Priced(iv, delta, gamma, theta, vega, rho, reason)


def _greeks(mode: IvMode, legs: Legs, sigma: Floats, rate: float) -> Greeks:
    forward, strike, years, is_call, value, *_ = legs
    discount = np.exp(-rate * years)
    if mode == "nse":
        return spot_greeks(forward * discount, strike, years, sigma, is_call, rate)
    return forward_greeks(forward, strike, years, sigma, is_call, value * discount, rate)
