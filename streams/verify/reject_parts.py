"""Reject records reduced to what is compared.

The ticks of one record may be refused for one reason at several moments (a waiting tick later than
the others), hence in several parts. Compared is their union.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from optionstream.schemas.derived import Reject
from optionstream.streams.kafka.records import fingerprint
from optionstream.streams.verify.ledger import Refused, RejectKey


class RejectPart(NamedTuple):
    """``topic`` is without the namespace; ``mark`` a hash of the refused record's bytes."""

    topic: str
    partition: int
    offset: int
    reason: str
    indices: tuple[int, ...]
    events: int
    record_ts: int
    mark: int

    @property
    def key(self) -> RejectKey:
        return RejectKey(*self[:4])


def part_of_record(reject: Reject) -> RejectPart:
    return RejectPart(
        reject.topic,
        reject.partition,
        reject.offset,
        reject.reason,
        tuple(reject.indices),
        reject.events,
        reject.record_ts,
        fingerprint(reject.raw_key, reject.headers, reject.raw),
    )


def part_of_document(document: Mapping[str, Any]) -> RejectPart:
    """Raises KeyError, TypeError or ValueError for something that is no reject document."""
    headers = [(name, bytes(value)) for name, value in document["headers"]]
    return RejectPart(
        document["topic"],
        document["partition"],
        document["offset"],
        document["reason"],
        tuple(document["indices"]),
        document["events"],
        document["record_ts"],
        fingerprint(document["raw_key"], headers, document["raw"]),
    )


def expected_facts(rejects: Mapping[RejectKey, Refused]) -> dict[RejectKey, dict[str, Any]]:
    """What must be told; what need not be is left out."""
    return {key: _expected(refused) for key, refused in rejects.items()}


def told_facts(parts: Iterable[RejectPart]) -> dict[RejectKey, dict[str, Any]]:
    """What the parts tell together. Parts that contradict each other show as surplus events,
    repeated indices, or several times or bytes."""
    grouped: dict[RejectKey, list[RejectPart]] = {}
    for part in parts:
        grouped.setdefault(part.key, []).append(part)
    return {
        key: {
            "events": sum(part.events for part in group),
            "indices": sorted(index for part in group for index in part.indices),
            "record_ts": _one_or_all({part.record_ts for part in group}),
            "bytes": _one_or_all({part.mark for part in group}),
        }
        for key, group in grouped.items()
    }


def _expected(refused: Refused) -> dict[str, Any]:
    told = {"events": refused.events, "indices": sorted(refused.indices)}
    if refused.waited:
        return told
    return {**told, "record_ts": refused.record_ts, "bytes": refused.fingerprint}


def _one_or_all(values: set[int]) -> int | list[int]:
    return next(iter(values)) if len(values) == 1 else sorted(values)
