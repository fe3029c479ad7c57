"""The surfaces that must follow from the chains that went out (docs/semantics.md).

The chains are those told, in the order in which they were told: that each is right is verified
before. A batch of the whole log: first which chains count, then the bodies they came in, then for
each body what was the newest of every expiry.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import isnan, log, sqrt
from typing import NamedTuple

from optionstream.schemas.times import ist_date
from optionstream.streams.verify.chains.facts import ChainFacts
from optionstream.streams.verify.chains.legs import COLUMNS
from optionstream.streams.verify.surface.facts import Facts, id_of

TENORS = (7, 14, 30, 60, 90)
PLACES = tuple(hundredths / 100 for hundredths in range(-10, 11))
NOISE = 1e-9
"""Relative fall of total variance between expiries that is none."""

Line = Sequence[tuple[float, float]]
"""Points (x, y) as x rises."""


class Chain(NamedTuple):
    """A chain as told, with its strikes; rupees."""

    facts: ChainFacts
    strikes: list[float]

    @property
    def day(self) -> str:
        return ist_date(self.facts.ts_event)


@dataclass
class _Body:
    """Chains of one capture that came one after the other; ``fresh`` are those that were the newest
    of their expiry."""

    chains: list[Chain]
    fresh: list[Chain]

    @property
    def expiries(self) -> int:
        return len({chain.facts.expiry for chain in self.chains})

    @property
    def is_complete(self) -> bool:
        return self.expiries >= self.chains[0].facts.expiries_in_capture

    def takes(self, chain: Chain) -> bool:
        first = self.chains[0]
        same = first.facts.capture_id == chain.facts.capture_id and first.day == chain.day
        return same and not self.is_complete


def expected_surfaces(told: Iterable[Chain]) -> dict[str, Facts]:
    """By id, the surfaces of one product's chains in the order in which they were told."""
    found: dict[str, Facts] = {}
    newest: dict[str, _Held] = {}
    day, number = "", 0
    for body in _bodies(told):
        if body.chains[0].day != day:
            day, number, newest = body.chains[0].day, 0, {}
        newest |= {chain.facts.expiry: _held(chain) for chain in body.fresh}
        if body.fresh:
            number += 1
            facts = _surface(body, number, [newest[expiry] for expiry in sorted(newest)])
            found[id_of(facts)] = facts
    return found


def _bodies(told: Iterable[Chain]) -> Iterator[_Body]:
    """What is over: the complete ones, and those that a chain of another one ended."""
    body: _Body | None = None
    for chain, is_fresh in _counting(told):
        if body is None or not body.takes(chain):
            if body is not None and not body.is_complete:
                yield body
            body = _Body([], [])
        body.chains.append(chain)
        if is_fresh:
            body.fresh.append(chain)
        if body.is_complete:
            yield body


def _counting(told: Iterable[Chain]) -> Iterator[tuple[Chain, bool]]:
    """The chains that are neither of an earlier day nor older than one of their expiry, and whether
    each is newer."""
    versions: dict[str, tuple[int, int, str]] = {}
    day = ""
    for chain in told:
        before = versions.get(chain.facts.expiry)
        if chain.day < day or (before is not None and chain.facts.version < before):
            continue
        day = chain.day
        versions[chain.facts.expiry] = chain.facts.version
        yield chain, before is None or chain.facts.version > before


class _Held(NamedTuple):
    """The newest chain of an expiry, and its total variance at each of ``PLACES``."""

    facts: ChainFacts
    smile: Facts | str
    variances: list[float | None]


def _held(chain: Chain) -> _Held:
    smile = _smile(chain)
    if isinstance(smile, str):
        return _Held(chain.facts, smile, [])
    told = zip(smile["log_moneyness"], smile["iv"], strict=True)
    line = [(place, iv * iv * smile["years"]) for place, iv in told]
    return _Held(chain.facts, smile, [_between(line, place) for place in PLACES])


def _surface(body: _Body, number: int, newest: Sequence[_Held]) -> Facts:
    last = body.fresh[-1].facts
    solved = [one for one in newest if isinstance(one.smile, dict)]
    rows = [_row(days / 365, solved) for days in TENORS]
    flags = ["calendar_arbitrage"] if _falls(solved) else []
    return {
        "product": last.product,
        "expiry": last.expiry,
        "snapshot_id": last.snapshot_id,
        "number": number,
        "ts_event": max(one.facts.ts_event for one in newest),
        "ts_recv": max(one.facts.ts_recv for one in newest),
        "iv_mode": last.iv_mode,
        "capture_id": last.capture_id,
        "expiries_in_capture": body.chains[0].facts.expiries_in_capture,
        "expiries_captured": body.expiries,
        "smiles": [one.smile for one in solved],
        "left_out": {one.facts.expiry: one.smile for one in newest if isinstance(one.smile, str)},
        "tenors_days": list(TENORS),
        "log_moneyness": list(PLACES),
        "iv": [[iv for iv, _ in row] for row in rows],
        "reason": [[reason for _, reason in row] for row in rows],
        "flags": flags if body.is_complete else [*flags, "incomplete_capture"],
    }


# -- one expiry -----------------------------------------------------------------------------------


class _Point(NamedTuple):
    place: float
    strike: float
    iv: float
    delta: float


def _smile(chain: Chain) -> Facts | str:
    """The smile of a chain, else the reason why there is none."""
    facts = chain.facts
    why = dict(facts.null_reasons)
    if facts.years is None:
        return str(why.get("years"))
    if not facts.years > 0:
        return "expiry_day" if facts.iv_mode == "nse" else "expired"
    if facts.forward is None or not facts.forward > 0:
        return str(why.get("forward"))
    points = sorted(_points(chain, facts.forward))
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


def _points(chain: Chain, forward: float) -> Iterator[_Point]:
    """What is out of the money, or at the forward, and has a volatility."""
    iv, delta = (chain.facts.figures[COLUMNS.index(name)].tolist() for name in ("iv", "delta"))
    strikes = chain.strikes
    for at, strike in enumerate(strikes):
        call, put = at, at + len(strikes)
        legs = [leg for leg in (call, put) if not isnan(iv[leg])]
        if strike != forward:
            legs = [leg for leg in legs if leg == (call if strike > forward else put)]
        if legs:
            mean = sum(iv[leg] for leg in legs) / len(legs)
            yield _Point(log(strike / forward), strike, mean, abs(delta[legs[0]]))


def _figures(points: Sequence[_Point]) -> dict[str, tuple[float | None, str | None]]:
    variance = _between([(point.place, point.iv**2) for point in points], 0.0)
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
    """Where delta first falls to a quarter, from the money outward."""
    for near, far in pairwise(wing):
        if far.delta <= 0.25 <= near.delta and far.delta != near.delta:
            return _between([(far.delta, far.iv), (near.delta, near.iv)], 0.25)
    return None


# -- between expiries -----------------------------------------------------------------------------


def _row(tenor: float, solved: Sequence[_Held]) -> list[tuple[float | None, str | None]]:
    """Volatility or reason at each of ``PLACES``."""
    years = [one.facts.years or 0.0 for one in solved]
    sooner = [at for at, one in enumerate(years) if one <= tenor]
    later = [at for at, one in enumerate(years) if one >= tenor]
    if not sooner or not later:
        return [(None, "outside_expiries")] * len(PLACES)
    before, after = sooner[-1], later[0]
    row: list[tuple[float | None, str | None]] = []
    for low, high in zip(solved[before].variances, solved[after].variances, strict=True):
        if low is None or high is None:
            row.append((None, "outside_strikes"))
        else:
            variance = _between([(years[before], low), (years[after], high)], tenor)
            row.append((sqrt((variance or 0.0) / tenor), None))
    return row


def _falls(solved: Sequence[_Held]) -> bool:
    """Whether total variance is less for a later expiry anywhere."""
    return any(
        before is not None and after is not None and after < before * (1 - NOISE)
        for sooner, later in pairwise(solved)
        for before, after in zip(sooner.variances, later.variances, strict=True)
    )


def _between(line: Line, x: float) -> float | None:
    """The line's height at ``x``; None beyond its ends."""
    for at, y in line:
        if at == x:
            return y
    for (left, low), (right, high) in pairwise(line):
        if left < x < right:
            return low + (high - low) * ((x - left) / (right - left))
    return None
