"""Single contracts in Redis: of each, the newest chain that has its leg."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

from optionstream.deploy.verify.chains.facts import ChainFacts, computed_of, instant
from optionstream.deploy.verify.chains.judge import close
from optionstream.deploy.verify.chains.legs import Legs, judge, legs_of, reasons
from optionstream.deploy.verify.chains.pricing import Basis
from optionstream.schemas import redis_keys
from optionstream.schemas.documents import LEG_FIELDS


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
