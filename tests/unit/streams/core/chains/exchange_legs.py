"""The exchange's own volatility of each leg beside ours, body by body."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from datetime import date, datetime
from math import log, sqrt
from pathlib import Path
from typing import NamedTuple

import numpy as np
from msgspec.structs import replace

from optionstream.producers.feeds import FeedHints, open_feed
from optionstream.schemas.derived import ChainAnalytics, Greeks
from optionstream.schemas.events import ChainSnapshot, Legs
from optionstream.schemas.times import ist_date
from optionstream.streams.core.chains.analyse import ChainAnalyser
from optionstream.streams.core.market.calendar import nse_calendar
from optionstream.streams.core.rules import Rules

Row = dict[str, str]

LIQUID_CONTRACTS = 1_000
NEAR_STRIKES = 3
SETTLED_S = 300


class Leg(NamedTuple):
    """One leg of which both volatilities are known, in percent.

    ``nth`` counts the expiries of the body from 0, ``days`` are whole ones to the expiry,
    ``away`` is how many strikes off the money, ``deviations`` |ln(K/S)| in standard deviations to
    the expiry. ``per_point`` is what one index point of spot changes our volatility by.
    """

    nth: int
    days: int
    strike: float
    is_call: bool
    away: int
    deviations: float
    volume: float
    last: float
    spot: float
    ours: float
    theirs: float
    per_point: float

    @property
    def off(self) -> float:
        return abs(self.ours - self.theirs)

    @property
    def liquid(self) -> bool:
        """The exchange's liquid legs near the money: volume of the day, distance in strikes."""
        return self.volume >= LIQUID_CONTRACTS and self.away <= NEAR_STRIKES


class Body(NamedTuple):
    """One body: its row of the manifest, the analytics of its nearest expiry, its legs.

    ``settled``: stamped with the session's end and received five minutes later at least. ``legs``
    are priced on the body's own spot, ``legs_on_last`` on the first spot told with the same stamp,
    which the exchange replaces by its official close later; ``revised`` where it has been.
    """

    row: Row
    stamp: int
    settled: bool
    revised: bool
    nearest: ChainAnalytics
    legs: list[Leg]
    legs_on_last: list[Leg]


def bodies_of(folder: Path) -> Iterator[Body]:
    """The bodies of a session folder in the order they were received, mode ``nse``."""
    with (folder / "manifest.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if (folder / "json" / row["file"]).exists()]
    analyser = new_analyser()
    told: dict[int, float | None] = {}
    for row in rows:
        chains = chains_of(folder / "json" / row["file"])
        stamp, spot = chains[0].ts_event, chains[0].underlying_price
        last_spot = told.setdefault(stamp, spot)
        analytics = [analyser.analyse(chain) for chain in chains]
        legs = legs_on_last = _legs_of_body(analytics)
        if last_spot != spot:
            again = new_analyser()
            moved = [replace(chain, underlying_price=last_spot) for chain in chains]
            legs_on_last = _legs_of_body([again.analyse(chain) for chain in moved])
        settled = _settled(row)
        if not settled:
            legs = legs_on_last = [leg for leg in legs if leg.liquid]
        yield Body(row, stamp, settled, last_spot != spot, analytics[0], legs, legs_on_last)


def new_analyser() -> ChainAnalyser:
    return ChainAnalyser(Rules(nse_calendar(), iv_mode="nse"))


def chains_of(path: Path) -> list[ChainSnapshot]:
    """The chains of one body, the nearest expiry first."""
    chains = [
        one for one in open_feed(path, FeedHints()).events() if isinstance(one, ChainSnapshot)
    ]
    return sorted(chains, key=lambda chain: chain.expiry)


def legs_of(chain: ChainAnalytics, nth: int = 0) -> Iterator[Leg]:
    """The legs with both volatilities; none on the expiry day."""
    spot, years = chain.underlying_price, chain.years
    days = (date.fromisoformat(chain.expiry) - date.fromisoformat(ist_date(chain.ts_event))).days
    if days <= 0 or spot is None or years is None:
        return
    money = int(np.argmin(np.abs(np.array(chain.strikes) - spot)))
    sides = ((True, chain.calls, chain.call_greeks), (False, chain.puts, chain.put_greeks))
    for is_call, legs, greeks in sides:
        for at, values in _known(legs, greeks):
            theirs, ours, last, volume, delta, vega = values
            strike = chain.strikes[at]
            deviations = abs(log(strike / spot)) / (ours * sqrt(years))
            per_point = -delta / vega
            away = abs(at - money)
            told = (volume, last, spot, 100 * ours, theirs)
            yield Leg(nth, days, strike, is_call, away, deviations, *told, per_point)


def _known(legs: Legs, greeks: Greeks) -> Iterator[tuple[int, tuple[float, ...]]]:
    """Place and figures of the legs that have a price and both volatilities above 0."""
    columns = zip(
        legs.iv, greeks.iv, legs.last, legs.volume, greeks.delta, greeks.vega, strict=True
    )
    for at, (theirs, ours, last, volume, delta, vega) in enumerate(columns):
        if theirs and ours and last and delta and vega and volume is not None:
            yield at, (theirs, ours, last, volume, delta, vega)


def _legs_of_body(analytics: list[ChainAnalytics]) -> list[Leg]:
    return [leg for nth, chain in enumerate(analytics) for leg in legs_of(chain, nth)]


def _settled(row: Row) -> bool:
    # The row has naive IST for the stamp and UTC for the receipt.
    stamp = datetime.strptime(f"{row['nse_timestamp_ist']} +0530", "%d-%b-%Y %H:%M:%S %z")
    received = datetime.fromisoformat(row["committed_at_utc"])
    return f"{stamp:%H:%M:%S}" == "15:30:00" and (received - stamp).total_seconds() >= SETTLED_S
