"""Surfaces expected against those told: in Kafka, MongoDB and Redis."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from optionstream.schemas import redis_keys
from optionstream.streams.verify.report import DIFFERENT, MISSING, SURPLUS, Differences
from optionstream.streams.verify.stores import BROKEN
from optionstream.streams.verify.surface.expected import Surface
from optionstream.streams.verify.surface.facts import Facts, facts_of_document

CLOSE: Final = 1e-9
"""Difference that rounding may make, beside `Surface.rounding`: relative to numbers above 1, else
absolute, for differences of volatilities may cancel."""

_KEY = redis_keys.surface("")


def compare_surfaces(
    expected: Mapping[str, Surface],
    told: Mapping[str, Sequence[Facts]],
    where: str,
    differences: Differences,
) -> None:
    """Each told must be the expected one of its id, and each expected one be told."""
    for id_ in told.keys() - expected.keys():
        differences.add(SURPLUS, where, id_, None, _shown(told[id_][0]))
    for id_, wanted in expected.items():
        if id_ not in told:
            differences.add(MISSING, where, id_, _shown(wanted.facts), None)
        for actual in told.get(id_, ()):
            _compare_one(id_, wanted, actual, where, differences)


def compare_newest_surfaces(
    expected: Mapping[str, Surface],
    values: Mapping[str, dict[str, Any] | None],
    *,
    may_expire: bool,
    differences: Differences,
) -> None:
    """The values under ``volatility_surface``, which expire in live."""
    newest: dict[str, Surface] = {}
    for surface in sorted(expected.values(), key=_version):
        newest[redis_keys.surface(surface.facts["product"])] = surface
    found = {key: value for key, value in values.items() if key.startswith(_KEY)}
    for key in found.keys() - newest.keys():
        differences.add(SURPLUS, "redis", key, None, found[key])
    for key, wanted in newest.items():
        if key in found:
            _compare_value(key, wanted, found[key], differences)
        elif not may_expire:
            differences.add(MISSING, "redis", key, _shown(wanted.facts), None)


def _compare_value(key: str, wanted: Surface, value: Any, differences: Differences) -> None:
    try:
        actual = facts_of_document(value)
    except BROKEN:
        differences.add(DIFFERENT, "redis", key, _shown(wanted.facts), value)
        return
    _compare_one(key, wanted, actual, "redis", differences)


def _compare_one(
    id_: str, wanted: Surface, actual: Facts, where: str, differences: Differences
) -> None:
    facts, tolerance = wanted.facts, CLOSE + wanted.rounding
    wrong = sorted(
        name
        for name in facts.keys() | actual.keys()
        if name not in facts
        or name not in actual
        or not agrees(facts[name], actual[name], tolerance)
    )
    if wrong:
        mine, theirs = ({name: one.get(name) for name in wrong} for one in (facts, actual))
        differences.add(DIFFERENT, where, id_, mine, theirs)


def agrees(mine: Any, theirs: Any, tolerance: float = CLOSE) -> bool:
    """True if both are equal but for the rounding of floats, at whatever depth."""
    if isinstance(mine, dict) and isinstance(theirs, dict):
        names = mine.keys()
        return names == theirs.keys() and all(agrees(mine[k], theirs[k], tolerance) for k in names)
    if isinstance(mine, list) and isinstance(theirs, list):
        pairs = zip(mine, theirs, strict=False)
        return len(mine) == len(theirs) and all(agrees(*pair, tolerance) for pair in pairs)
    if isinstance(mine, float) and isinstance(theirs, int | float):
        return abs(mine - theirs) <= tolerance * max(1.0, abs(mine))
    return bool(mine == theirs)


def _version(surface: Surface) -> tuple[int, int]:
    return surface.facts["ts_event"], surface.facts["number"]


def _shown(facts: Facts) -> Facts:
    names = ("ts_event", "number", "expiries_in_capture", "expiries_captured", "left_out", "flags")
    return {name: facts[name] for name in names}
