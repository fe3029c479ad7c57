"""Snapshots out of the rows of a table that may be longer than memory. Pure.

Where the rows come in the order of their times, a snapshot is complete when the next time begins:
only the legs of one time are held. Else all rows are gathered first, as of any other body.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from optionstream.producers.feeds.chains.legs import ChainBook, ChainKey, Leg
from optionstream.schemas.events import ChainSnapshot, OiUnit, OptionKind


class TableLeg(NamedTuple):
    """One leg as row ``number`` of a table tells it."""

    number: int
    key: ChainKey
    strike: float | None
    kind: OptionKind
    told: Leg
    spot: float | None


@dataclass(frozen=True, slots=True)
class Times:
    """What is known of a table's times before its rows are read."""

    rising: bool
    several: bool


def times_of(times: Iterable[int]) -> Times:
    """Of the times (epoch ms) in the order of the rows; neighbours may be equal."""
    first: int | None = None
    last = 0
    rising, several = True, False
    for at in times:
        if first is None:
            first = last = at
        rising = rising and at >= last
        several = several or at != first
        last = at
    return Times(rising, several)


class RowStream:
    """How a source's rows become snapshots; ``capture`` is the body's id, ``name`` what errors
    call it."""

    def __init__(
        self, source: str, oi_unit: OiUnit, capture: str, name: str, problems: list[str]
    ) -> None:
        self._book = ChainBook(source, oi_unit, problems)
        self._capture = capture
        self._name = name

    def snapshots(self, legs: Iterable[TableLeg], times: Times) -> Iterator[ChainSnapshot]:
        """The snapshots by time, product and expiry. Raises InputError at the end for none."""
        book, held_ms, made = self._book, -1, 0
        for leg in legs:
            if times.rising and leg.key.ts_event != held_ms:
                for chain in book.taken(self._capture, times.several):
                    made += 1
                    yield chain
                held_ms = leg.key.ts_event
            book.add_leg(*leg)
        for chain in book.taken(self._capture, times.several if times.rising else None):
            made += 1
            yield chain
        book.at_least(made, self._name)
