"""The steps and their safeguard."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from optionstream.streams.core.pricing import solver
from optionstream.streams.core.pricing.black import black76_price
from optionstream.streams.core.pricing.implied import implied_volatility
from tests.unit.streams.core.pricing.oracle import PATIENT, strict_errors


@PATIENT
@given(st.floats(1e-290, 600.0), st.floats(1e-6, 650.0), st.booleans())
def test_halving_and_stepping_find_the_same(distance: float, depth: float, near: bool) -> None:
    """From the money to e^600 away, from 1e-280 to within 1e-15 of the maximum."""
    x = np.array([-distance])
    most = np.exp(0.5 * x)
    part = min(1.0 - 2e-15, -np.expm1(-depth)) if near else np.exp(-depth)
    b = np.maximum(most * part, 1e-280)
    c = most - b
    upper = bool(b[0] > c[0])
    target = np.log(c if upper else b)
    with strict_errors():
        stepped = solver.total_volatility(x, b, c)
        halved = solver.bisect(x, b, target, np.array([-1.0 if upper else 1.0]))
    np.testing.assert_allclose(stepped, halved, rtol=1e-12)


def test_legs_that_do_not_settle_are_bisected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(solver, "_ROUNDS", 1)
    strike, is_call = np.linspace(80.0, 120.0, 41), np.arange(41) % 2 == 0
    premium = black76_price(100.0, strike, 0.1, 0.4, is_call)
    sigma, reasons = implied_volatility(100.0, strike, 0.1, is_call, premium)
    assert not reasons.any()
    np.testing.assert_allclose(sigma, 0.4, rtol=1e-12)


@PATIENT
@given(st.floats(1e-6, 0.2), st.floats(0.0, 20.0))
def test_options_as_they_trade_need_one_step(total: float, depth: float) -> None:
    """Total volatility up to 0.2, up to 20 of it away from the money."""
    strike, is_call = np.array([100.0 * np.exp(total * depth)]), np.array([True])
    premium = black76_price(100.0, strike, 1.0, total, is_call)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(solver, "_ROUNDS", 1)
        patch.delattr(solver, "bisect")
        sigma, _ = implied_volatility(100.0, strike, 1.0, is_call, premium)
    # The strike is rounded, which tells when its distance from the money is small.
    assert sigma[0] == pytest.approx(total, rel=1e-14 + 1e-15 / total)
