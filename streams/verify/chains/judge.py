"""Recomputed facts of a chain against told ones, by field; `chain_tolerances` says how close."""

from __future__ import annotations

from collections import Counter
from typing import Any

import msgspec
import numpy as np

from optionstream.streams.verify.chains.facts import ChainFacts
from optionstream.streams.verify.chains.legs import Wrong, judge, legs_of, reasons
from optionstream.streams.verify.chains.math import Figure, rounding_of, total_or
from optionstream.streams.verify.chains.pricing import Basis
from optionstream.streams.verify.chains.sides import Floats
from optionstream.streams.verify.chains.tolerances import ROUNDING

_SUMS = frozenset(
    {
        "call_oi",
        "put_oi",
        "call_oi_change",
        "put_oi_change",
        "call_oi_intraday",
        "put_oi_intraday",
        "call_volume",
        "put_volume",
        "pcr_oi",
        "pcr_volume",
        "pcr_oi_near",
        "pcr_volume_near",
        "years",
        "forward",
        "straddle",
        "atm_iv",
        "gex_total",
        "completeness",
    }
)
_JUDGED_APART = ("reasons", "computed", "basis", "rivals", "rounding")
_COMPARED = tuple(name for name in ChainFacts.__struct_fields__ if name not in _JUDGED_APART)


def differing(expected: ChainFacts, told: ChainFacts) -> Wrong:
    """What is told otherwise than ``expected``, which was recomputed, demands."""
    wanted, wrong = expected, Wrong()
    basis = expected.basis
    if basis is not None and len(told.reasons) == len(expected.reasons):
        wanted = _settled(expected, basis, told)
        legs = legs_of(basis, wanted.forward)
        wrong = judge(legs, wanted.reasons, told.reasons, told.figures)
    for name in _COMPARED:
        mine = getattr(expected if name == "forward" else wanted, name)
        theirs = getattr(told, name)
        if not _agrees(name, mine, theirs, wanted):
            wrong[name] = (_shown(mine), _shown(theirs))
    return wrong


def close(mine: Any, theirs: Any, rounding: float = 0.0) -> bool:
    """Equal but for the rounding of a sum; ``rounding`` is what its terms add to that."""
    if not isinstance(mine, int | float) or not isinstance(theirs, int | float):
        return mine is theirs
    return abs(mine - theirs) <= ROUNDING * max(abs(mine), abs(theirs)) + rounding


def _agrees(name: str, mine: Any, theirs: Any, wanted: ChainFacts) -> bool:
    if name == "max_pain" and theirs in wanted.rivals:
        return True
    if name in _SUMS:
        return close(mine, theirs, wanted.rounding.get(name, 0.0))
    return bool(mine == theirs)


def _shown(value: Any) -> Any:
    """A value for a report."""
    return np.frombuffer(value).tolist() if isinstance(value, bytes) else value


def _settled(expected: ChainFacts, basis: Basis, told: ChainFacts) -> ChainFacts:
    """``expected`` with what hangs on forward and volatilities, by those told.

    The forward told may differ in its last digit, and with it the nearer of two strikes.
    """
    forward = told.forward if close(expected.forward, told.forward) else expected.forward
    settled = reasons(legs_of(basis, forward), told.reasons)
    counts = Counter(reason for reason in settled if reason is not None)
    solved = basis.legs - counts.total()
    iv, gex = told.figures[0], told.figures[-1]
    figures = basis.at_the_money(forward)
    figures["atm_iv"] = _atm_iv(iv, basis.place(forward))
    figures["gex_total"] = _gex_total(gex, basis, solved)
    why = {name: reason for name, reason in expected.null_reasons if name not in figures}
    why |= {name: reason for name, (_, reason) in figures.items() if reason is not None}
    below = ("below_intrinsic",) if counts["below_intrinsic"] else ()
    return msgspec.structs.replace(
        expected,
        **{name: value for name, (value, _) in figures.items()},
        forward=forward,
        reasons=settled,
        legs_with_iv=solved,
        iv_null_reasons=tuple(sorted(counts.items())),
        null_reasons=tuple(sorted(why.items())),
        flags=tuple(sorted((*expected.flags, *below))),
        rounding={**expected.rounding, "gex_total": rounding_of(gex)},
    )


def _gex_total(gex: Floats, basis: Basis, solved: int) -> Figure:
    if basis.unit == "lots":
        return None, "oi_in_lots"
    return total_or(gex, "no_oi") if solved else (None, "no_iv")


def _atm_iv(iv: Floats, place: int | None) -> Figure:
    if place is None:
        return None, "no_atm"
    there = iv[[place, place + len(iv) // 2]]
    known = there[~np.isnan(there)]
    return (float(known.mean()), None) if known.size else (None, "no_iv")
