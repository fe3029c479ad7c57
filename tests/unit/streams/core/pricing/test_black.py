"""Prices and Greeks against figures of 60 digits, and at the edges."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from optionstream.streams.core.pricing.black import black76_price, scaled_value
from optionstream.streams.core.pricing.greeks import forward_greeks
from optionstream.streams.core.pricing.implied import implied_volatility
from tests.unit.streams.core.pricing.oracle import PATIENT

MINUTE = 1.902587519025875e-06


class Exact(NamedTuple):
    """An option at rate 0 and its figures, computed with mpmath at 60 digits and rounded."""

    forward: float
    strike: float
    years: float
    sigma: float
    is_call: bool
    price: float
    delta: float
    gamma: float
    theta: float
    vega: float


# fmt: off
TABLE = [
    Exact(24000.0, 24000.0, MINUTE, 0.12, True, 1.5848015044597428, 0.5000330166980096,
          0.1004257895498504, -1141.0570806058618, 0.13206679173678956),
    Exact(24000.0, 24000.0, MINUTE, 0.001, False, 0.013206679218906262, -0.4999997248608496,
          12.051094787250054, -9.508809037611002, 0.1320667921890417),
    Exact(24013.7, 24050.0, MINUTE, 0.35, True, 0.0027924386580200963, 0.000878301125747614,
          0.00025780221220749226, -24.94698292570157, 0.0009899596399087925),
    Exact(24000.0, 24000.25, MINUTE, 0.01, True, 0.0430342650165902, 0.2250706305747544,
          0.9061253248661371, -71.49701193464315, 0.09930140546478215),
    Exact(24000.0, 20000.0, 0.019178082191780823, 0.15, False, 4.24778363967104e-17,
          -7.656628940389499e-19, 1.3666055830390292e-20, -2.4261929255049066e-16,
          2.264446730471246e-16),
    Exact(24000.0, 36000.0, 0.0821917808219178, 0.12, True, 1.954859787710458e-30,
          2.833826452078701e-32, 4.067909910223723e-34, -4.6220372547068005e-30,
          2.3110186273534004e-29),
    Exact(24000.0, 24000.0, 5.0, 5.0, True, 23999.999455566034, 0.9999999886576257,
          2.434403354936745e-13, -4.802110727546456e-06, 3.505540831108913e-05),
    Exact(24000.0, 60000.0, 5.0, 0.2, True, 123.80400875139075, 0.03397927525882022,
          7.026266434089929e-06, -0.22176051868689312, 40.47129466035799),
    Exact(100.0, 1000.0, 0.25, 0.2, True, 1.7548573778025513e-117, 4.0646401635021734e-117,
          9.356481172365067e-117, -5.1268389985562016e-117, 4.678240586182534e-116),
    Exact(24000.0, 5000.0, 2.0, 0.9, False, 638.1173119862602, -0.0308241281981011,
          2.2780300336465403e-06, -1.455942044517986, 23.618615388847328),
]
# fmt: on


@pytest.mark.parametrize("exact", TABLE)
def test_price_and_greeks_have_full_relative_precision_out_of_the_money(exact: Exact) -> None:
    strike, is_call = np.array([exact.strike]), np.array([exact.is_call])
    price = black76_price(exact.forward, strike, exact.years, exact.sigma, is_call)
    greeks = forward_greeks(exact.forward, strike, exact.years, exact.sigma, is_call, price)
    found = [price[0], *(column[0] for column in greeks[:4])]
    # exp(-z^2/2) magnifies the rounding of z by z^2, here up to 530.
    np.testing.assert_allclose(found, exact[5:], rtol=1e-12)


@pytest.mark.parametrize("exact", TABLE)
def test_the_volatility_of_an_exact_price_is_exact_where_the_price_tells_it(exact: Exact) -> None:
    sigma, _ = implied_volatility(
        exact.forward,
        np.array([exact.strike]),
        exact.years,
        np.array([exact.is_call]),
        np.array([exact.price]),
    )
    # Rounding of the premium moves sigma by its last digit over vega.
    told = np.spacing(exact.price) / (100.0 * exact.vega)
    assert sigma[0] == pytest.approx(exact.sigma, rel=3e-14, abs=2.0 * told)


@pytest.mark.parametrize(("years", "sigma"), [(0.0, 0.2), (0.1, 0.0), (0.0, 0.0)])
def test_without_time_or_volatility_a_price_is_its_intrinsic_value(
    years: float, sigma: float
) -> None:
    strike = np.array([90.0, 90.0, 110.0, 110.0, 100.0])
    is_call = np.array([True, False, True, False, True])
    price = black76_price(100.0, strike, years, sigma, is_call, discount=0.5)
    assert price.tolist() == [5.0, 0.0, 0.0, 5.0, 0.0]


def test_a_price_nears_its_maximum_and_never_passes_it() -> None:
    strike = np.array([50.0, 100.0, 400.0])
    calls, puts = np.array([True] * 3), np.array([False] * 3)
    for sigma in (8.0, 20.0, 80.0, 1e6):
        call = black76_price(100.0, strike, 1.0, sigma, calls, discount=0.9)
        put = black76_price(100.0, strike, 1.0, sigma, puts, discount=0.9)
        np.testing.assert_allclose(call, [90.0] * 3, rtol=5e-4)
        np.testing.assert_allclose(put, 0.9 * strike, rtol=5e-4)
        assert (call <= 90.0 * (1 + 1e-15)).all() and (put <= 0.9 * strike * (1 + 1e-15)).all()


@PATIENT
@given(st.floats(1.0, 1e5), st.floats(-2.0, 2.0), st.floats(0.0, 5.0), st.floats(0.5, 1.0))
def test_a_call_less_its_put_is_the_discounted_forward_less_the_strike(
    forward: float, moneyness: float, total: float, discount: float
) -> None:
    strike = np.full(2, forward * np.exp(moneyness))
    call, put = black76_price(forward, strike, 1.0, total, np.array([True, False]), discount)
    scale = 1e-15 * max(forward, strike[0])
    assert call - put == pytest.approx(discount * (forward - strike[0]), rel=1e-14, abs=scale)


@PATIENT
@given(st.floats(-2.0, 2.0), st.booleans(), st.lists(st.floats(0.0, 10.0), min_size=2))
def test_a_price_rises_with_volatility(moneyness: float, call: bool, sigmas: list[float]) -> None:
    strike = np.full(len(sigmas), 100.0 * np.exp(moneyness))
    kinds = np.full(len(sigmas), call)
    prices = black76_price(100.0, strike, 1.0, np.sort(np.array(sigmas)), kinds)
    assert (np.diff(prices) >= -1e-14 * prices[1:]).all()


@PATIENT
@given(st.floats(-30.0, 0.0), st.floats(1e-3, 4.0))
def test_what_an_option_is_worth_and_what_it_lacks_make_its_maximum(h: float, t: float) -> None:
    column, total, one = np.array([h]), np.array([t]), np.array([1.0])
    worth, lacking = scaled_value(column, total, one), -scaled_value(column, total, -one)
    # exp(x/2) / (s v), with x = 2 h t.
    maximum = np.sqrt(2.0 * np.pi) * np.exp(0.5 * (h + t) ** 2) / (2.0 * t)
    assert worth + lacking == pytest.approx(maximum, rel=1e-12)
    assert scaled_value(column, total) == worth
