"""What became of the events of a namespace, as the analytics group has counted them."""

from __future__ import annotations

from dataclasses import dataclass, field

from optionstream.schemas.topics import UNDERLYING, Namespace
from optionstream.streams.analytics.state import KafkaState
from optionstream.streams.core import chain_partition, tick_partition


@dataclass(slots=True)
class Counts:
    """Ticks and chain snapshots alike; the counts are part of the state, so they survive kills.

    ``read`` = accepted + outside_session + duplicates + held + all rejects. Heartbeats are no
    events.
    """

    accepted: int = 0
    outside_session: int = 0
    duplicates: int = 0
    held: int = 0
    heartbeats: int = 0
    rejects: dict[str, int] = field(default_factory=dict)

    @property
    def read(self) -> int:
        kept = self.accepted + self.outside_session + self.duplicates + self.held
        return kept + sum(self.rejects.values())


def read_counts(kafka: str, namespace: Namespace) -> Counts:
    """The counts as of the last checkpoint of each partition."""
    state = KafkaState(kafka, namespace)
    try:
        total = Counts()
        for (topic, _), snapshot in state.snapshots().items():
            if snapshot.hot:
                _add(total, topic, snapshot.hot)
        return total
    finally:
        state.close()


def _add(total: Counts, topic: str, hot: bytes) -> None:
    read = tick_partition.read_counts if topic == UNDERLYING else chain_partition.read_counts
    for counts in read(hot):
        total.accepted += counts.accepted
        total.outside_session += counts.outside_session
        total.duplicates += counts.duplicates
        total.held += counts.held
        total.heartbeats += counts.heartbeats
        for reason, events in counts.rejects.items():
            total.rejects[reason] = total.rejects.get(reason, 0) + events
