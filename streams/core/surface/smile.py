"""The smile of one expiry, from its analysed chain."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import log, sqrt
from typing import Final, NamedTuple

import numpy as np

from optionstream.schemas.derived import ChainAnalytics, Smile
from optionstream.streams.core.chains.figures import EXPIRED, NO_IV, Figure, null
from optionstream.streams.core.pricing.implied import REASONS, Reason

OUTSIDE_STRIKES: Final = "outside_strikes"
NO_25_DELTA: Final = "no_25_delta"
NO_ATM_IV: Final = "no_atm_iv"
_EXPIRY_DAY: Final = str(REASONS[Reason.EXPIRY_DAY])
_QUARTER: Final = 0.25


class Point(NamedTuple):
    """One strike of a smile; ``delta`` without its sign."""

    strike: float
    log_moneyness: float
    iv: float
    delta: float


def smile_of(chain: ChainAnalytics) -> Smile | str:
    """Return the smile of a chain, or the reason why it has none."""
    if chain.years is None:
        return chain.null_reasons["years"]
    if not chain.years > 0:
        return _EXPIRY_DAY if chain.iv_mode == "nse" else EXPIRED
    if chain.forward is None:
        return chain.null_reasons["forward"]
    puts, middle, calls = _wings(chain, chain.forward)
    points = [*puts, *middle, *calls]
    if not points:
        return NO_IV
    atm = _at_the_money(points)
    call, put = _quarter_delta([*middle, *calls]), _quarter_delta([*middle, *reversed(puts)])
    figures = {
        "atm_iv": atm,
        "risk_reversal_25": _risk_reversal(call, put),
        "butterfly_25": _butterfly(call, put, atm),
    }
    return Smile(
        expiry=chain.expiry,
        snapshot_id=chain.snapshot_id,
        ts_event=chain.ts_event,
        years=chain.years,
        forward=chain.forward,
        strikes=[point.strike for point in points],
        log_moneyness=[point.log_moneyness for point in points],
        iv=[point.iv for point in points],
        null_reasons={name: one.reason for name, one in figures.items() if one.reason},
        **{name: one.value for name, one in figures.items()},
    )


def _wings(chain: ChainAnalytics, forward: float) -> tuple[list[Point], list[Point], list[Point]]:
    """Return the puts below the forward, the points at it, the calls above, each by strike.

    Legs in the money are left out: they say the same with a wider spread."""
    puts: list[Point] = []
    middle: list[Point] = []
    calls: list[Point] = []
    call, put = chain.call_greeks, chain.put_greeks
    rows = zip(chain.strikes, call.iv, call.delta, put.iv, put.delta, strict=True)
    for strike, call_iv, call_delta, put_iv, put_delta in rows:
        if strike < forward:
            _add_point(puts, forward, strike, put_iv, put_delta)
        elif strike > forward:
            _add_point(calls, forward, strike, call_iv, call_delta)
        elif call_iv is not None and put_iv is not None:
            _add_point(middle, forward, strike, (call_iv + put_iv) / 2, call_delta)
        else:
            _add_point(middle, forward, strike, call_iv, call_delta)
            _add_point(middle, forward, strike, put_iv, put_delta)
    return puts, middle, calls


def _add_point(
    points: list[Point], forward: float, strike: float, iv: float | None, delta: float | None
) -> None:
    if iv is not None and delta is not None:
        points.append(Point(strike, log(strike / forward), iv, abs(delta)))


def _at_the_money(points: Sequence[Point]) -> Figure:
    """Return the volatility at the forward; the variance is linear between the nearest strikes."""
    places = [point.log_moneyness for point in points]
    if not places[0] <= 0.0 <= places[-1]:
        return null(OUTSIDE_STRIKES)
    variance = np.interp(0.0, places, [point.iv * point.iv for point in points])
    return Figure(sqrt(variance))


def _quarter_delta(wing: Sequence[Point]) -> float | None:
    """Return the volatility at a delta of a quarter, of a wing from the money outward; None if the
    wing does not reach it. Between the two strikes around it the volatility is linear in delta."""
    for near, far in pairwise(wing):
        if near.delta >= _QUARTER >= far.delta and near.delta > far.delta:
            share = (near.delta - _QUARTER) / (near.delta - far.delta)
            return near.iv + share * (far.iv - near.iv)
    return None


def _risk_reversal(call: float | None, put: float | None) -> Figure:
    return null(NO_25_DELTA) if call is None or put is None else Figure(call - put)


def _butterfly(call: float | None, put: float | None, atm: Figure) -> Figure:
    if call is None or put is None:
        return null(NO_25_DELTA)
    return null(NO_ATM_IV) if atm.value is None else Figure((call + put) / 2 - atm.value)
