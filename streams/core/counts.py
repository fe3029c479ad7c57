"""What became of the events of one product."""

from __future__ import annotations

import msgspec
from msgspec import Struct


class Counts(Struct):
    """What became of the events of one product. ``held`` ones wait for a second event of their
    session; ``outside`` is ``outside_session`` by phase of the calendar."""

    accepted: int = 0
    outside_session: int = 0
    duplicates: int = 0
    held: int = 0
    heartbeats: int = 0
    rejects: dict[str, int] = {}
    outside: dict[str, int] = {}

    def add_reject(self, reason: str, events: int = 1) -> None:
        """Count refused events."""
        self.rejects[reason] = self.rejects.get(reason, 0) + events

    def add_outside(self, phase: str) -> None:
        """Count an event that no session holds."""
        self.outside_session += 1
        self.outside[phase] = self.outside.get(phase, 0) + 1


class _Product(Struct, array_like=True):
    product: str
    counts: Counts


class _Hot(Struct, array_like=True):
    """How the hot part of each kind of partition starts."""

    unread: Counts
    products: list[_Product]


_decode = msgspec.msgpack.Decoder(_Hot).decode


def read_counts(hot: bytes) -> list[Counts]:
    """Return the counts in the stored hot part of a partition: those of records that belong to no
    product, then each product's."""
    stored = _decode(hot)
    return [stored.unread, *(product.counts for product in stored.products)]
