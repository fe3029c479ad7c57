"""A record as it is stored in Kafka, nothing decoded."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

Headers = Sequence[tuple[str, bytes | None]]


class RawRecord(NamedTuple):
    """One record. ``topic`` is the part's name without the namespace (``market.underlying``);
    ``timestamp`` is Kafka's, UTC epoch ms."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    headers: Headers | None
    value: bytes | None


def fingerprint(
    key: bytes | None,
    headers: Iterable[tuple[str, bytes | None]] | None,
    value: bytes | None,
) -> int:
    """A hash of a record's bytes, comparable within this process only."""
    return hash((key, value, tuple((name, data or b"") for name, data in headers or ())))
