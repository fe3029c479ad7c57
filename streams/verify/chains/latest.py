"""What Redis must hold of chains: the newest of each expiry, its ratios, and each contract."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple

import numpy as np

from optionstream.schemas import redis_keys
from optionstream.schemas.documents import LEG_FIELDS
from optionstream.schemas.figures import PCR_NAMES
from optionstream.streams.verify.chains.facts import ChainFacts, computed_of, facts_of_document
from optionstream.streams.verify.chains.judge import chain_apart, figures_agree, summary
from optionstream.streams.verify.chains.legs import judge, legs_of, reasons
from optionstream.streams.verify.chains.pricing import Basis
from optionstream.streams.verify.compare import Facts, Wrong, fields_apart, instant
from optionstream.streams.verify.latest import Latest, latest

_PCR: Final = ("product", "expiry", "snapshot_id", "oi_unit", *PCR_NAMES)
"""Fields of a chain that the document of its ratios has under their own name."""


class _Contract(NamedTuple):
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


def latest_chains(chains: Iterable[ChainFacts]) -> dict[str, list[Latest]]:
    """Return by key what must be there of recomputed chains; several when equal in version.

    A contract has its leg in the newest chain that has it.
    """
    newest: dict[tuple[str, str], list[ChainFacts]] = {}
    legs: dict[tuple[str, str, float], list[_Contract]] = {}
    for facts in sorted(chains, key=lambda one: one.version, reverse=True):
        basis, place = facts.basis, (facts.product, facts.expiry)
        assert basis is not None
        held = newest.setdefault(place, [])
        if not held or held[0].version == facts.version:
            held.append(facts)
        for at, strike in _present(basis):
            contracts = legs.setdefault((*place, strike), [])
            if not contracts or contracts[0].facts.version == facts.version:
                contracts.append(_Contract(facts, basis, at))
    found: dict[str, list[Latest]] = {}
    for place, variants in newest.items():
        found[redis_keys.chain(*place)] = [
            latest(one, facts_of_document, chain_apart, summary(one)) for one in variants
        ]
        found[redis_keys.pcr(*place)] = [
            latest(one, dict, _pcr_apart, summary(one)) for one in variants
        ]
    for contracts in legs.values():
        found[redis_keys.option(contracts[0].symbol)] = [
            latest(one, dict, _contract_apart, summary(one.facts)) for one in contracts
        ]
    return found


def _present(basis: Basis) -> Iterator[tuple[int, float]]:
    """Yield position and strike of each leg that is present, the strike of a put negative."""
    calls, puts = basis.sides
    places = np.flatnonzero(np.concatenate((calls.present, puts.present)))
    signed = np.concatenate((basis.strikes, -basis.strikes))[places]
    return zip(places.tolist(), signed.tolist(), strict=True)


def _pcr_apart(facts: ChainFacts, document: Mapping[str, Any]) -> Wrong:
    reasons = {name: why for name, why in facts.null_reasons if name in _PCR}
    wanted = {name: getattr(facts, name) for name in _PCR}
    wanted |= {"timestamp": facts.ts_event, "null_reasons": reasons}
    return fields_apart(wanted, _fields(document, wanted), figures_agree)


def _contract_apart(contract: _Contract, document: Mapping[str, Any]) -> Wrong:
    facts, basis, at = contract
    source = np.concatenate([side.columns for side in basis.sides], axis=1)[:, at]
    wanted = {
        "symbol": contract.symbol,
        "product": facts.product,
        "expiry": facts.expiry,
        "timestamp": facts.ts_event,
        "kind": contract.kind,
        "strike": contract.strike,
        "oi_unit": facts.oi_unit,
        "underlying_price": facts.underlying_price,
        "forward": facts.forward,
        "oi_intraday": _or_none(np.frombuffer(facts.oi_intraday)[at]),
        **dict(zip(LEG_FIELDS, map(_or_none, source), strict=True)),
    }
    wrong = fields_apart(wanted, _fields(document, wanted), figures_agree)
    legs = legs_of(basis, facts.forward if "forward" in wrong else document["forward"])
    leg, reason = legs.only(np.arange(len(legs.strike)) == at), (document["iv_reason"],)
    computed = np.array([computed_of(document)], dtype=np.float64).T
    return wrong | judge(leg, reasons(leg, reason), reason, computed)


def _fields(document: Mapping[str, Any], wanted: Facts) -> Facts:
    """Return the fields of a document that are ``wanted``."""
    found = {name: document[name] for name in wanted}
    return {**found, "timestamp": instant(found["timestamp"])}


def _or_none(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
