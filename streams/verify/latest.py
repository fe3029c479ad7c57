"""What Redis must hold: the newest of everything, each as a document under its key."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple, TypeVar

from optionstream.schemas import redis_keys
from optionstream.streams.verify.compare import (
    BROKEN,
    Facts,
    Judge,
    Wrong,
    compare,
    fields_apart,
    instant,
)
from optionstream.streams.verify.kinds import read_bar
from optionstream.streams.verify.report import Differences
from optionstream.streams.verify.surface import facts as surface_facts
from optionstream.streams.verify.surface.facts import Surface
from optionstream.streams.verify.ticks.expected_bars import NewestBar
from optionstream.streams.verify.ticks.journal import in_64_bits
from optionstream.streams.verify.ticks.stored import LatestTick

E = TypeVar("E")
F = TypeVar("F")

Document = dict[str, Any]
_EXPIRING: Final = ("latest:pcr:", "ohlc:", "volatility_surface:")
"""Keys with a lifetime in live and sim."""


class Latest(NamedTuple):
    """What one key must hold. ``apart`` returns what is wrong with a document, ``shown`` is what a
    report says of the expected one; None if the key may be lacking."""

    apart: Callable[[Document | None], Wrong]
    shown: Any


def latest(
    wanted: E, read: Callable[[Any], F], apart: Callable[[E, F], Wrong], shown: Any
) -> Latest:
    """Return the expectation that a document, as ``read``, is like ``wanted``."""

    def document_apart(document: Document | None) -> Wrong:
        try:
            return apart(wanted, read(document))
        except BROKEN:
            return {"document": (shown, document)}

    return Latest(document_apart, shown)


def compare_latest(
    expected: Mapping[str, Sequence[Latest]],
    values: Mapping[str, Document | None],
    differences: Differences,
    *,
    live: bool,
) -> None:
    """Compare the documents of Redis, by key without the namespace's prefix.

    What expires in ``live`` and sim is compared only if it is there.
    """
    wanted = {
        key: variants
        for key, variants in expected.items()
        if key in values or not (variants[0].shown is None or (live and key.startswith(_EXPIRING)))
    }
    found = {key: [value] for key, value in values.items()}
    judge = Judge[Latest, Document | None](
        lambda one, document: one.apart(document), lambda one: one.shown
    )
    compare(wanted, found, judge, "redis", differences)


def latest_ticks(newest: Mapping[str, set[LatestTick]]) -> dict[str, list[Latest]]:
    """Return by key the newest ticks of each product, any of which may be there."""
    return {
        redis_keys.underlying(product): [
            latest(tick._asdict(), _read_tick, fields_apart, tick._asdict()) for tick in ticks
        ]
        for product, ticks in newest.items()
    }


def latest_bars(newest: Mapping[str, NewestBar], *, every_partial: bool) -> dict[str, list[Latest]]:
    """Return by key the newest bar; ``every_partial``: no event may be lacking in it."""

    def apart(bar: NewestBar, row: Facts) -> Wrong:
        right = bar.agrees(row, every_partial=every_partial)
        return {} if right else fields_apart(bar.row or {}, row)

    return {
        key: [latest(bar, lambda document: read_bar(document, instant), apart, bar.row)]
        for key, bar in newest.items()
    }


def latest_surfaces(surfaces: Iterable[Surface]) -> dict[str, list[Latest]]:
    """Return by key the newest surface of each product."""
    read, judge = surface_facts.facts_of_document, surface_facts.SURFACES
    return {
        redis_keys.surface(one.facts["product"]): [latest(one, read, judge.apart, judge.shown(one))]
        for one in sorted(surfaces, key=lambda one: one.version)
    }


def _read_tick(document: Mapping[str, Any]) -> Facts:
    order, time = in_64_bits(document["seq"]), instant(document["timestamp"])
    return LatestTick(time, order, document["price"], document["volume"])._asdict()
