"""Open interest and volume: totals, put-call ratios, max pain, the strikes with most of it."""

from __future__ import annotations

from typing import Final

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


def totals(values: Floats, reason: str) -> tuple[Figure, Figure]:
    """Sums of what calls and puts tell, null with ``reason`` for a side that tells nothing;
    ``values`` is (2, strikes)."""
    sums = known(values).sum(axis=1).tolist()
    call, put = (
        null(reason) if np.isnan(values[side]).all() else Figure(sums[side]) for side in (CALL, PUT)
    )
    return call, put


def put_call_ratios(table: ChainTable, strikes: slice | None = None) -> tuple[Figure, Figure]:
    """Put over call open interest and volume, over the chain or a range of its strikes."""
    within = strikes or slice(None)
    absent = absent_side(table, within)
    return (
        _ratio(table.oi[:, within], absent, NO_OI, ZERO_CALL_OI),
        _ratio(table.volume[:, within], absent, NO_VOLUME, ZERO_CALL_VOLUME),
    )


def near_ratios(table: ChainTable, at: int | None, places: int) -> tuple[Figure, Figure]:
    """As ``put_call_ratios`` over the strikes at most ``places`` from position ``at``."""
    if at is None:
        return null(NO_ATM), null(NO_ATM)
    return put_call_ratios(table, slice(max(0, at - places), at + places + 1))


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
    return [float(table.strikes[at]) for at in order if oi[at] > 0]


def known(values: Floats) -> Floats:
    """The figures with 0 for what is not known."""
    return np.where(np.isnan(values), 0.0, values)


def _ratio(values: Floats, absent: str | None, untold: str, zero: str) -> Figure:
    if absent:
        return null(absent)
    calls, puts = (total.value for total in totals(values, untold))
    if calls is None or puts is None:
        return null(untold)
    return null(zero) if calls == 0 else Figure(puts / calls)
