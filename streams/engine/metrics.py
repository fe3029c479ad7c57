"""Metrics of a stateful worker."""

from __future__ import annotations

from faust.types import TP
from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram

_SHORT_S = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1)


class EngineMetrics:
    """Counters since the process began; names start with ``optionstream_analytics_``."""

    def __init__(self, registry: CollectorRegistry = REGISTRY) -> None:
        prefix = "optionstream_analytics_"
        place = ["topic", "partition"]
        self._records = Counter(
            prefix + "records", "Input records applied", place, registry=registry
        )
        self._offset = Gauge(
            prefix + "applied_offset", "Last input offset applied", place, registry=registry
        )
        self._places: dict[TP, tuple[Counter, Gauge]] = {}
        """Counter and gauge of each partition: looking them up by label costs as much as setting
        them."""
        self.outputs = Counter(prefix + "outputs", "Output records sent", registry=registry)
        self.stale_fetches = Counter(
            prefix + "stale_fetches",
            "Fetches of an older group generation, thrown away",
            registry=registry,
        )
        self.snapshot_bytes = Counter(
            prefix + "snapshot_bytes", "State snapshots written", registry=registry
        )
        self.checkpoint_seconds = Histogram(
            prefix + "checkpoint_seconds",
            "Time from a fetch to its durable snapshot",
            buckets=(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5),
            registry=registry,
        )
        self.fetch_wait_seconds = Histogram(
            prefix + "fetch_wait_seconds",
            "Time from a fetch at hand to its turn",
            ["lane"],
            buckets=_SHORT_S,
            registry=registry,
        )
        self.take_seconds = Histogram(
            prefix + "take_seconds",
            "Time to apply a fetch and hand its outputs to the producer",
            ["lane"],
            buckets=_SHORT_S,
            registry=registry,
        )

    def applied(self, tp: TP, records: int, offset: int) -> None:
        """Note that records up to ``offset`` were applied."""
        place = self._places.get(tp)
        if place is None:
            labels = (tp.topic, str(tp.partition))
            place = self._records.labels(*labels), self._offset.labels(*labels)
            self._places[tp] = place
        place[0].inc(records)
        place[1].set(offset)
