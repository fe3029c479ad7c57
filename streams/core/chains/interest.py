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
"""How many strikes are named as resistance and as support."""


class Totals(NamedTuple):
    """Sums over the calls and over the puts; a side that tells nothing is null."""

    call: Figure
    put: Figure


class Interest(NamedTuple):
    """What the open interest and the volume of one chain say.

    The ratios are put over call, the ``_near`` ones of the strikes near the money. ``max_pain`` is
    the strike at which the options would pay their holders least, rupees; ``resistance`` and
    ``support`` are up to `LEVELS` strikes with the most open interest of calls and of puts, the
    greatest first.
    """

    oi: Totals
    volume: Totals
    oi_change: Totals
    oi_intraday: Totals
    pcr_oi: Figure
    pcr_volume: Figure
    pcr_oi_near: Figure
    pcr_volume_near: Figure
    max_pain: Figure
    resistance: list[float]
    support: list[float]


def interest(
    table: ChainTable, compared: Compared, atm: Sequence[int | None], near: Sequence[int]
) -> list[Interest]:
    """Of each chain of a table; ``atm`` is its position at the money, and the strikes at most
    ``near`` from it are near the money."""
    figures = np.array([table.oi, table.volume, table.oi_change, compared.oi_intraday])
    whole, close = _Sums(figures, table.present), _near(figures[:2], table.present, atm, near)
    oi = np.where(np.isnan(table.oi), 0.0, table.oi)
    pains, most = _max_pain(table.strikes, oi), _most(table.strikes, oi)
    found = []
    for at, reason in enumerate(compared.reasons):
        total_oi, volume = whole.totals(0, at, NO_OI), whole.totals(1, at, NO_VOLUME)
        absent = whole.absent_side(at)
        pcr_oi, pcr_volume = _put_call_ratios(total_oi, volume, absent)
        near_oi, near_volume = _put_call_ratios(
            close.totals(0, at, NO_OI),
            close.totals(1, at, NO_VOLUME),
            NO_ATM if atm[at] is None else close.absent_side(at),
        )
        pain = pains[at]
        found.append(
            Interest(
                oi=total_oi,
                volume=volume,
                oi_change=whole.totals(2, at, NO_OI_CHANGE),
                oi_intraday=whole.totals(3, at, reason),
                pcr_oi=pcr_oi,
                pcr_volume=pcr_volume,
                pcr_oi_near=near_oi,
                pcr_volume_near=near_volume,
                max_pain=null(absent or NO_OI) if absent or pain is None else Figure(pain),
                resistance=most[at][CALL],
                support=most[at][PUT],
            )
        )
    return found


class _Sums:
    """Sums of figures, (figures, chains, 2, strikes), along the strikes; and which sides are there
    at all."""

    def __init__(self, figures: Floats, present: Bools, within: Bools | None = None) -> None:
        known = ~np.isnan(figures)
        if within is not None:
            known, present = known & within, present & within
        self._sums: list[list[list[float]]] = np.where(known, figures, 0.0).sum(axis=-1).tolist()
        self._tells: list[list[list[bool]]] = np.any(known, axis=-1).tolist()
        self._there: list[list[bool]] = np.any(present, axis=-1).tolist()

    def totals(self, figure: int, chain: int, why: str) -> Totals:
        call, put = self._sums[figure][chain]
        tells = self._tells[figure][chain]
        return Totals(
            Figure(call) if tells[CALL] else null(why), Figure(put) if tells[PUT] else null(why)
        )

    def absent_side(self, chain: int) -> str | None:
        """The reason when one side has no leg at all, calls first."""
        calls, puts = self._there[chain]
        if not calls:
            return NO_CALLS
        return None if puts else NO_PUTS


def _near(figures: Floats, present: Bools, atm: Sequence[int | None], near: Sequence[int]) -> _Sums:
    """Sums of the strikes near the money; of a chain without one nothing that means anything."""
    money = np.array([[-1 if at is None else at] for at in atm])
    away = np.abs(np.arange(present.shape[-1]) - money)
    return _Sums(figures, present, (away <= np.array(near)[:, None])[:, None])


def _put_call_ratios(oi: Totals, volume: Totals, absent: str | None) -> tuple[Figure, Figure]:
    """Put over call open interest and volume; ``absent`` says why there is none."""
    if absent:
        return null(absent), null(absent)
    return _ratio(oi, ZERO_CALL_OI), _ratio(volume, ZERO_CALL_VOLUME)


def _ratio(total: Totals, zero: str) -> Figure:
    calls, puts = total.call, total.put
    if calls.value is None or puts.value is None:
        return null(calls.reason or puts.reason or zero)
    return null(zero) if calls.value == 0 else Figure(puts.value / calls.value)


def _max_pain(strikes: Floats, oi: Floats) -> list[float | None]:
    """Of each chain the strike S of least pain(S) = sum over K of OI_call(K) * max(S - K, 0) +
    OI_put(K) * max(K - S, 0), of equal strikes the lowest; None without open interest.

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
    """Of each chain and side the strikes with the most open interest, the greatest first."""
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
