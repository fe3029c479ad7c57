"""Premiums, forward, time, volatilities and Greeks by hand and by the textbook: docs/pricing.md."""

from __future__ import annotations

from math import exp
from typing import Any

import numpy as np
import pytest

from optionstream.schemas.events import LEG_COLUMNS
from optionstream.schemas.events import Legs as SourceLegs
from optionstream.streams.verify.chains.facts import ChainFacts
from optionstream.streams.verify.chains.history import ChainHistory
from optionstream.streams.verify.chains.legs import COLUMNS, Legs, judge, reasons
from optionstream.streams.verify.chains.pricing import Market, Parts, greeks, time_value
from optionstream.streams.verify.chains.recomputed import recomputed
from tests.unit.streams.verify.world import DAY, MINUTE, OPEN, floats, rules, snapshot

Prices = list[float | None]
STRIKES = [21_600.0, 21_700.0, 21_800.0]
THURSDAY_CLOSE = OPEN + 3 * DAY + 375 * MINUTE


def priced(last: Prices, **quotes: Prices) -> SourceLegs:
    """Legs with prices only; a leg without any is missing."""
    columns = {"last": last, **quotes}
    return SourceLegs(*(floats(columns.get(name, [None] * len(last))) for name in LEG_COLUMNS))


def facts(calls: SourceLegs, puts: SourceLegs, mode: str = "black76", **changed: Any) -> ChainFacts:
    strikes = changed.pop("strikes", STRIKES[: len(calls.last)])
    chain = snapshot(strikes, calls, puts, **changed)
    return recomputed(ChainHistory().add_snapshot(chain), rules(iv_mode=mode))


def why(found: ChainFacts, name: str) -> str | None:
    return dict(found.null_reasons).get(name)


# -- textbook -------------------------------------------------------------------------------------


def at(market: Market, strike: float, iv: float) -> tuple[float, dict[str, float]]:
    """Time value, and the Greeks of the call."""
    column = np.array([strike])
    value = time_value(market, column, np.array([iv])).value[0]
    premium = market.discount * (value + max(market.forward - strike, 0))
    right = greeks(market, column, np.array([True]), np.array([premium]), np.array([iv]))
    return float(value), {name: float(parts.value[0]) for name, parts in right.items()}


def test_the_price_of_hulls_option_on_a_futures_contract() -> None:
    # Hull, example 18.6: F 20, K 20, r 9 %, 4 months, 25 %: the put is worth 1.12.
    market = Market(20.0, 4 / 12, 0.09, on_spot=False)
    value, _ = at(market, 20.0, 0.25)
    assert value * market.discount == pytest.approx(1.12, abs=0.005)


def test_the_price_of_hulls_option_on_a_stock() -> None:
    # Hull, example 15.6: S 42, K 40, r 10 %, 6 months, 20 %: call 4.76, put 0.81.
    market = Market(42.0, 0.5, 0.10, on_spot=True)
    value, _ = at(market, 40.0, 0.20)
    assert value * market.discount == pytest.approx(0.81, abs=0.005)
    assert value * market.discount + 42 - 40 * exp(-0.05) == pytest.approx(4.76, abs=0.005)


def test_the_greeks_of_hulls_option_on_a_stock() -> None:
    # Hull, chapter 19: S 49, K 50, r 5 %, 20 weeks, 20 %.
    _, found = at(Market(49.0, 0.3846, 0.05, on_spot=True), 50.0, 0.20)
    assert found["delta"] == pytest.approx(0.522, abs=5e-4)
    assert found["gamma"] == pytest.approx(0.066, abs=5e-4)
    assert found["theta"] * 365 == pytest.approx(-4.31, abs=5e-3)
    assert found["vega"] * 100 == pytest.approx(12.1, abs=0.05)
    assert found["rho"] * 100 == pytest.approx(8.91, abs=5e-3)


@pytest.mark.parametrize("on_spot", [True, False])
@pytest.mark.parametrize("is_call", [True, False])
@pytest.mark.parametrize("strike", [21_000.0, 21_700.0, 22_500.0])
def test_greeks_are_the_slopes_of_the_price(strike: float, is_call: bool, on_spot: bool) -> None:
    spot, years, rate, iv = 21_700.0, 7 / 365, 0.10, 0.13

    def price(s: float = spot, t: float = years, r: float = rate, v: float = iv) -> float:
        market = Market(s, t, r, on_spot)
        value = float(time_value(market, np.array([strike]), np.array([v])).value[0])
        sign = 1 if is_call else -1
        return market.discount * (value + max(sign * (market.forward - strike), 0.0))

    def slope(name: str, point: float, step: float) -> float:
        return (price(**{name: point + step}) - price(**{name: point - step})) / (2 * step)

    column = np.array([strike]), np.array([is_call]), np.array([price()])
    right = greeks(Market(spot, years, rate, on_spot), *column, np.array([iv]))
    found = {name: float(parts.value[0]) for name, parts in right.items()}
    bend = (price(spot + 2) - 2 * price() + price(spot - 2)) / 4
    assert found["delta"] == pytest.approx(slope("s", spot, 0.5), rel=1e-5, abs=1e-8)
    assert found["gamma"] == pytest.approx(bend, rel=1e-3, abs=1e-8)
    assert found["vega"] == pytest.approx(0.01 * slope("v", iv, 1e-5), rel=1e-5)
    assert found["theta"] == pytest.approx(-slope("t", years, 1e-6) / 365, rel=1e-4)
    assert found["rho"] == pytest.approx(0.01 * slope("r", rate, 1e-5), rel=1e-4, abs=1e-8)


# -- premium, forward, time -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("last", "bid", "ask", "black76", "nse"),
    [
        (10, 8, 10, 9, 10),
        (10, 8, 8, 8, 10),
        (10, 9, 8, 10, 10),
        (10, 0, 8, 10, 10),
        (10, None, 8, 10, 10),
        (10, 8, None, 10, 10),
        (0, 8, 10, 9, None),
        (None, None, None, None, None),
        (0, 0, 0, None, None),
    ],
)
def test_the_premium_of_a_leg(
    last: float | None,
    bid: float | None,
    ask: float | None,
    black76: float | None,
    nse: float | None,
) -> None:
    for mode, wanted in (("black76", black76), ("nse", nse)):
        found = facts(priced([last], bid=[bid], ask=[ask]), priced([5.0]), mode)
        assert found.straddle == (None if wanted is None else wanted + 5)
        assert why(found, "straddle") == (None if wanted else "no_price")


def test_the_forward_is_the_median_of_the_five_pairs_nearest_to_parity() -> None:
    strikes = [100.0, 110.0, 120.0, 130.0, 140.0, 150.0]
    # C - P is 30, 21, 9, -2, -10, -20: the first counts no more. K + C - P: 131, 129, 128, 130, 130
    calls, puts = priced([31, 22, 12, 8, 5, 2]), priced([1, 1, 3, 10, 15, 22])
    found = facts(calls, puts, strikes=strikes, underlying_price=None)
    assert (found.forward, found.atm_strike, found.straddle) == (130.0, 130.0, 18.0)


def test_the_forward_of_an_even_number_of_pairs_is_the_mean_of_the_middle_two() -> None:
    found = facts(priced([150, 60, None]), priced([20, 40, 80]))
    # 21,600 + 130 and 21,700 + 20
    assert found.forward == 21_725.0
    assert found.atm_strike == 21_700.0


def test_the_forward_of_nse_grows_the_parity_difference_to_expiry() -> None:
    found = facts(priced([None, 60, None]), priced([None, 40, None]), "nse")
    assert found.forward == pytest.approx(21_700 + 20 * exp(0.10 * 3 / 365), rel=1e-14)
    assert (found.rate, found.years) == (0.10, 3 / 365)


def test_without_a_pair_the_underlying_price_tells_the_money() -> None:
    found = facts(priced([150, None, None]), priced([None, 40, 80]), underlying_price=21_750.0)
    assert (found.forward, why(found, "forward")) == (None, "no_parity_pair")
    assert found.atm_strike == 21_700.0  # of two as near the lower
    assert set(found.reasons) == {None, "no_forward"}


def test_without_forward_and_underlying_there_is_no_money() -> None:
    found = facts(priced([150, None, None]), priced([None, 40, 80]), underlying_price=None)
    assert why(found, "atm_strike") == "no_forward"
    names = ("straddle", "pcr_oi_near", "pcr_volume_near")
    assert [why(found, name) for name in names] == ["no_atm"] * 3


def test_a_forward_that_is_not_positive() -> None:
    found = facts(priced([1]), priced([200]), strikes=[100.0])
    assert (found.forward, why(found, "forward")) == (None, "forward_not_positive")


@pytest.mark.parametrize(
    ("mode", "ts_event", "expiry", "years", "reason"),
    [
        ("black76", OPEN, "2024-01-04", (3 * DAY + 375 * MINUTE) / (365 * DAY), None),
        ("black76", THURSDAY_CLOSE, "2024-01-04", 0.0, None),
        ("black76", THURSDAY_CLOSE + 1, "2024-01-04", None, "expired"),
        ("black76", OPEN, "2017-12-28", None, "no_expiry"),
        ("nse", OPEN, "2024-01-04", 3 / 365, None),
        ("nse", THURSDAY_CLOSE + 1, "2024-01-04", 0.0, None),
        ("nse", THURSDAY_CLOSE + DAY, "2024-01-04", None, "expired"),
    ],
)
def test_the_time_to_expiry(
    mode: str, ts_event: int, expiry: str, years: float | None, reason: str | None
) -> None:
    found = facts(priced([9.0]), priced([9.0]), mode, ts_event=ts_event, expiry=expiry)
    assert (found.years, why(found, "years")) == (years, reason)


# -- why there is no volatility -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "put", "reason"),
    [
        (150.0, None, None),
        (100.0, None, "time_value_too_small"),
        (99.0, None, "below_intrinsic"),
        (21_700.0, None, "above_maximum"),
        (0.0, None, "no_price"),
        (None, 0.05, None),
        (None, 21_600.0, "above_maximum"),
    ],
)
def test_each_reason_of_a_leg(call: float | None, put: float | None, reason: str | None) -> None:
    # The pair at 21,700 makes that the forward; the leg asked about is at 21,600.
    found = facts(priced([call, 50, None]), priced([put, 50, None]))
    assert found.forward == 21_700.0
    assert found.reasons[0 if put is None else 3] == reason


@pytest.mark.parametrize(
    ("mode", "ts_event", "expiry", "reason"),
    [
        ("black76", OPEN, "2017-12-28", "no_expiry"),
        ("black76", THURSDAY_CLOSE, "2024-01-04", "expired"),
        ("nse", THURSDAY_CLOSE, "2024-01-04", "expiry_day"),
        ("nse", THURSDAY_CLOSE + DAY, "2024-01-04", "expired"),
    ],
)
def test_each_reason_of_all_legs(mode: str, ts_event: int, expiry: str, reason: str) -> None:
    found = facts(priced([9.0, None]), priced([9.0, 0.0]), mode, ts_event=ts_event, expiry=expiry)
    assert found.reasons == (reason, None, reason, reason)


def test_nse_without_a_spot_price_has_no_volatility() -> None:
    found = facts(priced([9.0]), priced([9.0]), "nse", underlying_price=None)
    assert found.reasons == ("no_forward", "no_forward")
    assert found.forward is not None


# -- judging --------------------------------------------------------------------------------------


def one_call(premium: float, strike: float = 21_600.0, forward: float = 21_700.0) -> Legs:
    market = Market(forward, 7 / 365, 0.0, on_spot=False)
    column = np.array([strike]), np.array([True]), np.array([True])
    return Legs(*column, np.array([premium]), np.array([50.0]), market, "")


def told(legs: Legs, iv: float) -> dict[str, float]:
    """The right figures at a volatility."""
    assert legs.market is not None
    right = greeks(legs.market, legs.strike, legs.is_call, legs.premium, np.array([iv]))
    gamma = float(right["gamma"].value[0])
    found = {name: float(parts.value[0]) for name, parts in right.items()}
    return {"iv": iv, **found, "gex": gamma * 50 * legs.market.price**2 / 100}


def wrong(legs: Legs, figures: dict[str, float], reason: str | None = None) -> set[str]:
    columns = np.array([[figures[name]] for name in COLUMNS])
    return set(judge(legs, reasons(legs, (reason,)), (reason,), columns))


def option(iv: float = 0.13) -> tuple[Legs, dict[str, float]]:
    """A leg whose volatility is ``iv``, and its figures."""
    market = one_call(1.0).market
    assert market is not None
    value: Parts = time_value(market, np.array([21_600.0]), np.array([iv]))
    legs = one_call(100.0 + float(value.value[0]))
    return legs, told(legs, iv)


def test_right_figures_are_right() -> None:
    legs, figures = option()
    assert wrong(legs, figures) == set()


@pytest.mark.parametrize("off", [1e-8, -1e-8, 0.5])
def test_a_volatility_that_does_not_reprice_is_found_out(off: float) -> None:
    legs, _ = option()
    assert wrong(legs, told(legs, 0.13 * (1 + off))) == {"iv"}


@pytest.mark.parametrize("value", [0.0, -0.13, float("inf")])
def test_a_volatility_that_is_none_is_found_out(value: float) -> None:
    legs, figures = option()
    assert wrong(legs, {**figures, "iv": value}) == {"iv"}


@pytest.mark.parametrize("name", [name for name in COLUMNS if name != "iv"])
@pytest.mark.parametrize("factor", [1 + 1e-8, -1.0, 100.0, 0.0])
def test_a_wrong_figure_is_found_out(name: str, factor: float) -> None:
    legs, figures = option()
    assert wrong(legs, {**figures, name: figures[name] * factor}) == {name}


@pytest.mark.parametrize("name", COLUMNS)
def test_a_figure_that_is_left_out_is_found_out(name: str) -> None:
    legs, figures = option()
    assert wrong(legs, {**figures, name: float("nan")}) == {name}


def test_a_reason_without_cause_is_found_out() -> None:
    legs, _ = option()
    nothing = dict.fromkeys(COLUMNS, float("nan"))
    assert "reasons" in wrong(legs, nothing, "below_intrinsic")
    assert "reasons" in wrong(legs, nothing, "no_price")


def test_a_volatility_without_cause_is_found_out() -> None:
    _, figures = option()
    assert "reasons" in wrong(one_call(99.0), figures)
    assert "iv" in wrong(one_call(99.0), figures, "below_intrinsic")


@pytest.mark.parametrize(("part", "reason"), [(0.9e-290, "time_value_too_small"), (1.1e-290, None)])
def test_out_of_the_money_the_least_time_value_counts(part: float, reason: str | None) -> None:
    legs = one_call(21_800.0 * part, strike=21_800.0)
    assert reasons(legs, ("time_value_too_small",)) == (reason,)
    assert reasons(legs, (None,)) == (reason,)


@pytest.mark.parametrize("reason", ["time_value_too_small", "below_intrinsic"])
def test_where_rounding_decides_either_reason_is_taken(reason: str) -> None:
    nothing = dict.fromkeys(COLUMNS, float("nan"))
    assert wrong(one_call(100.0), nothing, reason) == set()
    assert wrong(one_call(100.0 - 1e-10), nothing, "time_value_too_small") != set()
