"""The simulated feed of quotes, assembled: the legs of the simulated chains come back."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace

from optionstream.producers.simulated import SimulatedMarket, SimulationConfig
from optionstream.schemas.events import LEG_COLUMNS, ChainSnapshot, Legs, OptionQuoteFrame
from optionstream.streams.core.counts import Counts
from optionstream.streams.core.market.calendar import nse_calendar
from optionstream.streams.core.quotes.assembly import ExpiryQuotes
from optionstream.streams.core.rules import Rules
from tests.unit.streams.core.ticks.helpers import LATENESS_MS, OPEN

QUOTES = SimulationConfig(seed=5, date="2026-01-06", close_ms=OPEN + 300_000, quotes=True)
Chains = dict[tuple[str, str], list[ChainSnapshot]]
"""By product and expiry."""


def snapshots() -> Chains:
    found: Chains = defaultdict(list)
    for event in SimulatedMarket(replace(QUOTES, quotes=False)).events():
        if isinstance(event, ChainSnapshot):
            found[event.product, event.expiry].append(event)
    return found


def assembled() -> Chains:
    """Without a cadence, so that there is a chain after each quote."""
    rules = Rules(nse_calendar(), LATENESS_MS, quote_cadence_ms=0)
    states: dict[tuple[str, str], ExpiryQuotes] = {}
    found: Chains = defaultdict(list)
    for offset, event in enumerate(SimulatedMarket(QUOTES).events()):
        if isinstance(event, OptionQuoteFrame):
            place = event.product, event.expiry
            if place not in states:
                states[place] = ExpiryQuotes(*place, rules, Counts())
            outcome = states[place].apply_frame(event, offset)
            assert not outcome.refused
            found[place] += [one.chain for one in outcome.chains]
    assert all(state.counts.duplicates == 0 for state in states.values())
    return found


def rows(strikes: list[float], legs: Legs) -> dict[float, tuple[float | None, ...]]:
    columns = (getattr(legs, name) for name in LEG_COLUMNS)
    return dict(zip(strikes, zip(*columns, strict=True), strict=True))


def test_at_the_time_of_each_simulated_chain_the_assembled_one_has_its_legs() -> None:
    made = assembled()
    compared = 0
    for place, expected in snapshots().items():
        # The last capture is still within the lateness: its quotes wait.
        for snapshot in expected[:-1]:
            upto = [one for one in made[place] if one.ts_event <= snapshot.ts_event + 1]
            for side in ("calls", "puts"):
                shown = rows(upto[-1].strikes, getattr(upto[-1], side))
                for strike, row in rows(snapshot.strikes, getattr(snapshot, side)).items():
                    assert shown[strike] == row
            compared += 1
    assert compared > 50
