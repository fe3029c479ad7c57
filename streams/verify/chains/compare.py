"""Chain analytics recomputed against those told: in Kafka, MongoDB and Redis."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import islice
from typing import Any, NamedTuple

import numpy as np

from optionstream.schemas import redis_keys
from optionstream.schemas.documents import LEG_FIELDS
from optionstream.streams.verify.chains.facts import (
    ChainFacts,
    computed_of,
    facts_of_document,
    instant,
)
from optionstream.streams.verify.chains.judge import close, differing
from optionstream.streams.verify.chains.legs import Legs, judge, legs_of, reasons
from optionstream.streams.verify.chains.pricing import Basis
from optionstream.streams.verify.report import DIFFERENT, MISSING, SURPLUS, Differences
from optionstream.streams.verify.stores import BROKEN


class Contract(NamedTuple):
    """One leg of a chain; ``at`` is its position, calls first."""

    facts: ChainFacts
    basis: Basis
    at: int

    @property
    def strike(self) -> float:
        return float(np.tile(self.basis.strikes, 2)[self.at])

    @property
    def kind(self) -> str:
        return "CE" if self.at < len(self.basis.strikes) else "PE"

    @property
    def symbol(self) -> str:
        facts = self.facts
        return redis_keys.trading_symbol(facts.product, facts.expiry, self.strike, self.kind)


def newest_contracts(chains: Iterable[ChainFacts]) -> dict[str, list[Contract]]:
    """By symbol, the leg in the chain of the greatest version that has it (several when equal)."""
    newest: dict[tuple[str, str, float], list[Contract]] = {}
    for facts in sorted(chains, key=lambda one: one.version, reverse=True):
        assert facts.basis is not None
        for at, signed in _there(facts.basis):
            held = newest.setdefault((facts.product, facts.expiry, signed), [])
            if not held or held[0].facts.version == facts.version:
                held.append(Contract(facts, facts.basis, at))
    return {contracts[0].symbol: contracts for contracts in newest.values()}


def contract_agrees(contract: Contract, value: Mapping[str, Any]) -> bool:
    """Whether a document tells of this leg what it must. Raises KeyError, TypeError or ValueError
    for something that is no document of a leg."""
    facts, at = contract.facts, contract.at
    told_forward = value["forward"]
    exact = {
        "symbol": contract.symbol,
        "product": facts.product,
        "expiry": facts.expiry,
        "kind": contract.kind,
        "strike": contract.strike,
        "oi_unit": facts.oi_unit,
        "underlying_price": facts.underlying_price,
        "oi_intraday": _or_none(np.frombuffer(facts.oi_intraday)[at]),
        **dict(zip(LEG_FIELDS, _source_figures(contract), strict=True)),
    }
    return (
        all(value[name] == wanted for name, wanted in exact.items())
        and instant(value["timestamp"]) == facts.ts_event
        and close(facts.forward, told_forward)
        and _computed_agrees(legs_of(contract.basis, told_forward), at, value)
    )


def _there(basis: Basis) -> list[tuple[int, float]]:
    """Position and strike of each leg that is there, the strike of a put negative."""
    calls, puts = basis.sides
    places = np.flatnonzero(np.concatenate((calls.present, puts.present)))
    signed = np.concatenate((basis.strikes, -basis.strikes))[places]
    return list(zip(places.tolist(), signed.tolist(), strict=True))


def _computed_agrees(legs: Legs, at: int, value: Mapping[str, Any]) -> bool:
    leg = legs.only(np.arange(len(legs.strike)) == at)
    reason = (value["iv_reason"],)
    told = np.array([computed_of(value)], dtype=np.float64).T
    return not judge(leg, reasons(leg, reason), reason, told)


def _source_figures(contract: Contract) -> list[float | None]:
    columns = np.concatenate([side.columns for side in contract.basis.sides], axis=1)
    return [_or_none(figure) for figure in columns[:, contract.at]]


def _or_none(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


Variants = Mapping[str, Sequence[ChainFacts]]
"""By id, the different facts under it."""


def compare_chains(
    expected: Variants, told: Variants, where: str, differences: Differences, *, every: bool
) -> None:
    """Each told must be one expected; with ``every``, each variant of an id must be told, else
    (a store with one place an id) any one of them."""
    for id_ in told.keys() - expected.keys():
        differences.add(SURPLUS, where, id_, None, _shown(told[id_][0]))
    for id_, variants in expected.items():
        if id_ not in told:
            differences.add(MISSING, where, id_, _shown(variants[0]), None)
            continue
        for actual in told[id_]:
            _compare_one(id_, variants, actual, where, differences)
        if every and len(variants) > 1:
            lacking = (one for one in variants if all(differing(one, a) for a in told[id_]))
            for one in islice(lacking, 1):
                differences.add(MISSING, where, id_, _shown(one), None)


class Newest(NamedTuple):
    """What must be the newest: by product and expiry the facts of the greatest version, by symbol
    the leg in the newest chain that has it; several only when equal in version."""

    chains: dict[tuple[str, str], list[ChainFacts]]
    contracts: dict[str, list[Contract]]


def newest_chains(expected: Variants) -> Newest:
    """The newest of everything in the recomputed chains."""
    newest: dict[tuple[str, str], list[ChainFacts]] = {}
    every = [one for variants in expected.values() for one in variants]
    for facts in every:
        place = facts.product, facts.expiry
        held = newest.get(place)
        if held is None or facts.version > held[0].version:
            newest[place] = [facts]
        elif facts.version == held[0].version:
            held.append(facts)
    return Newest(newest, newest_contracts(every))


def compare_newest_chains(
    newest: Newest,
    values: Mapping[str, dict[str, Any] | None],
    *,
    may_expire: bool,
    differences: Differences,
) -> None:
    """The values under ``latest:chain``, ``latest:pcr`` and ``latest:option``; only those of
    ``latest:pcr`` expire."""
    wanted = dict(_wanted(newest))
    found = {key: value for key, value in values.items() if key.startswith(_PREFIXES)}
    for key in found.keys() - wanted.keys():
        differences.add(SURPLUS, "redis", key, None, found[key])
    for key, (agree, shown) in wanted.items():
        if key not in found:
            if not (may_expire and key.startswith(_EXPIRING)):
                differences.add(MISSING, "redis", key, shown, None)
        elif not any(_holds(agrees, found[key]) for agrees in agree):
            differences.add(DIFFERENT, "redis", key, shown, found[key])


_PREFIXES = ("latest:chain:", "latest:pcr:", "latest:option:")
_EXPIRING = "latest:pcr:"

Test = Callable[[Any], bool]
"""Whether a value is right. Raises what ``BROKEN`` lists for one that is not of the shape."""


def _wanted(newest: Newest) -> Iterator[tuple[str, tuple[list[Test], dict[str, Any]]]]:
    """By key: the tests of which one must hold, and what to show when none does."""
    for (product, expiry), facts in newest.chains.items():
        shown = _shown(facts[0])
        chain, pcr = redis_keys.chain(product, expiry), redis_keys.pcr(product, expiry)
        yield chain, ([partial(_chain_agrees, one) for one in facts], shown)
        yield pcr, ([partial(_pcr_agrees, one) for one in facts], shown)
    for symbol, contracts in newest.contracts.items():
        shown = _shown(contracts[0].facts)
        tests: list[Test] = [partial(contract_agrees, one) for one in contracts]
        yield redis_keys.option(symbol), (tests, shown)


def _holds(test: Test, value: Any) -> bool:
    try:
        return test(value)
    except BROKEN:
        return False


def _compare_one(
    id_: str,
    variants: Sequence[ChainFacts],
    actual: ChainFacts,
    where: str,
    differences: Differences,
) -> None:
    wrong = min((differing(variant, actual) for variant in variants), key=len)
    if wrong:
        wanted = {name: mine for name, (mine, _) in wrong.items()}
        got = {name: theirs for name, (_, theirs) in wrong.items()}
        differences.add(DIFFERENT, where, id_, wanted, got)


def _chain_agrees(facts: ChainFacts, value: Any) -> bool:
    return not differing(facts, facts_of_document(value))


_PCR_EXACT = ("product", "expiry", "snapshot_id", "oi_unit", "near_strikes", "atm_strike")
_PCR_FIGURES = (
    *("pcr_oi", "pcr_volume", "pcr_oi_near", "pcr_volume_near"),
    *("call_oi", "put_oi", "call_volume", "put_volume"),
)


def _pcr_agrees(facts: ChainFacts, value: Any) -> bool:
    reasons = {name: why for name, why in facts.null_reasons if name in _PCR_REASONS}
    return (
        all(value[name] == getattr(facts, name) for name in _PCR_EXACT)
        and instant(value["timestamp"]) == facts.ts_event
        and value["null_reasons"] == reasons
        and all(close(getattr(facts, name), value[name]) for name in _PCR_FIGURES)
    )


_PCR_REASONS = ("atm_strike", *_PCR_FIGURES)


def _shown(facts: ChainFacts) -> dict[str, Any]:
    names = ("ts_event", "ts_recv", "source", "pcr_oi", "pcr_volume", "max_pain", "missing_legs")
    return {name: getattr(facts, name) for name in names}
