"""Every event's fate: how many, and for the refused ones which and why."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, fields
from typing import Any, NamedTuple

from optionstream.schemas.rejects import is_kept
from optionstream.streams.kafka.records import RawRecord, fingerprint


class RejectKey(NamedTuple):
    """``topic`` without the namespace."""

    topic: str
    partition: int
    offset: int
    reason: str


@dataclass(slots=True)
class Refused:
    """What of one record was refused for one reason; no ``indices`` means the whole record.

    ``waited``: an event among them had waited and its record is gone by then, so that the reject's
    bytes and time need not be the record's.
    """

    events: int
    record_ts: int
    fingerprint: int
    indices: set[int] = field(default_factory=set)
    waited: bool = False


@dataclass(slots=True)
class Counts:
    """source = accepted + outside_session + duplicates + held + all rejects.

    ``outside`` breaks ``outside_session`` down by the calendar's phases.
    """

    source: int = 0
    accepted: int = 0
    outside_session: int = 0
    duplicates: int = 0
    held: int = 0
    rejects: Counter[str] = field(default_factory=Counter)
    outside: Counter[str] = field(default_factory=Counter)

    @property
    def balanced(self) -> bool:
        """True if every event has one fate."""
        fates = self.accepted + self.outside_session + self.duplicates + self.held
        return self.source == fates + self.rejects.total()

    def __add__(self, other: Counts) -> Counts:
        names = (one.name for one in fields(self))
        return Counts(*(getattr(self, name) + getattr(other, name) for name in names))

    def to_dict(self) -> dict[str, Any]:
        """Return what JSON shows."""
        return {
            "source": self.source,
            "accepted": self.accepted,
            "outside_session": self.outside_session,
            "outside": dict(sorted(self.outside.items())),
            "duplicates": self.duplicates,
            "held": self.held,
            "rejects": dict(sorted(self.rejects.items())),
        }


class Ledger:
    """Fates of the events of one topic."""

    def __init__(self) -> None:
        self.counts = Counts()
        self.rejects: dict[RejectKey, Refused] = {}

    def count_outside(self, phase: str) -> None:
        """Count an event that no session holds."""
        self.counts.outside_session += 1
        self.counts.outside[phase] += 1

    def reject_record(self, record: RawRecord, reason: str, events: int) -> None:
        """Refuse a whole record that counts ``events``."""
        self._refused(record, reason).events += events
        self.counts.rejects[reason] += events

    def reject_tick(
        self, record: RawRecord, reason: str, index: int, *, waited: bool = False
    ) -> None:
        """Refuse the tick (candle, quote) at ``index`` of a record."""
        entry = self._refused(record, reason)
        entry.waited = entry.waited or waited
        entry.events += 1
        entry.indices.add(index)
        self.counts.rejects[reason] += 1

    def _refused(self, record: RawRecord, reason: str) -> Refused:
        key = RejectKey(record.topic, record.partition, record.offset, reason)
        entry = self.rejects.get(key)
        if entry is None:
            kept = is_kept(record.key, record.headers or (), record.value)
            content = (record.key, record.headers, record.value) if kept else (None, (), None)
            mark = fingerprint(*content)
            entry = self.rejects[key] = Refused(0, record.timestamp, mark)
        return entry
