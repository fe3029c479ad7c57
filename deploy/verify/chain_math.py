"""Totals, ratios and max pain of one chain, by brute force."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from optionstream.schemas.events import LEG_COLUMNS, Legs

Floats = NDArray[np.float64]

ROUNDING = 1e-12
"""Relative difference that the order of a float sum may make."""
_CELLS = 1 << 20


@dataclass(frozen=True, slots=True)
class Side:
    """One side of a chain. ``oi`` and ``volume`` have NaN where the leg lacks the figure."""

    oi: Floats
    volume: Floats
    present: int
    """Strikes that have this leg."""

    @property
    def total_oi(self) -> float:
        return float(np.nansum(self.oi))

    @property
    def total_volume(self) -> float:
        return float(np.nansum(self.volume))

    @property
    def fractional(self) -> bool:
        return bool(np.any(np.nan_to_num(self.oi) % 1))


@dataclass(frozen=True, slots=True)
class Pain:
    """Max pain, or why there is none. ``rivals`` are strikes that differ by rounding only."""

    strike: float | None
    reason: str | None = None
    rivals: frozenset[float] = frozenset()


def side_of(legs: Legs) -> Side:
    columns = [np.array(getattr(legs, name), dtype=np.float64) for name in LEG_COLUMNS]
    missing = np.all(np.isnan(np.stack(columns)), axis=0)
    oi, volume = columns[LEG_COLUMNS.index("oi")], columns[LEG_COLUMNS.index("volume")]
    return Side(oi, volume, int(np.count_nonzero(~missing)))


def ratio(calls: Side, puts: Side, figure: str) -> tuple[float | None, str | None]:
    """Put total over call total of ``oi`` or ``volume``: value, or None and the reason."""
    absent = absent_side(calls, puts)
    if absent is not None:
        return None, absent
    call_total = calls.total_oi if figure == "oi" else calls.total_volume
    put_total = puts.total_oi if figure == "oi" else puts.total_volume
    if call_total == 0:
        return None, f"zero_call_{figure}"
    return put_total / call_total, None


def absent_side(calls: Side, puts: Side) -> str | None:
    """``no_calls`` or ``no_puts`` when a side has no leg at all."""
    if not calls.present:
        return "no_calls"
    return None if puts.present else "no_puts"


def max_pain(strikes: list[float], calls: Side, puts: Side) -> Pain:
    """The lowest strike at which open interest pays least; see docs/semantics.md, Chains."""
    absent = absent_side(calls, puts)
    if absent is not None:
        return Pain(None, absent)
    call_oi, put_oi = np.nan_to_num(calls.oi), np.nan_to_num(puts.oi)
    if not call_oi.any() and not put_oi.any():
        return Pain(None, "no_oi")
    at = np.array(strikes, dtype=np.float64)
    paid = _paid(at, call_oi, put_oi)
    least = float(paid.min())
    strike = float(at[paid == least][0])
    if all(bool(np.all(column % 1 == 0)) for column in (at, call_oi, put_oi)):
        return Pain(strike)
    return Pain(strike, None, frozenset(at[paid <= least * (1 + ROUNDING)].tolist()))


def _paid(strikes: Floats, call_oi: Floats, put_oi: Floats) -> Floats:
    """What holders receive in all if the product settles at each strike."""
    rows = max(1, _CELLS // len(strikes))
    parts = []
    for first in range(0, len(strikes), rows):
        above = strikes[first : first + rows, None] - strikes[None, :]
        calls = (np.maximum(above, 0) * call_oi).sum(axis=1)
        puts = (np.maximum(-above, 0) * put_oi).sum(axis=1)
        parts.append(calls + puts)
    return np.concatenate(parts)
