"""The surfaces that follow from the accepted chains of a product (docs/semantics.md).

A batch over the whole log, from the input alone: first which chains count, then the captures they
came in, then for each capture the newest chain of every expiry.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import sqrt
from typing import NamedTuple

from optionstream.schemas.times import ist_date
from optionstream.streams.verify.chains.facts import ChainFacts
from optionstream.streams.verify.surface.facts import Surface, id_of
from optionstream.streams.verify.surface.smiles import Chain, between, with_smiles

TENORS = (7, 14, 30, 60, 90)
PLACES = tuple(hundredths / 100 for hundredths in range(-10, 11))
NOISE = 1e-9
"""Relative fall of total variance between expiries that counts as none."""


@dataclass
class _Capture:
    """Chains of one capture that came one after the other.

    ``fresh`` are those that were the newest of their expiry.
    """

    chains: list[Chain]
    fresh: list[Chain]

    @property
    def expiries(self) -> int:
        """How many different expiries have come."""
        return len({chain.facts.expiry for chain in self.chains})

    @property
    def is_complete(self) -> bool:
        """True if all expiries of the capture have come."""
        return self.expiries >= self.chains[0].facts.expiries_in_capture

    def takes(self, chain: Chain) -> bool:
        """True if the chain belongs to this capture, which still waits for chains."""
        first = self.chains[0].facts
        same = first.capture_id == chain.facts.capture_id and _day(first) == _day(chain.facts)
        return same and not self.is_complete


class _Held(NamedTuple):
    """The newest chain of an expiry, and its total variance at each of ``PLACES``."""

    chain: Chain
    variances: list[float | None]


def expected_surfaces(chains: Iterable[ChainFacts]) -> dict[str, Surface]:
    """Return by id the surfaces of one product's recomputed chains.

    The chains come in the order in which the stream makes them, repeated content included.
    """
    found: dict[str, Surface] = {}
    newest: dict[str, _Held] = {}
    day, number = "", 0
    for capture in _captures(with_smiles(chains)):
        if _day(capture.chains[0].facts) != day:
            day, number, newest = _day(capture.chains[0].facts), 0, {}
        newest |= {chain.facts.expiry: _held(chain) for chain in capture.fresh}
        if capture.fresh:
            number += 1
            surface = _surface(capture, number, [newest[expiry] for expiry in sorted(newest)])
            found[id_of(surface.facts)] = surface
    return found


def _day(facts: ChainFacts) -> str:
    return ist_date(facts.ts_event)


def _captures(chains: Iterable[Chain]) -> Iterator[_Capture]:
    """Yield the captures that are over: complete, or ended by a chain of another one."""
    capture: _Capture | None = None
    for chain, is_fresh in _counting(chains):
        if capture is None or not capture.takes(chain):
            if capture is not None and not capture.is_complete:
                yield capture
            capture = _Capture([], [])
        capture.chains.append(chain)
        if is_fresh:
            capture.fresh.append(chain)
        if capture.is_complete:
            yield capture


def _counting(chains: Iterable[Chain]) -> Iterator[tuple[Chain, bool]]:
    """Yield the chains that count, and whether each is newer than the one before of its expiry.

    Those of an earlier day do not count, nor those older than the newest of their expiry.
    """
    versions: dict[str, tuple[int, int, str]] = {}
    current = ""
    for chain in chains:
        day, version = _day(chain.facts), chain.facts.version
        before = versions.get(chain.facts.expiry)
        if day < current or (before is not None and version < before):
            continue
        current = day
        versions[chain.facts.expiry] = version
        yield chain, before is None or version > before


def _held(chain: Chain) -> _Held:
    smile = chain.smile
    if isinstance(smile, str):
        return _Held(chain, [])
    points = zip(smile["log_moneyness"], smile["iv"], strict=True)
    line = [(place, iv * iv * smile["years"]) for place, iv in points]
    return _Held(chain, [between(line, place) for place in PLACES])


def _surface(capture: _Capture, number: int, newest: Sequence[_Held]) -> Surface:
    chains = [one.chain for one in newest]
    last = capture.fresh[-1].facts
    solved = [one for one in newest if not isinstance(one.chain.smile, str)]
    rows = [_row(days / 365, solved) for days in TENORS]
    flags = ["calendar_arbitrage"] if _falls(solved) else []
    facts = {
        "product": last.product,
        "expiry": last.expiry,
        "snapshot_id": last.snapshot_id,
        "number": number,
        "ts_event": max(one.facts.ts_event for one in chains),
        "ts_recv": max(one.facts.ts_recv for one in chains),
        "iv_mode": last.iv_mode,
        "capture_id": last.capture_id,
        "expiries_in_capture": capture.chains[0].facts.expiries_in_capture,
        "expiries_captured": capture.expiries,
        "smiles": [one.chain.smile for one in solved],
        "left_out": {one.facts.expiry: one.smile for one in chains if isinstance(one.smile, str)},
        "tenors_days": list(TENORS),
        "log_moneyness": list(PLACES),
        "iv": [[iv for iv, _ in row] for row in rows],
        "reason": [[reason for _, reason in row] for row in rows],
        "flags": flags if capture.is_complete else [*flags, "incomplete_capture"],
    }
    return Surface(facts, max(one.rounding for one in chains))


def _row(tenor: float, solved: Sequence[_Held]) -> list[tuple[float | None, str | None]]:
    """Return the volatility, or the reason for none, at each of ``PLACES``."""
    years = [one.chain.facts.years or 0.0 for one in solved]
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
            variance = between([(years[before], low), (years[after], high)], tenor)
            row.append((sqrt((variance or 0.0) / tenor), None))
    return row


def _falls(solved: Sequence[_Held]) -> bool:
    """True if total variance is less for a later expiry anywhere."""
    return any(
        before is not None and after is not None and after < before * (1 - NOISE)
        for sooner, later in pairwise(solved)
        for before, after in zip(sooner.variances, later.variances, strict=True)
    )
