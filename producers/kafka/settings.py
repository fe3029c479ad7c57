"""How records are published, and how many."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from optionstream.schemas.connections import producer_options
from optionstream.schemas.events import (
    CandleFrame,
    ChainSnapshot,
    MarketEvent,
    OptionQuoteFrame,
    Tick,
    TickFrame,
)
from optionstream.schemas.topics import MAX_RECORD_BYTES


@dataclass(frozen=True, slots=True)
class PublisherSettings:
    """How the producer works; the defaults suit replays and live feeds alike."""

    linger_ms: int = 5
    """How long a batch waits for more records."""
    compression: str = "zstd"
    """A third of the bytes of chains and frames, lz4 leaves a half; both cost as little time."""
    queue_records: int = 100_000
    """Records in the local queue; when it is full ``publish`` waits."""
    queue_kbytes: int = 128 * 1024
    delivery_timeout_ms: int = 120_000
    """After this a record that was not acknowledged has failed."""
    metadata_timeout_s: float = 15.0
    unknown_topic_ms: int = 10_000
    """How long a topic may be missing from the metadata before its records fail."""

    def configuration(self, bootstrap: str) -> dict[str, Any]:
        """The settings of librdkafka. Five requests in flight is the most that an idempotent
        producer keeps in order."""
        own = {
            "client.id": "optionstream-publisher",
            "max.in.flight.requests.per.connection": 5,
            "compression.type": self.compression,
            "linger.ms": self.linger_ms,
            "message.max.bytes": MAX_RECORD_BYTES,
            "delivery.timeout.ms": self.delivery_timeout_ms,
            "queue.buffering.max.messages": self.queue_records,
            "queue.buffering.max.kbytes": self.queue_kbytes,
            "topic.metadata.propagation.max.ms": self.unknown_topic_ms,
        }
        return producer_options(bootstrap, own)


@dataclass(slots=True)
class PublishStats:
    """What went to Kafka: records and what was in them.

    ``bytes`` are values before compression; ``delivered`` are the records acknowledged so far;
    ``raw`` are records of bytes as received, which the other fields leave out;
    ``retries_queue_full`` counts waits for room in the local queue.
    """

    records: int = 0
    ticks: int = 0
    candles: int = 0
    quotes: int = 0
    chains: int = 0
    heartbeats: int = 0
    bytes: int = 0
    retries_queue_full: int = 0
    delivered: int = 0
    raw: int = 0

    @property
    def events(self) -> int:
        """What the streams count: ticks, candles, quotes and chains."""
        return self.ticks + self.candles + self.quotes + self.chains

    @property
    def told(self) -> str:
        """``1,200 ticks, 4 chains``: the kinds that there were."""
        kinds = {
            "ticks": self.ticks,
            "candles": self.candles,
            "quotes": self.quotes,
            "chains": self.chains,
        }
        return ", ".join(f"{count:,} {kind}" for kind, count in kinds.items() if count)

    def count(self, event: MarketEvent | Tick | None, size: int) -> None:
        """One more record of ``size`` bytes; None for one that cannot be read."""
        self.records += 1
        self.bytes += size
        if isinstance(event, TickFrame):
            self.ticks += len(event.ts_ms)
        elif isinstance(event, Tick):
            self.ticks += 1
        elif isinstance(event, CandleFrame):
            self.candles += len(event.start_ms)
        elif isinstance(event, OptionQuoteFrame):
            self.quotes += len(event.ts_ms)
        elif isinstance(event, ChainSnapshot):
            self.chains += 1
        elif event is not None:
            self.heartbeats += 1
