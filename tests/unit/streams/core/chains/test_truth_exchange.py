"""Against the exchange itself: its totals of every body, and its own implied volatility.

What holds of the volatility, for which legs, and why not for all: docs/pricing.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import pairwise
from pathlib import Path
from statistics import median

import numpy as np
import pytest

from optionstream.streams.core.pricing.black import Floats
from tests.unit.streams.core.chains.exchange_legs import (
    Body,
    Leg,
    bodies_of,
    chains_of,
    legs_of,
    new_analyser,
)

SharedData = Callable[[str], Path]
Report = Callable[[str, object], None]

HALF_A_POINT = 0.5
ROUNDING = 0.0052
"""The exchange tells hundredths of a point, of a figure that it solved to some 0.0001."""
MOVE = 0.0015
"""A move of the spot, as a share of it: 0.15 %, some 39 points."""


@pytest.fixture(scope="module")
def session(shared_data: SharedData) -> list[Body]:
    """381 bodies of 27 days. Legs that expire on the day are not in them."""
    bodies = list(bodies_of(shared_data("nse-json-intraday-nifty-2025")))
    assert len(bodies) == 381
    return bodies


def test_totals_of_open_interest_and_volume_are_the_exchanges_own(session: list[Body]) -> None:
    for body in session:
        row, told = body.row, body.nearest
        assert told.oi_unit == "shares"
        assert told.lot_size == 75
        # Old contracts are told in thirds of a lot, which the exchange rounds in its sums.
        tolerance = 0.5 * told.lot_size
        assert told.call_oi == pytest.approx(float(row["ce_totOI"]) * 75, abs=tolerance)
        assert told.put_oi == pytest.approx(float(row["pe_totOI"]) * 75, abs=tolerance)
        assert told.call_volume == float(row["ce_totVol"])
        assert told.put_volume == float(row["pe_totVol"])
        ratio = float(row["pe_totOI"]) / float(row["ce_totOI"])
        assert told.pcr_oi == pytest.approx(ratio, rel=1e-9)


def test_with_the_spot_it_was_computed_on_every_volatility_is_the_exchanges_to_its_last_digit(
    session: list[Body], record_property: Report
) -> None:
    """Bodies revised after the close, on the spot of the first body of their stamp."""
    bodies = [body for body in session if body.revised]
    assert len(bodies) == 13
    legs = [leg for body in bodies for leg in _traded(body.legs_on_last)]
    off = _report("revised after the close", legs, record_property)
    assert len(off) > 7_500
    assert off.max() <= ROUNDING


@pytest.mark.parametrize(
    ("name", "legs"),
    [
        ("NIFTY_20200807_1530", 280),
        ("BANKNIFTY_20200807_1530", 220),
        ("MIDCPNIFTY_2025_966e823", 120),
    ],
)
def test_other_indices_and_years_as_they_stand(
    name: str, legs: int, shared_data: SharedData
) -> None:
    analyser = new_analyser()
    chains = chains_of(shared_data("nse-json-misc") / f"{name}.json.gz")
    off = [leg.off for one in chains for leg in _traded(legs_of(analyser.analyse(one)))]
    assert len(off) > legs
    assert max(off) <= ROUNDING


def test_after_the_close_every_liquid_leg_near_the_money_is_within_half_a_point(
    session: list[Body], record_property: Report
) -> None:
    legs = [leg for body in session if body.settled for leg in body.legs_on_last if leg.liquid]
    off = _report("after the close", legs, record_property)
    assert len(off) > 1_900
    assert off.max() <= HALF_A_POINT


def test_in_the_session_every_liquid_leg_is_that_bears_another_spot(
    session: list[Body], record_property: Report
) -> None:
    """Those whose volatility 0.15 % of spot changes by half a point at most."""
    legs = [leg for leg in _in_session(session) if _bears_a_move(leg)]
    off = _report("in the session, bearing a move of 0.15 %", legs, record_property)
    assert len(off) > 2_800
    assert off.max() <= HALF_A_POINT


def test_the_distribution_over_all_liquid_legs_near_the_money_as_the_bodies_stand(
    session: list[Body], record_property: Report
) -> None:
    legs = [leg for body in session for leg in body.legs if leg.liquid]
    off = _report("all, as they stand", legs, record_property)
    assert len(off) > 18_000
    assert (off <= HALF_A_POINT).mean() > 0.92
    near = _report("three nearest expiries", [leg for leg in legs if leg.nth < 3], record_property)
    days = np.array([leg.days for leg in legs if leg.nth < 3])
    assert len(near) > 12_000
    assert np.median(near) < 0.15
    assert (near <= HALF_A_POINT).mean() > 0.89
    assert (near[days > 7] <= HALF_A_POINT).mean() > 0.93


def test_what_is_beyond_is_one_spot_of_another_moment_in_all_expiries_of_a_body(
    session: list[Body], record_property: Report
) -> None:
    """A body's shift of spot comes from the legs of the other expiries, never from the leg's."""
    left, shifts = [], []
    for body in session:
        if body.settled:
            continue
        for nth in {leg.nth for leg in body.legs}:
            others = [leg for leg in body.legs if leg.nth != nth]
            if len(others) < 5:
                continue
            shift = median((leg.theirs - leg.ours) / leg.per_point for leg in others)
            shifts.append(abs(shift))
            left += [
                abs(leg.ours + shift * leg.per_point - leg.theirs)
                for leg in body.legs
                if leg.nth == nth
            ]
    off, points = np.array(left), np.array(shifts)
    _tell("in the session, on a spot shifted", off, record_property)
    _tell("shifts of spot, index points", points, record_property)
    assert len(off) > 16_000
    assert (off <= HALF_A_POINT).mean() > 0.985
    assert np.median(points) > 3.0


def test_the_exchange_tells_volatilities_that_are_older_than_the_price_beside_them(
    session: list[Body],
) -> None:
    """After the close: same stamp, same last price, same volume, and another volatility."""
    same, changed = 0, 0
    for before, after in pairwise(session):
        if not after.revised or before.revised:
            continue
        assert before.stamp == after.stamp
        told = {_contract(leg): leg.theirs for leg in before.legs if leg.volume > 0}
        stayed = [told[key] != leg.theirs for leg in after.legs if (key := _contract(leg)) in told]
        same += len(stayed)
        changed += sum(stayed)
    assert same > 3_500
    assert changed / same > 0.15


def _traded(legs: Iterable[Leg]) -> list[Leg]:
    return [leg for leg in legs if leg.volume > 0 and leg.deviations <= 2]


def _in_session(session: list[Body]) -> list[Leg]:
    return [leg for body in session if not body.settled for leg in body.legs]


def _bears_a_move(leg: Leg) -> bool:
    return MOVE * leg.spot * abs(leg.per_point) <= HALF_A_POINT


def _contract(leg: Leg) -> tuple[int, float, bool, float, float]:
    return leg.nth, leg.strike, leg.is_call, leg.last, leg.volume


def _report(name: str, legs: list[Leg], record_property: Report) -> Floats:
    off = np.array([leg.off for leg in legs])
    _tell(name, off, record_property)
    return off


def _tell(name: str, off: Floats, record_property: Report) -> None:
    percentiles = np.percentile(off, [50, 75, 90, 95, 99])
    text = ", ".join(
        f"p{at} {value:.3f}" for at, value in zip((50, 75, 90, 95, 99), percentiles, strict=True)
    )
    share = 100 * (off <= HALF_A_POINT).mean()
    told = f"{len(off)}: {text}, greatest {off.max():.4f}, {share:.2f} % within half a point"
    record_property(name, told)
    print(f"\n{name}: {told}")
