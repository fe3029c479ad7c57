"""Counts of what became of a namespace's events, read from the analytics state."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from optionstream.schemas.topics import Namespace
from optionstream.streams.analytics.state import KafkaState
from optionstream.streams.core import counts as stored_counts


@dataclass(slots=True)
class Counts:
    """Ticks, candles, quotes and chain snapshots alike; part of the state, so they survive kills.

    ``read`` = accepted + outside_session + duplicates + held + all rejects. Heartbeats are no
    events.
    """

    accepted: int = 0
    outside_session: int = 0
    outside: dict[str, int] = field(default_factory=dict)
    """``outside_session`` by phase: ``pre_open``, ``after_close``, ``closed``."""
    duplicates: int = 0
    held: int = 0
    heartbeats: int = 0
    rejects: dict[str, int] = field(default_factory=dict)

    @property
    def read(self) -> int:
        kept = self.accepted + self.outside_session + self.duplicates + self.held
        return kept + sum(self.rejects.values())


def read_counts(kafka: str, namespace: Namespace) -> Counts:
    """Return the counts as of the last checkpoint of each partition."""
    state = KafkaState(kafka, namespace)
    try:
        total = Counts()
        for snapshot in state.snapshots().values():
            if snapshot.hot:
                _add(total, snapshot.hot)
        return total
    finally:
        state.close()


def _add(total: Counts, hot: bytes) -> None:
    for counts in stored_counts.read_counts(hot):
        total.accepted += counts.accepted
        total.outside_session += counts.outside_session
        _add_all(total.outside, counts.outside)
        total.duplicates += counts.duplicates
        total.held += counts.held
        total.heartbeats += counts.heartbeats
        _add_all(total.rejects, counts.rejects)


def _add_all(total: dict[str, int], more: Mapping[str, int]) -> None:
    for name, events in more.items():
        total[name] = total.get(name, 0) + events
