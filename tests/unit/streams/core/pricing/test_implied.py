"""The solver: its reasons, its rules, its safeguard."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from optionstream.streams.core.pricing.black import black76_price
from optionstream.streams.core.pricing.implied import REASONS, RESOLUTION, implied_volatility
from tests.unit.streams.core.pricing.oracle import PATIENT, strict_errors

NAN = float("nan")
CALL, PUT = True, False


def solved(
    forward: float, strike: float, years: float, call: bool, premium: float, discount: float = 1.0
) -> tuple[float, str | None]:
    with strict_errors():
        sigma, reasons = implied_volatility(
            forward, np.array([strike]), years, np.array([call]), np.array([premium]), discount
        )
    return float(sigma[0]), REASONS[reasons[0]]


@pytest.mark.parametrize(
    ("forward", "strike", "years", "call", "premium", "reason"),
    [
        (100.0, 90.0, NAN, CALL, 12.0, "no_expiry"),
        (NAN, 90.0, NAN, CALL, NAN, "no_expiry"),
        (100.0, 90.0, 0.0, CALL, 12.0, "expired"),
        (100.0, 90.0, -0.1, CALL, NAN, "expired"),
        (NAN, 90.0, 0.1, CALL, 12.0, "no_forward"),
        (0.0, 90.0, 0.1, CALL, 12.0, "no_forward"),
        (-5.0, 90.0, 0.1, PUT, NAN, "no_forward"),
        (100.0, 90.0, 0.1, CALL, NAN, "no_price"),
        (100.0, 90.0, 0.1, PUT, 0.0, "no_price"),
        (100.0, 90.0, 0.1, CALL, -1.0, "no_price"),
        (100.0, 90.0, 0.1, CALL, 9.99, "below_intrinsic"),
        (100.0, 110.0, 0.1, PUT, 9.99, "below_intrinsic"),
        (100.0, 90.0, 0.1, CALL, 100.0, "above_maximum"),
        (100.0, 90.0, 0.1, CALL, 250.0, "above_maximum"),
        (100.0, 90.0, 0.1, PUT, 90.0, "above_maximum"),
        (100.0, 90.0, 0.1, CALL, 10.0, "time_value_too_small"),
        (100.0, 110.0, 0.1, PUT, 10.0 * (1 + 1e-15), "time_value_too_small"),
        (100.0, 110.0, 0.1, CALL, 5e-324, "time_value_too_small"),
        (100.0, 110.0, 0.1, CALL, 0.05, None),
        (100.0, 90.0, 0.1, CALL, 99.999, None),
    ],
)
def test_a_leg_without_volatility_says_why(
    forward: float, strike: float, years: float, call: bool, premium: float, reason: str | None
) -> None:
    sigma, found = solved(forward, strike, years, call, premium)
    assert found == reason
    assert np.isnan(sigma) == (reason is not None)


def test_bounds_are_discounted() -> None:
    assert solved(100.0, 90.0, 1.0, CALL, 9.1, discount=0.9)[1] is None
    assert solved(100.0, 90.0, 1.0, CALL, 8.9, discount=0.9)[1] == "below_intrinsic"
    assert solved(100.0, 90.0, 1.0, CALL, 90.0, discount=0.9)[1] == "above_maximum"
    assert solved(100.0, 90.0, 1.0, PUT, 81.0, discount=0.9)[1] == "above_maximum"


def test_forward_and_time_may_differ_by_leg() -> None:
    forward, years = np.array([100.0, 200.0, NAN]), np.array([0.1, 2.0, 0.1])
    strike, is_call = np.array([105.0, 190.0, 100.0]), np.array([True, False, True])
    premium = black76_price(forward, strike, years, 0.3, is_call)
    sigma, reasons = implied_volatility(forward, strike, years, is_call, premium)
    np.testing.assert_allclose(sigma, [0.3, 0.3, NAN], rtol=1e-13)
    assert [REASONS[code] for code in reasons] == [None, None, "no_forward"]


def test_a_chain_where_nothing_can_be_solved_is_all_reasons() -> None:
    strike, is_call = np.array([90.0, 100.0]), np.array([True, False])
    sigma, reasons = implied_volatility(100.0, strike, 0.1, is_call, np.array([NAN, 0.0]))
    assert np.isnan(sigma).all()
    assert [REASONS[code] for code in reasons] == ["no_price", "no_price"]


ln_moneyness = st.floats(-3.0, 3.0)
total_volatilities = st.floats(1e-6, 4.0)


def normalised(moneyness: float, total: float, call: bool) -> tuple[float, float, float, float]:
    """Strike, price, vega per 1.00, time value; the forward is 100 and the time a year."""
    strike = 100.0 * np.exp(moneyness)
    column, kind = np.array([strike]), np.array([call])
    price = float(black76_price(100.0, column, 1.0, total, kind)[0])
    h, t = moneyness / total, 0.5 * total
    vega = float(np.sqrt(100.0 * strike) * np.exp(-0.5 * (h * h + t * t)) / np.sqrt(2 * np.pi))
    return strike, price, vega, price - max(100.0 - strike if call else strike - 100.0, 0.0)


@PATIENT
@given(ln_moneyness, total_volatilities, st.booleans())
def test_a_price_gives_back_its_volatility_as_well_as_its_digits_tell_it(
    moneyness: float, total: float, call: bool
) -> None:
    strike, price, vega, time_value = normalised(moneyness, total, call)
    sigma, reason = solved(100.0, strike, 1.0, call, price)
    noise = RESOLUTION * price
    told = noise / max(vega, 1e-300)
    if price > 1e-280 and told < 1e-3 * total:
        assert reason is None
        assert abs(sigma - total) <= 1e-13 * total + told
    if reason is None:
        again = black76_price(100.0, np.array([strike]), 1.0, sigma, np.array([call]))
        assert again[0] == pytest.approx(price, rel=1e-11)
    else:
        assert reason in {"time_value_too_small", "no_price", "above_maximum", "below_intrinsic"}
        room = (100.0 if call else strike) - price
        assert time_value <= 2.0 * noise + 1e-280 or room <= 2.0 * noise


@PATIENT
@given(
    st.floats(50.0, 200.0),
    st.booleans(),
    st.lists(st.floats(0.0, 1.0), min_size=2, max_size=40, unique=True),
)
def test_a_higher_premium_never_has_a_lower_volatility(
    strike: float, call: bool, parts: list[float]
) -> None:
    least = max(100.0 - strike if call else strike - 100.0, 0.0)
    most = 100.0 if call else strike
    premium = least + np.sort(np.array(parts)) * (most - least)
    legs = np.full(len(parts), strike), 0.25, np.full(len(parts), call)
    with strict_errors():
        sigma, _ = implied_volatility(100.0, *legs, premium)
    found = sigma[np.isfinite(sigma)]
    assert (np.diff(found) >= -1e-13 * found[1:]).all()


@PATIENT
@given(st.floats(-1.0, 1.0), st.floats(0.01, 3.0), st.floats(0.5, 1.0))
def test_a_call_and_a_put_in_parity_have_one_volatility(
    moneyness: float, total: float, discount: float
) -> None:
    strike = np.full(2, 100.0 * np.exp(moneyness))
    is_call = np.array([True, False])
    premium = black76_price(100.0, strike, 1.0, total, is_call, discount)
    sigma, reasons = implied_volatility(100.0, strike, 1.0, is_call, premium, discount)
    _, _, vega, _ = normalised(moneyness, total, True)
    told = RESOLUTION * premium.max() / max(vega * discount, 1e-300)
    if told < 1e-3 * total:
        assert not reasons.any()
        assert abs(sigma[0] - sigma[1]) <= 1e-13 * total + told


@PATIENT
@given(
    st.lists(st.tuples(st.floats(50.0, 200.0), st.booleans(), st.floats(-1.0, 120.0)), min_size=1)
)
def test_a_leg_is_solved_as_if_it_stood_alone(rows: list[tuple[float, bool, float]]) -> None:
    strike, is_call, premium = (np.array(column) for column in zip(*rows, strict=True))
    with strict_errors():
        sigma, reasons = implied_volatility(100.0, strike, 0.1, is_call, premium)
    alone = [solved(100.0, *row[:1], 0.1, *row[1:]) for row in rows]
    np.testing.assert_allclose(sigma, [value for value, _ in alone], rtol=1e-12)
    assert [REASONS[code] for code in reasons] == [reason for _, reason in alone]
