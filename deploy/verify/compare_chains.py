"""Chain analytics recomputed against those told: in Kafka, MongoDB and Redis."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from optionstream.deploy.verify.chain_facts import (
    ChainFacts,
    close,
    facts_of_document,
    instant,
)
from optionstream.deploy.verify.differences import DIFFERENT, MISSING, SURPLUS, Differences
from optionstream.deploy.verify.stores import BROKEN
from optionstream.schemas import redis_keys

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
        lacking = [one for one in variants if all(one.differing(a) for a in told[id_])]
        if every and lacking and len(variants) > 1:
            differences.add(MISSING, where, id_, _shown(lacking[0]), None)


def newest_chains(expected: Variants) -> dict[tuple[str, str], list[ChainFacts]]:
    """By product and expiry, the facts of the greatest version (several only when equal in it)."""
    newest: dict[tuple[str, str], list[ChainFacts]] = {}
    for facts in (one for variants in expected.values() for one in variants):
        place = facts.product, facts.expiry
        held = newest.get(place)
        if held is None or facts.version > held[0].version:
            newest[place] = [facts]
        elif facts.version == held[0].version:
            held.append(facts)
    return newest


def compare_newest_chains(
    newest: Mapping[tuple[str, str], list[ChainFacts]],
    values: Mapping[str, dict[str, Any] | None],
    *,
    may_expire: bool,
    differences: Differences,
) -> None:
    """The values under ``latest:chain`` and ``latest:pcr``; only the latter expire."""
    keys = {}
    for (product, expiry), facts in newest.items():
        keys[redis_keys.chain(product, expiry)] = (facts, _chain_agrees)
        keys[redis_keys.pcr(product, expiry)] = (facts, _pcr_agrees)
    found = {k: v for k, v in values.items() if k.startswith(("latest:chain:", "latest:pcr:"))}
    for key in found.keys() - keys.keys():
        differences.add(SURPLUS, "redis", key, None, found[key])
    for key, (facts, agrees) in keys.items():
        if key not in found:
            if not (may_expire and agrees is _pcr_agrees):
                differences.add(MISSING, "redis", key, _shown(facts[0]), None)
        elif not any(agrees(one, found[key]) for one in facts):
            differences.add(DIFFERENT, "redis", key, _shown(facts[0]), found[key])


def _compare_one(
    id_: str,
    variants: Sequence[ChainFacts],
    actual: ChainFacts,
    where: str,
    differences: Differences,
) -> None:
    differing = [(variant, variant.differing(actual)) for variant in variants]
    nearest, names = min(differing, key=lambda one: len(one[1]))
    if names:
        wanted = {name: getattr(nearest, name) for name in names}
        got = {name: getattr(actual, name) for name in names}
        differences.add(DIFFERENT, where, id_, wanted, got)


def _chain_agrees(facts: ChainFacts, value: Any) -> bool:
    try:
        return not facts.differing(facts_of_document(value))
    except BROKEN:
        return False


def _pcr_agrees(facts: ChainFacts, value: Any) -> bool:
    try:
        return all(
            (
                value["product"] == facts.product,
                value["expiry"] == facts.expiry,
                value["snapshot_id"] == facts.snapshot_id,
                instant(value["timestamp"]) == facts.ts_event,
                value["oi_unit"] == facts.oi_unit,
                value["null_reasons"] == dict(facts.null_reasons),
                *(close(getattr(facts, name), value[name]) for name in _PCR_FIGURES),
            )
        )
    except BROKEN:
        return False


_PCR_FIGURES = ("pcr_oi", "pcr_volume", "call_oi", "put_oi", "call_volume", "put_volume")


def _shown(facts: ChainFacts) -> dict[str, Any]:
    names = ("ts_event", "ts_recv", "source", "pcr_oi", "pcr_volume", "max_pain", "missing_legs")
    return {name: getattr(facts, name) for name in names}
