"""Open interest and volume: totals, put-call ratios, max pain, the strikes with most of it."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from optionstream.streams.core.chains.figures import (
    NO_ATM,
    NO_CALLS,
    NO_OI,
    NO_PUTS,
    NO_VOLUME,
    ZERO_CALL_OI,
    ZERO_CALL_VOLUME,
    Figure,
    null,
)
from optionstream.streams.core.chains.table import CALL, PUT, ChainTable, Floats

LEVELS: Final = 4
"""How many strikes are named as resistance and as support."""


class Totals(NamedTuple):
    """Sums over the calls and over the puts; a side that tells nothing is null."""

    call: Figure
    put: Figure


def totals(*told: tuple[Floats, str]) -> list[Totals]:
    """The sums of figures of shape (2, strikes), each given with the reason for its nulls.

    All in one pass: of a chain's few strikes the calls into NumPy cost more than the sums.
    """
    stacked = np.array([values for values, _ in told])
    known_at = ~np.isnan(stacked)
    sums = np.where(known_at, stacked, 0.0).sum(axis=2).tolist()
    tells = known_at.any(axis=2).tolist()
    return [
        Totals(*(Figure(sums[at][side]) if tells[at][side] else null(why) for side in (CALL, PUT)))
        for at, (_, why) in enumerate(told)
    ]


def put_call_ratios(oi: Totals, volume: Totals, absent: str | None) -> tuple[Figure, Figure]:
    """Put over call open interest and volume; ``absent`` is what ``absent_side`` says."""
    if absent:
        return null(absent), null(absent)
    return _ratio(oi, ZERO_CALL_OI), _ratio(volume, ZERO_CALL_VOLUME)


def near_ratios(table: ChainTable, at: int | None, places: int) -> tuple[Figure, Figure]:
    """As ``put_call_ratios`` over the strikes at most ``places`` from position ``at``."""
    if at is None:
        return null(NO_ATM), null(NO_ATM)
    near = slice(max(0, at - places), at + places + 1)
    oi, volume = totals((table.oi[:, near], NO_OI), (table.volume[:, near], NO_VOLUME))
    return put_call_ratios(oi, volume, absent_side(table, near))


def absent_side(table: ChainTable, within: slice = slice(None)) -> str | None:
    """The reason when one side has no leg at all, calls first."""
    if not table.present[CALL, within].any():
        return NO_CALLS
    return None if table.present[PUT, within].any() else NO_PUTS


def max_pain(table: ChainTable) -> Figure:
    """The strike at which the options of the chain would pay their holders least, rupees.

    pain(S) = sum over K of OI_call(K) * max(S - K, 0) + OI_put(K) * max(K - S, 0); of equal
    strikes the lowest. Unknown open interest counts as none.
    """
    absent = absent_side(table)
    if absent:
        return null(absent)
    oi = known(table.oi)
    if not oi.any():
        return null(NO_OI)
    strikes = table.strikes
    distance = strikes[:, None] - strikes[None, :]
    pain = np.maximum(distance, 0.0) @ oi[CALL] + np.maximum(-distance, 0.0) @ oi[PUT]
    return Figure(float(strikes[int(np.argmin(pain))]))


def most_interest(table: ChainTable, side: int) -> list[float]:
    """Up to `LEVELS` strikes with the most open interest of a side, the greatest first."""
    oi = known(table.oi[side])
    order = np.argsort(-oi, kind="stable")[:LEVELS]
    strikes: list[float] = table.strikes[order[oi[order] > 0]].tolist()
    return strikes


def known(values: Floats) -> Floats:
    """The figures with 0 for what is not known."""
    return np.where(np.isnan(values), 0.0, values)


def _ratio(total: Totals, zero: str) -> Figure:
    calls, puts = total.call, total.put
    if calls.value is None or puts.value is None:
        return null(calls.reason or puts.reason or zero)
    return null(zero) if calls.value == 0 else Figure(puts.value / calls.value)
