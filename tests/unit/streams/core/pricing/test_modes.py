"""Which price and how much time each mode takes, and the forward from parity."""

from __future__ import annotations

from statistics import median

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from optionstream.schemas.derived import IvMode
from optionstream.streams.core.pricing.black import Floats, black76_price
from optionstream.streams.core.pricing.modes import DEFAULT_RATE, premiums, years_to_expiry
from optionstream.streams.core.pricing.parity import forwards_from_parity
from tests.unit.streams.core.pricing.oracle import PATIENT
from tests.unit.streams.core.ticks.helpers import at

NAN = float("nan")


def forward_from_parity(
    strikes: Floats, calls: Floats, puts: Floats, discount: float = 1.0
) -> tuple[float | None, str | None]:
    """Of one chain."""
    return forwards_from_parity(strikes[None], calls[None], puts[None], [discount])[0]


CLOSE = at("2026-01-13 15:30:00")


@pytest.mark.parametrize(
    ("mode", "bid", "ask", "last", "price"),
    [
        ("black76", 10.0, 11.0, 12.0, 10.5),
        ("black76", 10.0, 10.0, 12.0, 10.0),
        ("black76", 10.0, 11.0, NAN, 10.5),
        ("black76", 11.0, 10.0, 12.0, 12.0),
        ("black76", 0.0, 11.0, 12.0, 12.0),
        ("black76", 10.0, 0.0, 12.0, 12.0),
        ("black76", NAN, 11.0, 12.0, 12.0),
        ("black76", 10.0, NAN, 12.0, 12.0),
        ("black76", 10.0, NAN, NAN, NAN),
        ("black76", NAN, NAN, 0.0, NAN),
        ("nse", 10.0, 11.0, 12.0, 12.0),
        ("nse", 10.0, 11.0, 0.0, NAN),
        ("nse", 10.0, 11.0, NAN, NAN),
    ],
)
def test_the_price_that_a_mode_takes(
    mode: IvMode, bid: float, ask: float, last: float, price: float
) -> None:
    found = premiums(mode, np.array([bid]), np.array([ask]), np.array([last]))
    np.testing.assert_array_equal(found, [price])


@pytest.mark.parametrize(
    ("mode", "now", "instant", "years"),
    [
        ("black76", "2026-01-13 15:29:00", CLOSE, 1 / 525_600),
        ("black76", "2026-01-06 15:30:00", CLOSE, 7 / 365),
        ("black76", "2026-01-13 15:30:00", CLOSE, 0.0),
        ("black76", "2026-01-13 15:31:00", CLOSE, -1 / 525_600),
        ("black76", "2026-01-13 10:00:00", None, NAN),
        ("nse", "2026-01-13 09:15:00", CLOSE, 0.0),
        ("nse", "2026-01-12 23:59:59", None, 1 / 365),
        ("nse", "2026-01-13 00:00:00", None, 0.0),
        ("nse", "2026-01-14 00:00:00", None, -1 / 365),
    ],
)
def test_time_to_expiry(mode: IvMode, now: str, instant: int | None, years: float) -> None:
    found = years_to_expiry(mode, at(now), "2026-01-13", instant)
    assert found == pytest.approx(years, rel=1e-15, nan_ok=True)


def test_the_exchange_discounts_at_ten_percent_and_the_parity_forward_needs_no_rate() -> None:
    assert dict(DEFAULT_RATE) == {"black76": 0.0, "nse": 0.10}


prices = st.one_of(st.just(NAN), st.floats(0.05, 5_000.0))


@PATIENT
@given(st.lists(st.tuples(prices, prices), min_size=1, max_size=30), st.floats(0.8, 1.0))
def test_the_forward_is_the_median_of_the_five_pairs_nearest_to_the_money(
    rows: list[tuple[float, float]], discount: float
) -> None:
    strikes = [20_000.0 + 50.0 * place for place in range(len(rows))]
    pairs = [
        (abs(call - put), strike, strike + (call - put) / discount)
        for strike, (call, put) in zip(strikes, rows, strict=True)
        if call == call and put == put
    ]
    calls, puts = (np.array(column) for column in zip(*rows, strict=True))
    found = forward_from_parity(np.array(strikes), calls, puts, discount)
    if pairs:
        assert found == (median(forward for *_, forward in sorted(pairs)[:5]), None)
    else:
        assert found == (None, "no_parity_pair")


def test_prices_of_one_forward_give_it_back_and_two_bad_pairs_change_nothing() -> None:
    strikes = 24_000.0 + 50.0 * np.arange(-20.0, 21.0)
    legs = np.ones(41, dtype=bool)
    calls = black76_price(24_061.3, strikes, 0.05, 0.13, legs, 0.99)
    puts = black76_price(24_061.3, strikes, 0.05, 0.13, ~legs, 0.99)
    assert forward_from_parity(strikes, calls, puts, 0.99)[0] == pytest.approx(24_061.3, rel=1e-14)
    calls[[21, 22]] += 3.0
    assert forward_from_parity(strikes, calls, puts, 0.99)[0] == pytest.approx(24_061.3, rel=1e-14)


def test_of_pairs_as_near_as_each_other_the_lower_strikes_count() -> None:
    strikes = 24_000.0 + 50.0 * np.arange(40.0)
    calls = np.full(40, 120.0)
    calls[[0, 16, 18, 23, 29, 31, 33, 34, 37, 38]] = 110.0
    found = forward_from_parity(strikes, calls, np.full(40, 100.0))
    assert found == (24_000.0 + 50.0 * 18 + 10.0, None)


def test_a_forward_that_is_not_positive_is_none() -> None:
    found = forward_from_parity(np.array([100.0]), np.array([1.0]), np.array([500.0]))
    assert found == (None, "forward_not_positive")
