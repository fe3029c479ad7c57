"""Recomputed facts of a chain against those found, by field; `tolerances` says how close."""

from __future__ import annotations

from collections import Counter
from typing import Any

import msgspec
import numpy as np

from optionstream.schemas.figures import ROUNDED, SUMMARY, TIED
from optionstream.streams.verify.chains.facts import ChainFacts
from optionstream.streams.verify.chains.legs import judge, legs_of, reasons
from optionstream.streams.verify.chains.math import Figure, rounding_of, total_or
from optionstream.streams.verify.chains.pricing import Basis
from optionstream.streams.verify.chains.sides import Floats
from optionstream.streams.verify.chains.tolerances import ROUNDING
from optionstream.streams.verify.compare import Facts, Judge, Wrong, agree

_JUDGED_APART = ("reasons", "computed", "basis", "rivals", "rounding")
_COMPARED = tuple(name for name in ChainFacts.__struct_fields__ if name not in _JUDGED_APART)
_SUMMARY = ("ts_event", "ts_recv", "source", *SUMMARY, "missing_legs")


def chain_apart(expected: ChainFacts, found: ChainFacts) -> Wrong:
    """Return the fields in which a chain found is wrong; ``expected`` was recomputed."""
    wanted, wrong = expected, Wrong()
    basis = expected.basis
    if basis is not None and len(found.reasons) == len(expected.reasons):
        wanted = _settled(expected, basis, found)
        legs = legs_of(basis, wanted.forward)
        wrong = judge(legs, wanted.reasons, found.reasons, found.figures)
    for name in _COMPARED:
        mine = getattr(expected if name == "forward" else wanted, name)
        theirs = getattr(found, name)
        if not figures_agree(name, mine, theirs, wanted.rounding.get(name, 0.0)) and not (
            name in TIED and theirs in wanted.rivals
        ):
            wrong[name] = (_shown(mine), _shown(theirs))
    return wrong


def figures_agree(name: str, mine: Any, theirs: Any, rounding: float = 0.0) -> bool:
    """True if the figures are equal, sums but for what their order may make.

    ``rounding`` is what terms that cancel add to that.
    """
    return agree(mine, theirs, ROUNDING, rounding) if name in ROUNDED else bool(mine == theirs)


def summary(facts: ChainFacts) -> Facts:
    """Return what a report says of a chain."""
    return {name: getattr(facts, name) for name in _SUMMARY}


CHAINS = Judge[ChainFacts, ChainFacts](chain_apart, summary, summary)
"""How chains are compared."""


def _shown(value: Any) -> Any:
    """Return a value for a report."""
    return np.frombuffer(value).tolist() if isinstance(value, bytes) else value


def _settled(expected: ChainFacts, basis: Basis, found: ChainFacts) -> ChainFacts:
    """Return ``expected`` with what follows from forward and volatilities, at those found.

    The forward found may differ in its last digit, and with it the nearer of two strikes.
    """
    same = figures_agree("forward", expected.forward, found.forward)
    forward = found.forward if same else expected.forward
    settled = reasons(legs_of(basis, forward), found.reasons)
    counts = Counter(reason for reason in settled if reason is not None)
    solved = basis.legs - counts.total()
    iv, gex = found.figures[0], found.figures[-1]
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
