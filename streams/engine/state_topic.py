"""State in Kafka: one compacted topic for each source topic, with as many partitions.

A partition's state is one *snapshot* record (key ``snapshot``): generation, offset of the last
source record applied, the hot part, and where its *segments* lie. A segment (key
``segment|generation|name|offset|writer``) holds a part that changes seldom; a newer version is
another record, and the old one is deleted only after a snapshot that points past it is durable. So
a crash between the two, or a late write of a worker that was thought dead, never mixes two moments;
with the writer in the key compaction never takes one writer's record for another's.

The highest (generation, offset) counts, not the last record.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import msgspec
from confluent_kafka import Consumer, Message, TopicPartition
from msgspec import Struct

from optionstream.schemas.connections import consumer_options
from optionstream.schemas.errors import OptionstreamError, ServerUnavailable
from optionstream.schemas.topics import MAX_RECORD_BYTES
from optionstream.streams.kafka.answers import kafka_call

SNAPSHOT_KEY = b"snapshot"
NOTHING_APPLIED = -1
_SNAPSHOTS_TO_COMPARE = 8
_TIMEOUT_S = 30.0
_OWN: Final = {
    "enable.partition.eof": True,
    "isolation.level": "read_committed",
    "fetch.wait.max.ms": 20,
    "fetch.message.max.bytes": MAX_RECORD_BYTES,
}


class Snapshot(Struct, array_like=True, frozen=True):
    """State of one source partition after ``offset``; ``segments`` maps a name to its offset in
    the state topic and its record key."""

    generation: int
    topic_id: str
    offset: int
    hot: bytes
    segments: dict[str, tuple[int, str]]


encode_snapshot = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Snapshot).decode


@dataclass(frozen=True, slots=True)
class Restored:
    """A snapshot (None when the partition has none) and the bytes of its segments."""

    snapshot: Snapshot | None = None
    segments: Mapping[str, bytes] = field(default_factory=dict)


class StateDamaged(OptionstreamError):
    """A snapshot points to a segment that is no longer there."""


def segment_key(generation: int, name: str, offset: int, writer: str) -> str:
    """Record key of a segment as of a source offset."""
    return f"segment|{generation}|{name}|{offset}|{writer}"


class StateReader:
    """Reads state partitions; one consumer without a group, closed by ``close``."""

    def __init__(self, kafka: str) -> None:
        self._consumer = Consumer(consumer_options(kafka, "optionstream-state-reader", _OWN))

    def close(self) -> None:
        self._consumer.close()

    def snapshot(self, topic: str, partition: int) -> Snapshot | None:
        """The snapshot with the highest (generation, offset) near the end of the partition."""
        low, high = self._bounds(topic, partition)
        window = 64
        while high > low:
            start = max(low, high - window)
            found = self._snapshots(topic, partition, start, high)
            if len(found) >= _SNAPSHOTS_TO_COMPARE or start == low:
                return max(found, key=lambda at: (at.generation, at.offset), default=None)
            window *= 4
        return None

    def restore(self, topic: str, partition: int) -> Restored:
        """The partition's state; StateDamaged when a part of it is missing."""
        snapshot = self.snapshot(topic, partition)
        if snapshot is None:
            return Restored()
        segments = {}
        for name, (offset, _) in sorted(snapshot.segments.items(), key=lambda item: item[1]):
            message = self._at(topic, partition, offset)
            if message is None or message.value() is None:
                raise StateDamaged(
                    f"{topic} partition {partition}: segment {name!r} is not at offset {offset}; "
                    "rebuild with: optionstream worker analytics --from-beginning"
                )
            segments[name] = message.value() or b""
        return Restored(snapshot, segments)

    def _bounds(self, topic: str, partition: int) -> tuple[int, int]:
        """First offset and end; waits while a topic just made has no leader yet."""
        at = TopicPartition(topic, partition)
        bounds = kafka_call(
            lambda: self._consumer.get_watermark_offsets(at, timeout=_TIMEOUT_S),
            f"Kafka: state of {topic}",
        )
        if bounds is None:
            raise ServerUnavailable(f"Kafka: no offsets of {topic} within {_TIMEOUT_S:g} s")
        return bounds

    def _snapshots(self, topic: str, partition: int, start: int, end: int) -> list[Snapshot]:
        self._consumer.assign([TopicPartition(topic, partition, start)])
        found: list[Snapshot] = []
        while True:
            message = self._next(topic)
            if message is None:
                return found
            if message.key() == SNAPSHOT_KEY and message.value() is not None:
                found.append(_decode(message.value() or b""))
            if (message.offset() or 0) >= end - 1:
                return found

    def _at(self, topic: str, partition: int, offset: int) -> Message | None:
        self._consumer.assign([TopicPartition(topic, partition, offset)])
        message = self._next(topic)
        return message if message is not None and message.offset() == offset else None

    def _next(self, topic: str) -> Message | None:
        """The next record, None at the end of the partition."""
        message = self._consumer.poll(_TIMEOUT_S)
        if message is None:
            raise ServerUnavailable(f"Kafka: nothing from {topic} within {_TIMEOUT_S:g} s")
        error = message.error()
        if error is not None:
            if error.name() == "_PARTITION_EOF":
                return None
            raise ServerUnavailable(f"Kafka: reading {topic}: {error.str()}")
        return message

    def record_at_or_after(self, topic: str, partition: int, offset: int) -> int | None:
        """Offset of the first record still there at or after ``offset``; None at the end."""
        low, _ = self._bounds(topic, partition)
        self._consumer.assign([TopicPartition(topic, partition, max(low, offset))])
        message = self._next(topic)
        return None if message is None else message.offset()
