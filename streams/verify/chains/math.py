"""Ratios, levels and max pain of one chain, by brute force."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from optionstream.streams.verify.chains.sides import Floats, Side, known_sum
from optionstream.streams.verify.chains.tolerances import ROUNDING

LEVELS = 4
_CELLS = 1 << 20
_EXACT = float(1 << 53)
"""Whole numbers below this have no rounding."""

Figure = tuple[float | None, str | None]
"""A number, or None and the reason."""


@dataclass(frozen=True, slots=True)
class Pain:
    """Max pain, or the reason why it is null; ``rivals`` are strikes as good but for rounding."""

    strike: float | None
    reason: str | None = None
    rivals: frozenset[float] = frozenset()


def ratio(calls: Side, puts: Side, figure: str) -> Figure:
    """Return put total over call total of ``oi`` or ``volume``."""
    absent = absent_side(calls, puts)
    if absent is not None:
        return None, absent
    (call_total, why), (put_total, why_not) = (
        total_or(side[figure], f"no_{figure}") for side in (calls, puts)
    )
    if call_total is None or put_total is None:
        return None, why or why_not
    return (put_total / call_total, None) if call_total else (None, f"zero_call_{figure}")


def absent_side(calls: Side, puts: Side) -> str | None:
    """Return ``no_calls`` or ``no_puts`` if a side has no leg at all."""
    if not calls.present.any():
        return "no_calls"
    return None if puts.present.any() else "no_puts"


def total_or(values: Floats, reason: str) -> Figure:
    """Return the sum of what is known, None if nothing is."""
    return (None, reason) if np.isnan(values).all() else (known_sum(values), None)


def rounding_of(terms: Floats) -> float:
    """Return what the order of a sum may make where terms of both signs cancel."""
    return ROUNDING * known_sum(abs(terms))


def levels(strikes: Floats, oi: Floats) -> tuple[float, ...]:
    """Return the strikes of most open interest, the greatest first."""
    held = zip(oi.tolist(), strikes.tolist(), strict=True)
    most = sorted((-amount, strike) for amount, strike in held if amount > 0)
    return tuple(strike for _, strike in most[:LEVELS])


def max_pain(strikes: Floats, calls: Side, puts: Side) -> Pain:
    """Return the lowest strike at which open interest pays least (docs/semantics.md, Chains)."""
    absent = absent_side(calls, puts)
    if absent is not None:
        return Pain(None, absent)
    call_oi, put_oi = np.nan_to_num(calls["oi"]), np.nan_to_num(puts["oi"])
    if not call_oi.any() and not put_oi.any():
        return Pain(None, "no_oi")
    paid = _paid(strikes, call_oi, put_oi)
    least = float(paid.min())
    strike = float(strikes[paid == least][0])
    whole = all(bool(np.all(column % 1 == 0)) for column in (strikes, call_oi, put_oi))
    if whole and paid.max() < _EXACT:
        return Pain(strike)
    return Pain(strike, None, frozenset(strikes[paid <= least * (1 + ROUNDING)].tolist()))


def _paid(strikes: Floats, call_oi: Floats, put_oi: Floats) -> Floats:
    """Return what holders receive in all if the product settles at each strike."""
    rows = max(1, _CELLS // len(strikes))
    parts = []
    for first in range(0, len(strikes), rows):
        above = strikes[first : first + rows, None] - strikes[None, :]
        calls = (np.maximum(above, 0) * call_oi).sum(axis=1)
        puts = (np.maximum(-above, 0) * put_oi).sum(axis=1)
        parts.append(calls + puts)
    return np.concatenate(parts)
