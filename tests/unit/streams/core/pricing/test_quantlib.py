"""QuantLib as an oracle on 10,000 random options.

QuantLib prices by F N(d1) - K N(d2), so its figures are good to some 1e-16 of the forward, not of
themselves: the absolute part of each tolerance.
"""

from __future__ import annotations

import numpy as np
import pytest
import QuantLib as ql

from optionstream.streams.core.pricing.black import Floats, black76_price
from optionstream.streams.core.pricing.greeks import forward_greeks, spot_greeks
from optionstream.streams.core.pricing.implied import implied_volatility
from tests.unit.streams.core.pricing.oracle import Options, random_options, strict_errors

COUNT = 10_000
RATE = 0.10
EPS = float(np.finfo(np.float64).eps)


@pytest.fixture(scope="module")
def options() -> Options:
    return random_options(COUNT, seed=20261125)


@pytest.fixture(scope="module")
def calculators(options: Options) -> list[ql.BlackCalculator]:
    """With ``RATE`` to each expiry; the forward is that of the options."""
    discount = np.exp(-RATE * options.years)
    return [
        options.calculator(leg, options.sigma[leg], float(discount[leg])) for leg in range(COUNT)
    ]


@pytest.fixture(scope="module")
def oracle_prices(calculators: list[ql.BlackCalculator]) -> Floats:
    return np.array([calculator.value() for calculator in calculators])


def agree(ours: Floats, theirs: list[float], noise: Floats) -> None:
    """Within 1e-8, beside ``noise``: the error that the oracle itself has."""
    excess = np.abs(ours - np.array(theirs)) - (1e-8 * np.abs(theirs) + noise)
    assert (excess <= 0.0).all(), f"leg {int(np.argmax(excess))}: {float(np.max(excess)):.3g}"


def test_prices_agree(options: Options, oracle_prices: Floats) -> None:
    forward, strike, years, sigma, is_call = options
    ours = black76_price(forward, strike, years, sigma, is_call, np.exp(-RATE * years))
    agree(ours, oracle_prices.tolist(), 8 * EPS * np.maximum(forward, strike))


def test_forward_greeks_agree(options: Options, calculators: list[ql.BlackCalculator]) -> None:
    forward, strike, years, sigma, is_call = options
    discount = np.exp(-RATE * years)
    price = black76_price(forward, strike, years, sigma, is_call, discount)
    ours = forward_greeks(forward, strike, years, sigma, is_call, price, RATE)
    legs = list(zip(calculators, forward.tolist(), years.tolist(), strict=True))
    size = 16 * EPS * np.maximum(forward, strike)
    steep = size / (sigma * np.sqrt(years))
    agree(ours.delta, [c.deltaForward() for c, _, _ in legs], steep / forward)
    agree(ours.gamma, [c.gammaForward() for c, _, _ in legs], steep / forward**2)
    agree(ours.vega, [0.01 * c.vega(t) for c, _, t in legs], steep * np.sqrt(years))
    agree(ours.theta, [c.theta(f, t) / 365 for c, f, t in legs], size + steep / years)
    agree(ours.rho, [-0.01 * t * c.value() for c, _, t in legs], size * years)


def test_spot_greeks_agree(options: Options, calculators: list[ql.BlackCalculator]) -> None:
    forward, strike, years, sigma, is_call = options
    spot = forward * np.exp(-RATE * years)
    ours = spot_greeks(spot, strike, years, sigma, is_call, RATE)
    legs = list(zip(calculators, spot.tolist(), years.tolist(), strict=True))
    size = 16 * EPS * np.maximum(forward, strike)
    steep = size / (sigma * np.sqrt(years))
    agree(ours.delta, [c.delta(s) for c, s, _ in legs], steep / spot)
    agree(ours.gamma, [c.gamma(s) for c, s, _ in legs], steep / spot**2)
    agree(ours.vega, [0.01 * c.vega(t) for c, _, t in legs], steep * np.sqrt(years))
    agree(ours.theta, [c.theta(s, t) / 365 for c, s, t in legs], size + steep / years)
    agree(ours.rho, [0.01 * c.rho(t) for c, _, t in legs], size + steep)


def test_the_volatility_of_an_oracle_price_reprices_in_the_oracle(
    options: Options, oracle_prices: Floats
) -> None:
    forward, strike, years, _, is_call = options
    discount = np.exp(-RATE * years)
    with strict_errors():
        found, reasons = implied_volatility(
            forward, strike, years, is_call, oracle_prices, discount
        )
    again = np.array(
        [
            options.calculator(leg, found[leg], float(discount[leg])).value()
            for leg in np.flatnonzero(reasons == 0)
        ]
    )
    solved = reasons == 0
    premium, size = oracle_prices[solved], np.maximum(forward, strike)[solved]
    np.testing.assert_array_less(np.abs(again - premium), 1e-13 * premium + 8 * EPS * size)


def test_the_volatility_of_an_oracle_price_is_the_one_it_was_made_with(
    options: Options, oracle_prices: Floats
) -> None:
    """Error of sigma: 1e-8 of it, and the oracle's own error of the premium over vega."""
    forward, strike, years, sigma, is_call = options
    discount = np.exp(-RATE * years)
    found, reasons = implied_volatility(forward, strike, years, is_call, oracle_prices, discount)
    vega = 100.0 * forward_greeks(forward, strike, years, sigma, is_call, oracle_prices).vega
    noise = 8 * EPS * np.maximum(forward, strike)
    told = noise / np.maximum(vega, 1e-300)
    plain = told < 0.01 * sigma
    assert plain.sum() > 0.75 * COUNT
    assert not reasons[plain].any()
    error = np.abs(found - sigma)[plain]
    np.testing.assert_array_less(error, (1e-8 * sigma + 2 * told)[plain])
    well = told < 1e-9 * sigma
    assert well.sum() > 0.5 * COUNT
    np.testing.assert_allclose(found[well], sigma[well], rtol=1e-8)


def test_only_prices_without_digits_are_not_solved(options: Options, oracle_prices: Floats) -> None:
    forward, strike, years, _, is_call = options
    discount = np.exp(-RATE * years)
    _, reasons = implied_volatility(forward, strike, years, is_call, oracle_prices, discount)
    value = oracle_prices / discount
    floor = np.maximum(np.where(is_call, forward - strike, strike - forward), 0.0)
    ceiling = np.where(is_call, forward, strike)
    noise = 32 * EPS * np.maximum(forward, strike)
    unsolved = reasons != 0
    assert unsolved.any()
    assert ((value - floor < noise) | (ceiling - value < noise))[unsolved].all()
