"""Chains with prices, for the tests of this folder."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import numpy as np

from optionstream.schemas.derived import ChainAnalytics
from optionstream.schemas.events import LEG_COLUMNS, ChainSnapshot, Legs
from optionstream.schemas.times import IST, to_ms
from optionstream.streams.core.chains.analyse import ExpiryChains
from optionstream.streams.core.market.calendar import nse_calendar
from optionstream.streams.core.market.contracts import expiry_instant
from optionstream.streams.core.pricing.black import black76_price
from optionstream.streams.core.pricing.modes import YEAR_MS
from optionstream.streams.core.rules import Rules

Column = list[float | None]


def at(moment: str) -> int:
    """``2026-01-06 09:15:00`` in Indian time as UTC epoch ms."""
    return to_ms(datetime.fromisoformat(moment).replace(tzinfo=IST))


RULES = Rules(nse_calendar())
EXPIRY = "2026-01-13"
NOON = at("2026-01-06 12:00:00")
STRIKES = [25_800.0 + 50 * number for number in range(17)]
FORWARD = 26_210.0
SIGMA = 0.125


def side(strikes: int, figures: Mapping[str, Column]) -> Legs:
    """One side of a chain; what is not given is not known."""
    return Legs(**{name: figures.get(name, [None] * strikes) for name in LEG_COLUMNS})


def priced_chain(ts: int = NOON, **changes: object) -> ChainSnapshot:
    """17 strikes around a forward, all legs at one Black-76 volatility, 100 lots each."""
    years = (expiry_instant("NIFTY", EXPIRY) - ts) / YEAR_MS
    strikes = np.array(STRIKES)
    sides = []
    for is_call in (True, False):
        kinds = np.full(len(strikes), is_call)
        prices = black76_price(FORWARD, strikes, years, SIGMA, kinds).tolist()
        ones = [1.0] * len(strikes)
        figures: dict[str, Column] = {
            "oi": [100.0 * one for one in ones],
            "oi_change": ones,
            "volume": [500.0 * one for one in ones],
            "last": prices,
        }
        sides.append(side(len(strikes), figures))
    fields: dict[str, object] = {
        "product": "NIFTY",
        "expiry": EXPIRY,
        "source": "t",
        "ts_event": ts,
        "ts_recv": ts,
        "oi_unit": "lots",
        "strikes": STRIKES,
        "calls": sides[0],
        "puts": sides[1],
        "underlying_price": 26_200.0,
    }
    return ChainSnapshot(**{**fields, **changes})  # type: ignore[arg-type]


def analysed(*chains: ChainSnapshot, rules: Rules = RULES) -> list[ChainAnalytics]:
    """One after the other, as snapshots of one expiry."""
    memory = ExpiryChains()
    return [memory.analyse(one, rules, one.ts_recv) for one in chains]


def analysis(chain: ChainSnapshot, rules: Rules = RULES) -> ChainAnalytics:
    """Of one snapshot alone."""
    return analysed(chain, rules=rules)[0]
