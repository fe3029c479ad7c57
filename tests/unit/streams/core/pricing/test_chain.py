"""The one call for a chain, in both modes, against QuantLib; and what stays empty."""

from __future__ import annotations

import numpy as np
import pytest
import QuantLib as ql

from optionstream.schemas.derived import IvMode
from optionstream.streams.core.pricing.chain import COLUMNS, Priced, price_chain
from optionstream.streams.core.pricing.implied import REASONS
from tests.unit.streams.core.pricing.oracle import Options, strict_errors

UNDERLYING, YEARS, RATE = 24_013.7, 7 / 365, 0.10
STRIKE = np.tile(24_000.0 + 50.0 * np.arange(-10.0, 11.0), 2)
IS_CALL = np.arange(42) < 21
SIGMA = 0.12 + 4e-8 * (STRIKE - UNDERLYING) ** 2
NAN = float("nan")


def oracle(forward: float = UNDERLYING, rate: float = 0.0) -> list[ql.BlackCalculator]:
    legs, discount = len(STRIKE), float(np.exp(-rate * YEARS))
    chain = Options(np.full(legs, forward), STRIKE, np.full(legs, YEARS), SIGMA, IS_CALL)
    return [chain.calculator(leg, SIGMA[leg], discount) for leg in range(legs)]


def agree(priced: Priced, wanted: list[tuple[float, ...]]) -> None:
    assert not priced.reason.any()
    delta, gamma, theta, vega, rho = np.array(wanted).T
    assert COLUMNS == ("iv", "delta", "gamma", "theta", "vega", "rho")
    np.testing.assert_allclose(priced.iv, SIGMA, rtol=1e-10)
    told = [delta, gamma, theta / 365, vega / 100, rho / 100]
    np.testing.assert_allclose(priced.columns[1:], told, rtol=1e-9)


@pytest.mark.parametrize("rate", [0.0, 0.065])
def test_black76_takes_the_underlying_as_the_forward(rate: float) -> None:
    made = oracle(UNDERLYING, rate)
    premium = np.array([calculator.value() for calculator in made])
    priced = price_chain("black76", STRIKE, IS_CALL, premium, UNDERLYING, YEARS, rate)
    wanted = [
        (
            one.deltaForward(),
            one.gammaForward(),
            one.theta(UNDERLYING, YEARS),
            one.vega(YEARS),
            -YEARS * one.value(),
        )
        for one in made
    ]
    agree(priced, wanted)


def test_nse_takes_the_underlying_as_the_spot() -> None:
    made = oracle(UNDERLYING * float(np.exp(RATE * YEARS)), RATE)
    premium = np.array([calculator.value() for calculator in made])
    priced = price_chain("nse", STRIKE, IS_CALL, premium, UNDERLYING, YEARS, RATE)
    wanted = [
        (
            one.delta(UNDERLYING),
            one.gamma(UNDERLYING),
            one.theta(UNDERLYING, YEARS),
            one.vega(YEARS),
            one.rho(YEARS),
        )
        for one in made
    ]
    agree(priced, wanted)


@pytest.mark.parametrize("mode", ["black76", "nse"])
def test_greeks_are_null_exactly_where_the_volatility_is(mode: IvMode) -> None:
    premium = np.array([one.value() for one in oracle()])
    premium[[0, 5]] = 0.0, NAN
    premium[41] = 1.0
    with strict_errors():
        priced = price_chain(mode, STRIKE, IS_CALL, premium, UNDERLYING, YEARS, 0.0)
    named = {leg: REASONS[code] for leg, code in enumerate(priced.reason.tolist()) if code}
    assert named == {0: "no_price", 5: "no_price", 41: "below_intrinsic"}
    for column in priced.columns:
        assert (np.isnan(column) == (priced.reason != 0)).all()


@pytest.mark.parametrize(
    ("mode", "underlying", "years", "reason"),
    [
        ("black76", UNDERLYING, 0.0, "expired"),
        ("black76", UNDERLYING, -0.1, "expired"),
        ("nse", UNDERLYING, 0.0, "expiry_day"),
        ("nse", UNDERLYING, -1 / 365, "expired"),
        ("nse", UNDERLYING, NAN, "no_expiry"),
        ("black76", NAN, 0.1, "no_forward"),
        ("nse", 0.0, 0.1, "no_forward"),
    ],
)
def test_what_the_whole_chain_lacks_is_the_reason_of_each_leg(
    mode: IvMode, underlying: float, years: float, reason: str
) -> None:
    premium = np.where(IS_CALL, 100.0, NAN)
    with strict_errors():
        priced = price_chain(mode, STRIKE, IS_CALL, premium, underlying, years, RATE)
    assert {REASONS[code] for code in priced.reason} == {reason}
    assert all(np.isnan(column).all() for column in priced.columns)


def test_forward_and_time_may_be_given_by_leg() -> None:
    premium = np.array([one.value() for one in oracle()])
    once = price_chain("black76", STRIKE, IS_CALL, premium, UNDERLYING, YEARS, 0.0)
    forward, years = np.full(len(STRIKE), UNDERLYING), np.full(len(STRIKE), YEARS)
    each = price_chain("black76", STRIKE, IS_CALL, premium, forward, years, 0.0)
    for one, other in zip(once.columns, each.columns, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12)
