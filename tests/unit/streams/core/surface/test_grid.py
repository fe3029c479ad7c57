"""Volatilities between smiles: straight lines of total variance, null beyond them."""

from __future__ import annotations

from math import log, sqrt

import pytest

from optionstream.schemas.derived import Smile
from optionstream.streams.core.surface.grid import LOG_MONEYNESS, TENORS_DAYS, grid_of

FLAT = [log(0.85), log(1.15)]


def smile(days: float, volatilities: list[float], places: list[float] | None = None) -> Smile:
    places = FLAT if places is None else places
    return Smile(
        expiry=f"in {days} days",
        snapshot_id="",
        ts_event=0,
        years=days / 365,
        forward=100.0,
        atm_iv=None,
        risk_reversal_25=None,
        butterfly_25=None,
        strikes=[0.0] * len(places),
        log_moneyness=places,
        iv=volatilities,
        null_reasons={},
    )


def rows(*smiles: Smile) -> dict[int, list[float | None]]:
    return {days: iv for days, (iv, _) in zip(TENORS_DAYS, grid_of(smiles).rows, strict=True)}


def test_the_grid_reaches_a_tenth_of_log_moneyness_on_either_side() -> None:
    assert len(LOG_MONEYNESS) == 21
    assert (LOG_MONEYNESS[0], LOG_MONEYNESS[10], LOG_MONEYNESS[-1]) == (-0.1, 0.0, 0.1)


def test_one_volatility_everywhere_stays_one() -> None:
    told = rows(smile(5, [0.2, 0.2]), smile(45, [0.2, 0.2]), smile(100, [0.2, 0.2]))
    for days in TENORS_DAYS:
        assert told[days] == pytest.approx([0.2] * 21)


def test_between_two_expiries_total_variance_is_a_line() -> None:
    told = rows(smile(20, [0.1, 0.1]), smile(40, [0.2, 0.2]))
    variance = (0.1**2 * 20 + 0.2**2 * 40) / 2
    assert told[30] == pytest.approx([sqrt(variance / 30)] * 21)


def test_between_two_strikes_total_variance_is_a_line() -> None:
    told = rows(smile(14, [0.1, 0.3], [-0.1, 0.1]))
    assert told[14][0] == pytest.approx(0.1)
    assert told[14][10] == pytest.approx(sqrt((0.1**2 + 0.3**2) / 2))
    assert told[14][20] == pytest.approx(0.3)


def test_nothing_is_told_beyond_expiries_and_strikes() -> None:
    grid = grid_of([smile(10, [0.1, 0.1], [-0.05, 0.05]), smile(40, [0.1, 0.1])])
    for days, (iv, reason) in zip(TENORS_DAYS, grid.rows, strict=True):
        assert [one is None for one in iv] == [one is not None for one in reason]
        if days in (14, 30):
            assert reason[:5] == reason[-5:] == ["outside_strikes"] * 5
            assert reason[5:16] == [None] * 11
        else:
            assert reason == ["outside_expiries"] * 21


def test_without_smiles_there_is_no_volatility() -> None:
    grid = grid_of([])
    assert {one for iv, _ in grid.rows for one in iv} == {None}
    assert not grid.has_calendar_arbitrage


@pytest.mark.parametrize(
    ("later", "falls"), [([0.2, 0.2], False), ([0.1, 0.1], True), ([0.2, 0.1], True)]
)
def test_total_variance_that_falls_with_time_is_seen(later: list[float], falls: bool) -> None:
    """0.2 over 10 days and 0.1414 over 20 are the same variance."""
    assert grid_of([smile(10, [0.2, 0.2]), smile(20, later)]).has_calendar_arbitrage == falls
    apart = smile(20, later, [0.2, 0.3])
    assert not grid_of([smile(10, [0.2, 0.2]), apart]).has_calendar_arbitrage
