"""Volatilities that verify solves: they give the value back, from the least to the greatest."""

from __future__ import annotations

from math import log, sqrt

import numpy as np
import pytest

from optionstream.streams.core.pricing.black import black76_price
from optionstream.streams.verify.chains.pricing import Parts, option_value
from optionstream.streams.verify.chains.volatility import Solved, total_volatility

FORWARD = 21_700.0


def solved(strike: np.ndarray, value: np.ndarray) -> Solved:
    return total_volatility(
        np.full_like(strike, FORWARD), strike, Parts(value, np.zeros_like(value))
    )


@pytest.mark.parametrize("total", [1e-5, 1e-3, 0.01, 0.1, 1.0, 5.0])
@pytest.mark.parametrize("apart", [0.0, 1e-4, 0.5, 3.0, 12.0])
@pytest.mark.parametrize("sign", [-1, 1])
def test_the_volatility_of_a_value_is_the_one_it_was_made_with(
    total: float, apart: float, sign: int
) -> None:
    """``apart`` is the distance of the strike in standard deviations."""
    strike = np.array([FORWARD * np.exp(sign * apart * total)])
    parts, _ = option_value(FORWARD, strike, np.array([total]))
    found = solved(strike, parts.value)
    assert found.total[0] == pytest.approx(total, rel=1e-9)
    assert found.rounding[0] < 1e-8


def test_a_value_near_its_maximum_tells_how_little_it_says() -> None:
    strike = np.array([FORWARD])
    parts, _ = option_value(FORWARD, strike, np.array([14.0]))
    found = solved(strike, parts.value)
    assert found.rounding[0] > 1e-8
    assert abs(found.total[0] - 14.0) <= 14.0 * found.rounding[0] * 2


def test_values_of_every_size_are_solved_together() -> None:
    strike = FORWARD * np.exp(np.linspace(-1, 1, 400))
    value = np.minimum(strike, FORWARD) * np.exp(np.linspace(log(1e-280), log(0.9), 400))
    found = solved(strike, value)
    parts, _ = option_value(FORWARD, strike, found.total)
    assert np.isfinite(found.total).all()
    assert parts.value == pytest.approx(value, rel=1e-9)


def test_the_core_prices_give_their_volatility_back() -> None:
    """The core's formula is written differently: in another order, with other functions."""
    strikes = np.arange(20_000.0, 23_400.0, 50.0)
    years, sigma = 7 / 365, 0.13
    is_call = strikes >= FORWARD
    value = black76_price(FORWARD, strikes, years, np.full_like(strikes, sigma), is_call)
    found = solved(strikes, value)
    assert found.total / sqrt(years) == pytest.approx(np.full_like(strikes, sigma), rel=1e-10)
