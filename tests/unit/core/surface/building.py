"""Analysed chains with chosen volatilities, for the tests of surfaces."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from optionstream.schemas.derived import ChainAnalytics
from optionstream.schemas.events import ChainSnapshot, Legs
from optionstream.streams.core.chains.offline import ChainAnalyser
from optionstream.streams.core.market.calendar import nse_calendar
from optionstream.streams.core.market.contracts import expiry_instant
from optionstream.streams.core.pricing.black import black76_price
from optionstream.streams.core.pricing.modes import YEAR_MS
from optionstream.streams.core.rules import Rules
from tests.unit.core.chains.building import at, side

NOON = at("2026-01-06 12:00:00")
NEAR, NEXT, FAR = "2026-01-13", "2026-01-27", "2026-03-30"
FORWARD = 26_210.0
STRIKES = [FORWARD + 100 * step - 10 for step in range(-40, 41)]

Volatility = Callable[[float], float]
"""By strike."""


def quoted(
    expiry: str = NEAR,
    volatility: float | Volatility = 0.125,
    ts: int = NOON,
    strikes: Sequence[float] = STRIKES,
    **changed: Any,
) -> ChainSnapshot:
    """A snapshot of last prices at these volatilities around ``FORWARD``."""
    of = volatility if callable(volatility) else lambda _: volatility
    years = max(expiry_instant("NIFTY", expiry) - ts, 1) / YEAR_MS
    sigma = np.array([of(strike) for strike in strikes])
    sides = [_side(strikes, years, sigma, is_call) for is_call in (True, False)]
    fields: dict[str, Any] = {
        "product": "NIFTY",
        "expiry": expiry,
        "source": "t",
        "ts_event": ts,
        "ts_recv": ts,
        "oi_unit": "lots",
        "strikes": list(strikes),
        "calls": sides[0],
        "puts": sides[1],
        "underlying_price": 26_200.0,
    }
    return ChainSnapshot(**{**fields, **changed})


def _side(strikes: Sequence[float], years: float, sigma: Any, is_call: bool) -> Legs:
    kinds = np.full(len(strikes), is_call)
    prices = black76_price(FORWARD, np.array(strikes), years, sigma, kinds)
    return side(len(strikes), {"last": prices.tolist()})


def analysed(chain: ChainSnapshot, mode: str = "black76") -> ChainAnalytics:
    return ChainAnalyser(Rules(nse_calendar(), iv_mode=mode)).analyse(chain)  # type: ignore[arg-type]
