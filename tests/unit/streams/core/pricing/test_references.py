"""Published figures: py_vollib, Jaeckel's own program, Haug's tables, two engines on real prices.

Each tolerance is 1e-8 of the figure, beside what the file cannot tell: half a unit of the last
digit that it prints, and for a volatility the same of its price over vega.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from optionstream.streams.core.pricing.black import Bools, Floats, black76_price
from optionstream.streams.core.pricing.chain import COLUMNS, price_chain
from optionstream.streams.core.pricing.greeks import forward_greeks, spot_greeks
from optionstream.streams.core.pricing.implied import REASONS, RESOLUTION, implied_volatility

SharedData = Callable[[str], Path]
DIGITS = 6e-10
"""py_vollib's file prints nine decimals (ten of ``call_vals``), or nine digits of large figures."""


@pytest.fixture(scope="module")
def vollib(shared_data: SharedData) -> dict[str, Floats]:
    table = json.loads(shared_data("greeks-truth/py_vollib_test_data.json").read_bytes())
    columns = np.array(table["data"]).T
    assert columns.shape[1] == 101
    return dict(zip(table["columns"], columns, strict=True))


def sides(table: dict[str, Floats]) -> list[tuple[str, Bools]]:
    calls = np.ones(len(table["S"]), dtype=bool)
    return [("C", calls), ("P", ~calls)]


def test_py_vollib_prices(vollib: dict[str, Floats]) -> None:
    t = vollib
    discount = np.exp(-t["R"] * t["t"])
    for name, is_call in zip(("bs_call", "bs_put"), (c for _, c in sides(t)), strict=True):
        ours = black76_price(t["S"] / discount, t["K"], t["t"], t["v"], is_call, discount)
        np.testing.assert_allclose(ours, t[name], rtol=1e-8, atol=DIGITS)


def test_py_vollib_tiny_prices_in_all_their_digits(vollib: dict[str, Floats]) -> None:
    """Prices below 1e-10 come in ten digits where the file did not cut them to 0."""
    t = vollib
    discount = np.exp(-t["R"] * t["t"])
    calls = np.ones(len(t["S"]), dtype=bool)
    tiny = (t["call_vals"] > 0.0) & (t["call_vals"] < 1e-10)
    assert tiny.sum() >= 3
    ours = black76_price(t["S"] / discount, t["K"], t["t"], t["v"], calls, discount)
    np.testing.assert_allclose(ours[tiny], t["call_vals"][tiny], rtol=1e-8)


def test_py_vollib_greeks(vollib: dict[str, Floats]) -> None:
    t = vollib
    for side, is_call in sides(t):
        for rate in np.unique(t["R"]):
            rows = t["R"] == rate
            columns = (t[name][rows] for name in ("S", "K", "t", "v"))
            ours = spot_greeks(*columns, is_call[rows], float(rate))
            for letter, column, unit in (
                ("D", ours.delta, 1.0),
                ("G", ours.gamma, 1.0),
                ("T", ours.theta, 365.0),
                ("V", ours.vega, 100.0),
                ("R", ours.rho, 100.0),
            ):
                wanted = t[side + letter][rows]
                np.testing.assert_allclose(column * unit, wanted, rtol=1e-8, atol=DIGITS)


def test_py_vollib_volatilities(vollib: dict[str, Floats]) -> None:
    t = vollib
    discount = np.exp(-t["R"] * t["t"])
    for name, is_call in zip(("call_vals", "bs_put"), (c for _, c in sides(t)), strict=True):
        forward = t["S"] / discount
        premium = t[name]
        found, reasons = implied_volatility(forward, t["K"], t["t"], is_call, premium, discount)
        vega = 100.0 * spot_greeks(t["S"], t["K"], t["t"], t["v"], is_call, 0.05).vega
        with np.errstate(divide="ignore"):
            told = (DIGITS + 1e-9 * premium) / vega
        well = told < 0.1 * t["v"]
        assert well.sum() > 60
        assert not reasons[well].any()
        error = np.abs(found - t["v"])[well]
        np.testing.assert_array_less(error, (1e-8 * t["v"] + 2.0 * told)[well])


@pytest.fixture(scope="module")
def jaeckel(shared_data: SharedData) -> tuple[dict[str, Floats], dict[str, Floats]]:
    table = json.loads(shared_data("greeks-truth/lets_be_rational_TestValues.json").read_bytes())
    assert len(table["input"]) == len(table["output"]) == 1_000
    given, found = (
        {name: np.array([row[name] for row in table[part]], float) for name in table[part][0]}
        for part in ("input", "output")
    )
    return given, found


def test_jaeckel_prices(jaeckel: tuple[dict[str, Floats], dict[str, Floats]]) -> None:
    given, wanted = jaeckel
    is_call = given["q"] > 0
    ours = black76_price(given["F"], given["K"], given["T"], given["sigma"], is_call)
    np.testing.assert_allclose(ours, wanted["black"], rtol=1e-8)


def test_jaeckel_normalised_prices_and_vegas(
    jaeckel: tuple[dict[str, Floats], dict[str, Floats]],
) -> None:
    given, wanted = jaeckel
    is_call, forward, strike = given["q"] > 0, np.exp(0.5 * given["x"]), np.exp(-0.5 * given["x"])
    price = black76_price(forward, strike, 1.0, given["s"], is_call)
    np.testing.assert_allclose(price, wanted["normalised_black"], rtol=1e-8)
    greeks = forward_greeks(forward, strike, 1.0, given["s"], is_call, price)
    np.testing.assert_allclose(100.0 * greeks.vega, wanted["normalised_vega"], rtol=1e-8)


def test_jaeckel_volatilities(jaeckel: tuple[dict[str, Floats], dict[str, Floats]]) -> None:
    given, wanted = jaeckel
    alive = given["T"] > 0.0
    forward, strike, years, sigma, price, theirs = (
        column[alive]
        for column in (
            *(given[name] for name in ("F", "K", "T", "sigma")),
            wanted["black"],
            wanted["implied_volatility_from_a_transformed_rational_guess"],
        )
    )
    agree_where_told(forward, strike, years, sigma, given["q"][alive] > 0.0, price, theirs)


def test_jaeckel_normalised_volatilities(
    jaeckel: tuple[dict[str, Floats], dict[str, Floats]],
) -> None:
    given, wanted = jaeckel
    forward, strike = np.exp(0.5 * given["x"]), np.exp(-0.5 * given["x"])
    price = wanted["normalised_black"]
    theirs = wanted["normalised_implied_volatility_from_a_transformed_rational_guess"]
    years = np.ones_like(price)
    agree_where_told(forward, strike, years, given["s"], given["q"] > 0.0, price, theirs)


def agree_where_told(
    forward: Floats,
    strike: Floats,
    years: Floats,
    sigma: Floats,
    is_call: Bools,
    price: Floats,
    theirs: Floats,
) -> None:
    """1e-8 beside what the last digits of the price mean for sigma, which is told by vega. Prices
    that are 0, or have no digit of time value left, have no volatility: his program says 0."""
    found, reasons = implied_volatility(forward, strike, years, is_call, price)
    vega = 100.0 * forward_greeks(forward, strike, years, sigma, is_call, price).vega
    told = RESOLUTION * price / np.maximum(vega, 1e-300)
    well = (told < 1e-3 * sigma) & (price > 0.0)
    assert well.sum() > 600
    assert not reasons[well].any()
    np.testing.assert_array_less(np.abs(found - sigma)[well], (1e-8 * sigma + told)[well])
    exact = well & (told < 1e-9 * sigma)
    assert exact.sum() > 500
    np.testing.assert_allclose(found[exact], theirs[exact], rtol=1e-8)
    names = {REASONS[code] for code in reasons[~well]}
    assert names <= {None, "no_price", "time_value_too_small", "below_intrinsic"}
    lost = theirs <= 0.0
    assert (reasons[lost] != 0).all()


@pytest.fixture(scope="module")
def haug(shared_data: SharedData) -> list[dict[str, str]]:
    with shared_data("greeks-truth/quantlib_haug_european.csv").open() as file:
        return list(csv.DictReader(file))


def test_haug_prices(haug: list[dict[str, str]]) -> None:
    rows = [row for row in haug if row["section"] == "testValues"]
    assert len(rows) == 43
    strike, spot, dividend, rate, years, sigma, value = (
        np.array([float(row[name]) for row in rows])
        for name in ("strike", "s", "q", "r", "t", "vol", "value")
    )
    is_call = np.array([row["type"] == "Call" for row in rows])
    discount = np.exp(-rate * years)
    forward = spot * np.exp((rate - dividend) * years)
    ours = black76_price(forward, strike, years, sigma, is_call, discount)
    # Tables of four decimals, computed with a distribution function of the 1980s.
    np.testing.assert_allclose(ours, value, rtol=0.0, atol=1e-4)
    found, reasons = implied_volatility(forward, strike, years, is_call, value, discount)
    assert not reasons.any()
    vega = 100.0 * forward_greeks(forward, strike, years, sigma, is_call, value).vega * discount
    np.testing.assert_array_less(np.abs(found - sigma), 1.5e-4 / vega)


def test_haug_greeks(haug: list[dict[str, str]]) -> None:
    """With dividends through the chain rule on the forward S exp((r - q) T).

    One row has lost its time of 1/12 year to the transcription; the last row, the sensitivity to
    the dividend, is no figure of ours.
    """
    wanted = [
        ("delta", 0.5946), ("delta", -0.3566), ("elasticity", -4.8775), ("gamma", 0.0278),
        ("gamma", 0.0278), ("vega", 18.9358), ("vega", 18.9358), ("theta", -31.1924),
        ("theta_day", -0.0855), ("rho", 38.7325),
    ]  # fmt: skip
    rows = [row for row in haug if row["section"] == "testGreekValues"]
    assert len(rows) == 11
    for (name, value), row in zip(wanted, rows, strict=False):
        printed = [float(text) for text in list(row.values())[2:] if text]
        strike, spot, dividend, rate, *times, sigma, figure, _ = printed
        years = times[0] if times else 1.0 / 12.0
        assert figure == value
        found = merton(strike, spot, dividend, rate, years, sigma, row["type"] == "Call")[name]
        assert found == pytest.approx(value, abs=6e-5), (name, row)


def merton(
    strike: float,
    spot: float,
    dividend: float,
    rate: float,
    years: float,
    sigma: float,
    call: bool,
) -> dict[str, float]:
    """Greeks of Black-Scholes-Merton in Haug's units, from ours on the forward."""
    growth = np.exp((rate - dividend) * years)
    forward, column, kind = spot * growth, np.array([strike]), np.array([call])
    price = black76_price(forward, column, years, sigma, kind, np.exp(-rate * years))
    ours = forward_greeks(forward, column, years, sigma, kind, price, rate)
    delta = float(ours.delta[0] * growth)
    theta = 365.0 * float(ours.theta[0]) - (rate - dividend) * spot * delta
    return {
        "delta": delta,
        "elasticity": delta * spot / float(price[0]),
        "gamma": float(ours.gamma[0] * growth**2),
        "vega": 100.0 * float(ours.vega[0]),
        "theta": theta,
        "theta_day": theta / 365.0,
        "rho": 100.0 * float(ours.rho[0]) + years * spot * delta,
    }


def openalgo(shared_data: SharedData, name: str) -> Any:
    return json.loads(shared_data(f"greeks-truth/openalgo_greeks_{name}.json").read_bytes())


@pytest.mark.parametrize("engine", ["pyvollib", "opengreeks"])
def test_two_engines_on_a_real_chain(shared_data: SharedData, engine: str) -> None:
    rows = openalgo(shared_data, "parity_opengreeks")["parity"]
    assert len(rows) == 40
    strike, premium, forward, years = (
        np.array([float(row[name]) for row in rows]) for name in ("K", "price", "F", "t")
    )
    is_call = np.array([row["flag"] == "c" for row in rows])
    priced = price_chain("black76", strike, is_call, premium, forward, years, 0.0)
    wanted = np.array([row[f"iv_{engine}"] for row in rows], float)
    np.testing.assert_allclose(priced.iv, wanted, rtol=1e-8)
    null = [REASONS[code] for code in priced.reason if code]
    assert null == ["below_intrinsic"] * 5
    for name in ("delta", "gamma", "theta", "vega", "rho"):
        theirs = [row["greeks"][name][engine] if row["greeks"] else np.nan for row in rows]
        ours = priced.columns[COLUMNS.index(name)]
        np.testing.assert_allclose(ours, theirs, rtol=1e-8, err_msg=name)


@pytest.mark.parametrize("name", ["baseline_pyvollib", "post_opengreeks"])
def test_the_rounded_figures_of_an_api(shared_data: SharedData, name: str) -> None:
    """Four decimals of a day in the time, two decimals of a percent in the volatility."""
    samples = [sample["response"] for sample in openalgo(shared_data, name)["samples"]]
    solved = [sample for sample in samples if sample["implied_volatility"]]
    assert (len(samples), len(solved)) == (40, 35)
    strike, premium, days = (
        np.array([float(sample[key]) for sample in solved])
        for key in ("strike", "option_price", "days_to_expiry")
    )
    is_call = np.array([sample["option_type"] == "CE" for sample in solved])
    priced = price_chain("black76", strike, is_call, premium, 23_659.0, days / 365.0, 0.0)
    percent = [sample["implied_volatility"] for sample in solved]
    np.testing.assert_allclose(100.0 * priced.iv, percent, rtol=2e-5, atol=0.5001e-2)
    for greek, half_a_unit in (
        ("delta", 0.5e-4),
        ("gamma", 0.5e-6),
        ("theta", 0.5e-4),
        ("vega", 0.5e-4),
        ("rho", 0.5e-6),
    ):
        theirs = [sample["greeks"][greek] for sample in solved]
        np.testing.assert_allclose(
            priced.columns[COLUMNS.index(greek)],
            theirs,
            rtol=2e-5,
            atol=1.001 * half_a_unit,
            err_msg=greek,
        )
