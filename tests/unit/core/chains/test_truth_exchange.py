"""Against the exchange itself: its totals of every body, and its own implied volatility."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from optionstream.producers.feeds import FeedHints, open_feed
from optionstream.schemas.derived import ChainAnalytics, Greeks
from optionstream.schemas.events import ChainSnapshot, Legs
from optionstream.schemas.times import ist_date
from optionstream.streams.core.chains.offline import ChainAnalyser
from optionstream.streams.core.market.calendar import nse_calendar
from optionstream.streams.core.rules import Rules

SharedData = Callable[[str], Path]
Row = dict[str, str]

EXPIRIES = 3
LIQUID_CONTRACTS = 1_000
NEAR_STRIKES = 3


class Leg(NamedTuple):
    """One liquid leg near the money: both volatilities in percent, whole days to expiry."""

    ours: float
    theirs: float
    days: int


@pytest.fixture(scope="module")
def session(shared_data: SharedData) -> list[tuple[Row, list[ChainAnalytics]]]:
    """The manifest's row of each body, and the analytics of its nearest expiries, mode ``nse``."""
    folder = shared_data("nse-json-intraday-nifty-2025")
    analyser = ChainAnalyser(Rules(nse_calendar(), iv_mode="nse"))
    with (folder / "manifest.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if (folder / "json" / row["file"]).exists()]
    assert len(rows) == 381
    return [
        (row, [analyser.analyse(chain) for chain in _nearest(folder / "json" / row["file"])])
        for row in rows
    ]


def test_totals_of_open_interest_and_volume_are_the_exchanges_own(
    session: list[tuple[Row, list[ChainAnalytics]]],
) -> None:
    for row, chains in session:
        told = chains[0]
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


def test_volatility_in_the_exchanges_mode_is_within_half_a_point_of_its_own(
    session: list[tuple[Row, list[ChainAnalytics]]], record_property: Callable[[str, object], None]
) -> None:
    """Liquid legs near the money, expiry day excepted. What is beyond half a point are prices of
    other moments than the spot of the body, above all on the day before the expiry."""
    legs = [leg for _, chains in session for chain in chains for leg in _liquid(chain)]
    off = np.array([abs(leg.ours - leg.theirs) for leg in legs])
    days = np.array([leg.days for leg in legs])
    percentiles = dict(
        zip((50, 75, 90, 95, 99), np.percentile(off, [50, 75, 90, 95, 99]), strict=True)
    )
    report = ", ".join(f"p{at} {value:.2f}" for at, value in percentiles.items())
    record_property("distribution", report)
    print(f"\n{len(off)} legs, points of volatility: {report}, greatest {off.max():.2f}")
    assert len(off) > 10_000
    assert percentiles[50] < 0.2
    assert (off <= 0.5).mean() > 0.88
    assert (off[days > 7] <= 0.5).mean() > 0.93


def _nearest(path: Path) -> list[ChainSnapshot]:
    chains = [
        one for one in open_feed(path, FeedHints()).events() if isinstance(one, ChainSnapshot)
    ]
    return sorted(chains, key=lambda chain: chain.expiry)[:EXPIRIES]


def _liquid(chain: ChainAnalytics) -> Iterator[Leg]:
    days = (date.fromisoformat(chain.expiry) - date.fromisoformat(ist_date(chain.ts_event))).days
    if days <= 0 or chain.underlying_price is None:
        return
    money = int(np.argmin(np.abs(np.array(chain.strikes) - chain.underlying_price)))
    near = slice(max(0, money - NEAR_STRIKES), money + NEAR_STRIKES + 1)
    for legs, greeks in ((chain.calls, chain.call_greeks), (chain.puts, chain.put_greeks)):
        yield from _liquid_legs(legs, greeks, near, days)


def _liquid_legs(legs: Legs, greeks: Greeks, near: slice, days: int) -> Iterator[Leg]:
    columns = zip(legs.iv[near], greeks.iv[near], legs.volume[near], strict=True)
    for theirs, ours, volume in columns:
        if theirs and ours and volume and volume >= LIQUID_CONTRACTS:
            yield Leg(100 * ours, theirs, days)
