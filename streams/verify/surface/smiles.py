"""The smiles of expected chains, solved from premiums (docs/figures/volatility-surface.md)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice, pairwise
from math import log, sqrt
from typing import NamedTuple

import numpy as np

from optionstream.streams.verify.chains.facts import ChainFacts
from optionstream.streams.verify.chains.legs import legs_of, out_of_the_money
from optionstream.streams.verify.chains.pricing import Parts, delta
from optionstream.streams.verify.chains.sides import Floats
from optionstream.streams.verify.chains.volatility import total_volatility
from optionstream.streams.verify.compare import Facts

_CHAINS_AT_ONCE = 256
"""Solved together: few enough to bound memory, many enough for columns to pay."""

Line = Sequence[tuple[float, float]]
"""Points (x, y) as x rises."""


class Chain(NamedTuple):
    """A chain and its smile, or the reason why it has none.

    ``rounding`` is the part of a volatility of the smile that rounding may make.
    """

    facts: ChainFacts
    smile: Facts | str
    rounding: float


class _Point(NamedTuple):
    strike: float
    place: float
    iv: float
    delta: float


def with_smiles(chains: Iterable[ChainFacts]) -> Iterator[Chain]:
    """Yield the chains, which are recomputed ones, in their order."""
    rest = iter(chains)
    while several := list(islice(rest, _CHAINS_AT_ONCE)):
        yield from _solve(several)


def between(line: Line, x: float) -> float | None:
    """Return the line's height at ``x``; None beyond its ends."""
    for at, y in line:
        if at == x:
            return y
    for (left, low), (right, high) in pairwise(line):
        if left < x < right:
            return low + (high - low) * ((x - left) / (right - left))
    return None


def _solve(chains: Sequence[ChainFacts]) -> Iterator[Chain]:
    columns = [_columns(facts) for facts in chains]
    strike, is_call, forward, carried, value, size = np.concatenate(columns, axis=1)
    solved = total_volatility(forward, strike, Parts(value, size))
    deltas = abs(carried * delta(forward, strike, is_call == 1, solved.total))
    ends = np.cumsum([legs.shape[1] for legs in columns])
    for facts, legs, end in zip(chains, columns, ends, strict=True):
        mine = slice(end - legs.shape[1], end)
        reason = _no_smile(facts)
        smile = reason or _smile(facts, _points(facts, legs[0], solved.total[mine], deltas[mine]))
        yield Chain(facts, smile, float(solved.rounding[mine].max(initial=0.0)))


def _columns(facts: ChainFacts) -> Floats:
    """Return the legs that count, as `out_of_the_money` does."""
    assert facts.basis is not None
    forward = facts.forward
    if forward is None or _no_smile(facts) is not None:
        return np.empty((6, 0))
    return out_of_the_money(legs_of(facts.basis, forward), forward)


def _no_smile(facts: ChainFacts) -> str | None:
    """Return the reason why a chain has no smile, whatever its legs are."""
    why = dict(facts.null_reasons)
    if facts.years is None:
        return str(why["years"])
    if not facts.years > 0:
        return "expiry_day" if facts.iv_mode == "nse" else "expired"
    return str(why["forward"]) if facts.forward is None else None


def _points(facts: ChainFacts, strikes: Floats, total: Floats, deltas: Floats) -> list[_Point]:
    """Return the points by strike: at the forward itself the mean of both legs."""
    assert facts.years is not None and facts.forward is not None
    found: dict[float, _Point] = {}
    legs = zip(strikes.tolist(), (total / sqrt(facts.years)).tolist(), deltas.tolist(), strict=True)
    for strike, iv, slope in legs:
        if strike in found:  # its call, at the forward
            call = found[strike]
            found[strike] = call._replace(iv=(call.iv + iv) / 2)
        else:
            found[strike] = _Point(strike, log(strike / facts.forward), iv, slope)
    return sorted(found.values())


def _smile(facts: ChainFacts, points: Sequence[_Point]) -> Facts | str:
    if not points:
        return "no_iv"
    figures = _figures(points)
    return {
        "expiry": facts.expiry,
        "snapshot_id": facts.snapshot_id,
        "ts_event": facts.ts_event,
        "years": facts.years,
        "forward": facts.forward,
        **{name: value for name, (value, _) in figures.items()},
        "strikes": [point.strike for point in points],
        "log_moneyness": [point.place for point in points],
        "iv": [point.iv for point in points],
        "null_reasons": {name: reason for name, (_, reason) in figures.items() if reason},
    }


def _figures(points: Sequence[_Point]) -> dict[str, tuple[float | None, str | None]]:
    variance = between([(point.place, point.iv**2) for point in points], 0.0)
    atm = None if variance is None else sqrt(variance)
    call = _at_a_quarter([point for point in points if point.place >= 0])
    put = _at_a_quarter([point for point in reversed(points) if point.place <= 0])
    found: dict[str, tuple[float | None, str | None]] = {
        "atm_iv": (atm, "outside_strikes" if atm is None else None)
    }
    if call is None or put is None:
        return found | dict.fromkeys(("risk_reversal_25", "butterfly_25"), (None, "no_25_delta"))
    found["risk_reversal_25"] = call - put, None
    found["butterfly_25"] = (None, "no_atm_iv") if atm is None else (0.5 * (call + put) - atm, None)
    return found


def _at_a_quarter(wing: Sequence[_Point]) -> float | None:
    """Return the volatility where delta first falls to a quarter, from the money outward."""
    for near, far in pairwise(wing):
        if far.delta <= 0.25 <= near.delta and far.delta != near.delta:
            return between([(far.delta, far.iv), (near.delta, near.iv)], 0.25)
    return None
