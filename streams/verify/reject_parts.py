"""Rejects reduced to what is compared.

The ticks of one record may be refused for one reason at several moments (a waiting tick later than
the others), hence in several rejects. Their union is compared.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from optionstream.streams.kafka.records import fingerprint
from optionstream.streams.verify.compare import Facts, Wrong, fields_apart
from optionstream.streams.verify.ledger import Refused, RejectKey


class RejectPart(NamedTuple):
    """``topic`` is without the namespace; ``mark`` is a hash of the refused record's bytes."""

    topic: str
    partition: int
    offset: int
    reason: str
    indices: tuple[int, ...]
    events: int
    record_ts: int
    mark: int

    @property
    def record(self) -> str:
        """What was refused, and why: the same for all parts of one record and reason."""
        return reject_id(RejectKey(*self[:4]))

    @property
    def id(self) -> str:
        """The id of the reject, by which MongoDB stores it."""
        return self.record + (f"|{self.indices[0]}" if self.indices else "")


def read_reject(values: Mapping[str, Any], _time: Callable[[Any], int]) -> RejectPart:
    """Return the facts of a record's or a document's values.

    Raises what ``BROKEN`` lists for values that are no reject's.
    """
    headers = [(name, bytes(value)) for name, value in values["headers"]]
    mark = fingerprint(values["raw_key"], headers, values["raw"])
    plain = {name: values[name] for name in RejectPart._fields if name != "mark"}
    return RejectPart(**{**plain, "indices": tuple(plain["indices"])}, mark=mark)


def joined(parts: Sequence[RejectPart]) -> Facts:
    """Return what the parts of one record and reason say together.

    Parts that contradict each other show as surplus events, repeated indices, or several times or
    bytes.
    """
    return {
        "events": sum(part.events for part in parts),
        "indices": sorted(index for part in parts for index in part.indices),
        "record_ts": _one_or_all({part.record_ts for part in parts}),
        "bytes": _one_or_all({part.mark for part in parts}),
    }


def expected_reject(refused: Refused) -> Facts:
    """Return what must be found; what may be anything is left out."""
    facts: Facts = {"events": refused.events, "indices": sorted(refused.indices)}
    if refused.waited:
        return facts
    return {**facts, "record_ts": refused.record_ts, "bytes": refused.fingerprint}


def reject_apart(wanted: Facts, found: Facts) -> Wrong:
    """Return the fields in which a reject is wrong, of those that must be as expected."""
    return fields_apart(wanted, {name: found[name] for name in wanted})


def reject_id(key: RejectKey) -> str:
    """Return the id under which the parts of one record and reason are compared."""
    return "|".join(map(str, key))


def _one_or_all(values: set[int]) -> int | list[int]:
    return next(iter(values)) if len(values) == 1 else sorted(values)
