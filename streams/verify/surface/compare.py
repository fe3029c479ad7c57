"""Surfaces expected against those told: in Kafka, MongoDB and Redis."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from optionstream.schemas import redis_keys
from optionstream.streams.verify.chains.facts import ChainFacts
from optionstream.streams.verify.report import DIFFERENT, MISSING, SURPLUS, Differences
from optionstream.streams.verify.stores import BROKEN
from optionstream.streams.verify.surface.expected import Chain, expected_surfaces
from optionstream.streams.verify.surface.facts import Facts, facts_of_document

CLOSE: Final = 1e-9
"""Relative difference that another order of the same steps may make; of differences of volatilities
this much absolute, for they may cancel."""

_KEY = redis_keys.surface("")


def surfaces_of(
    told: Iterable[ChainFacts], sources: Sequence[Mapping[str, list[float]]]
) -> dict[str, Facts]:
    """By id, the surfaces that must follow from the chains told, in their order.

    ``sources`` are the expected chains of each input topic, strikes by id; of what is told beyond
    them nothing follows."""
    chains = list(told)
    found: dict[str, Facts] = {}
    for strikes in sources:
        products: dict[str, list[Chain]] = {}
        for facts in chains:
            if facts.id in strikes and len(facts.reasons) == 2 * len(strikes[facts.id]):
                chain = Chain(facts, strikes[facts.id])
                products.setdefault(facts.product, []).append(chain)
        for of_product in products.values():
            found |= expected_surfaces(of_product)
    return found


def compare_surfaces(
    expected: Mapping[str, Facts],
    told: Mapping[str, Sequence[Facts]],
    where: str,
    differences: Differences,
) -> None:
    """Each told must be the expected one of its id, and each expected one be told."""
    for id_ in told.keys() - expected.keys():
        differences.add(SURPLUS, where, id_, None, _shown(told[id_][0]))
    for id_, wanted in expected.items():
        if id_ not in told:
            differences.add(MISSING, where, id_, _shown(wanted), None)
        for actual in told.get(id_, ()):
            _compare_one(id_, wanted, actual, where, differences)


def compare_newest_surfaces(
    expected: Mapping[str, Facts],
    values: Mapping[str, dict[str, Any] | None],
    *,
    may_expire: bool,
    differences: Differences,
) -> None:
    """The values under ``volatility_surface``, which expire in live."""
    newest: dict[str, Facts] = {}
    for facts in sorted(expected.values(), key=_version):
        newest[redis_keys.surface(facts["product"])] = facts
    found = {key: value for key, value in values.items() if key.startswith(_KEY)}
    for key in found.keys() - newest.keys():
        differences.add(SURPLUS, "redis", key, None, found[key])
    for key, wanted in newest.items():
        if key in found:
            _compare_value(key, wanted, found[key], differences)
        elif not may_expire:
            differences.add(MISSING, "redis", key, _shown(wanted), None)


def _compare_value(key: str, wanted: Facts, value: Any, differences: Differences) -> None:
    try:
        actual = facts_of_document(value)
    except BROKEN:
        differences.add(DIFFERENT, "redis", key, _shown(wanted), value)
        return
    _compare_one(key, wanted, actual, "redis", differences)


def _compare_one(
    id_: str, wanted: Facts, actual: Facts, where: str, differences: Differences
) -> None:
    wrong = sorted(
        name
        for name in wanted.keys() | actual.keys()
        if name not in wanted or name not in actual or not agrees(wanted[name], actual[name])
    )
    if wrong:
        mine, theirs = ({name: one.get(name) for name in wrong} for one in (wanted, actual))
        differences.add(DIFFERENT, where, id_, mine, theirs)


def agrees(mine: Any, theirs: Any) -> bool:
    """Equal but for the rounding of floats, in whatever depth."""
    if isinstance(mine, dict) and isinstance(theirs, dict):
        return mine.keys() == theirs.keys() and all(agrees(mine[k], theirs[k]) for k in mine)
    if isinstance(mine, list) and isinstance(theirs, list):
        pairs = zip(mine, theirs, strict=False)
        return len(mine) == len(theirs) and all(agrees(one, other) for one, other in pairs)
    if isinstance(mine, float) and isinstance(theirs, int | float):
        return abs(mine - theirs) <= CLOSE * max(1.0, abs(mine))
    return bool(mine == theirs)


def _version(facts: Facts) -> tuple[int, int]:
    return facts["ts_event"], facts["number"]


def _shown(facts: Facts) -> Facts:
    names = ("ts_event", "number", "expiries_in_capture", "expiries_captured", "left_out", "flags")
    return {name: facts[name] for name in names}
