"""Open interest and volume: totals, put-call ratios, max pain, the strikes with most of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np

from optionstream.streams.core.chains.figures import (
    NO_ATM,
    NO_CALLS,
    NO_OI,
    NO_OI_CHANGE,
    NO_PUTS,
    NO_VOLUME,
    ZERO_CALL_OI,
    ZERO_CALL_VOLUME,
    Figure,
    null,
)
from optionstream.streams.core.chains.history import Compared
from optionstream.streams.core.chains.table import CALL, PUT, Bools, ChainTable, Floats, any_leg

LEVELS: Final = 4
"""Maximum number of strikes in resistance and in support."""


Totals = tuple[Figure, Figure]
"""Sums over the calls and over the puts; a side without the figure is null."""


class Interest(NamedTuple):
    """What follows from the open interest and the volume of one chain.

    ``figures`` by their names in the record: totals of each side, put-call ratios (put over call,
    the ``_near`` ones of the strikes near the money) and max pain, the strike at which the options
    would pay their holders least. ``resistance`` and ``support`` are up to `LEVELS` strikes with
    the most open interest of calls and of puts, the greatest first. Strikes are in rupees.
    """

    figures: dict[str, Figure]
    resistance: list[float]
    support: list[float]


def interest(
    table: ChainTable, compared: Compared, atm: Sequence[int | None], near: Sequence[int]
) -> list[Interest]:
    """Return the interest of each chain of a table. ``atm`` is its position at the money; strikes
    at most ``near`` positions from it are near the money."""
    figures = np.array([table.oi, table.volume, table.oi_change, compared.oi_intraday])
    whole, close = _Sums(figures, table.present), _near(figures[:2], table.present, atm, near)
    oi = np.where(np.isnan(table.oi), 0.0, table.oi)
    pains, most = _max_pain(table.strikes, oi), _most(table.strikes, oi)
    found = []
    for at, reason in enumerate(compared.reasons):
        absent = whole.absent_side(at)
        absent_near = NO_ATM if atm[at] is None else close.absent_side(at)
        pain = pains[at]
        totals = {
            "oi": whole.totals(0, at, NO_OI),
            "volume": whole.totals(1, at, NO_VOLUME),
            "oi_change": whole.totals(2, at, NO_OI_CHANGE),
            "oi_intraday": whole.totals(3, at, reason),
        }
        named = {
            f"{side}_{name}": figure
            for name, both in totals.items()
            for side, figure in zip(("call", "put"), both, strict=True)
        }
        named |= {
            "pcr_oi": _ratio(totals["oi"], absent, ZERO_CALL_OI),
            "pcr_volume": _ratio(totals["volume"], absent, ZERO_CALL_VOLUME),
            "pcr_oi_near": _ratio(close.totals(0, at, NO_OI), absent_near, ZERO_CALL_OI),
            "pcr_volume_near": _ratio(
                close.totals(1, at, NO_VOLUME), absent_near, ZERO_CALL_VOLUME
            ),
            "max_pain": null(absent or NO_OI) if absent or pain is None else Figure(pain),
        }
        found.append(Interest(named, most[at][CALL], most[at][PUT]))
    return found


class _Sums:
    """Sums of figures, (figures, chains, 2, strikes), along the strikes; and which sides are there
    at all."""

    def __init__(self, figures: Floats, present: Bools, within: Bools | None = None) -> None:
        known = ~np.isnan(figures)
        if within is not None:
            known, present = known & within, present & within
        self._sums: list[list[list[float]]] = np.where(known, figures, 0.0).sum(axis=-1).tolist()
        self._known_sides: list[list[list[bool]]] = np.any(known, axis=-1).tolist()
        self._there: list[list[bool]] = np.any(present, axis=-1).tolist()

    def totals(self, figure: int, chain: int, why: str) -> Totals:
        """Return the sums of a figure in a chain; ``why`` is the reason of a side without it."""
        call, put = self._sums[figure][chain]
        known_sides = self._known_sides[figure][chain]
        return (
            Figure(call) if known_sides[CALL] else null(why),
            Figure(put) if known_sides[PUT] else null(why),
        )

    def absent_side(self, chain: int) -> str | None:
        """Return the reason if one side has no leg at all, calls first."""
        calls, puts = self._there[chain]
        if not calls:
            return NO_CALLS
        return None if puts else NO_PUTS


def _near(figures: Floats, present: Bools, atm: Sequence[int | None], near: Sequence[int]) -> _Sums:
    """Return sums of the strikes near the money; meaningless where ``atm`` is None."""
    money = np.array([[-1 if at is None else at] for at in atm])
    away = np.abs(np.arange(present.shape[-1]) - money)
    return _Sums(figures, present, (away <= np.array(near)[:, None])[:, None])


def _ratio(total: Totals, absent: str | None, zero: str) -> Figure:
    """Return put over call. ``absent`` says why there is none, ``zero`` why if the calls are 0."""
    calls, puts = total
    if absent:
        return null(absent)
    if calls.value is None or puts.value is None:
        return null(calls.reason or puts.reason or zero)
    return null(zero) if calls.value == 0 else Figure(puts.value / calls.value)


def _max_pain(strikes: Floats, oi: Floats) -> list[float | None]:
    """Return for each chain the strike S of least pain(S) = sum over K of
    OI_call(K) * max(S - K, 0) + OI_put(K) * max(K - S, 0), of equal strikes the lowest; None
    without open interest.

    From one strike to the next pain rises by their distance times (OI of calls up to the first,
    less OI of puts above it), which never falls: least is the first strike where that is not
    negative.
    """
    calls_so_far = np.cumsum(oi[:, CALL], axis=-1)
    puts_above = np.zeros_like(calls_so_far)
    puts_above[:, :-1] = np.cumsum(oi[:, PUT, :0:-1], axis=-1)[:, ::-1]
    least = np.argmax(calls_so_far >= puts_above, axis=-1)
    found = np.take_along_axis(strikes, least[:, None], axis=-1)[:, 0].tolist()
    there = any_leg(oi > 0.0)
    return [strike if is_there else None for strike, is_there in zip(found, there, strict=True)]


def _most(strikes: Floats, oi: Floats) -> list[list[list[float]]]:
    """Return by chain and side the strikes with the most open interest, the greatest first."""
    order = np.argsort(-oi, axis=-1, kind="stable")[..., :LEVELS]
    amounts = np.take_along_axis(oi, order, axis=-1).tolist()
    named = np.take_along_axis(strikes[:, None], order, axis=-1).tolist()
    return [
        [
            [strike for strike, amount in zip(*side, strict=True) if amount > 0]
            for side in zip(*chain, strict=True)
        ]
        for chain in zip(named, amounts, strict=True)
    ]
