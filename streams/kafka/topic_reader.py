"""Reading whole topics: every partition from its low to its high watermark of the moment."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from types import TracebackType
from typing import Any, Final, Self, TypeVar
from uuid import uuid4

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from optionstream.schemas.connections import consumer_options
from optionstream.schemas.errors import ServerUnavailable
from optionstream.schemas.topics import Namespace
from optionstream.streams.kafka.answers import NOT_YET, kafka_call
from optionstream.streams.kafka.records import RawRecord

_BATCH = 10_000
_POLL_S = 1.0
_ASK_S = 15.0
_MOST_SILENCE_S = 30
_OWN: Final = {
    "enable.partition.eof": True,
    "fetch.wait.max.ms": 50,
    "fetch.message.max.bytes": 8 << 20,
    "queued.max.messages.kbytes": 64 << 10,
}

T = TypeVar("T")

Bounds = dict[int, tuple[int, int]]
"""By partition: the first offset there is, and the one after the last."""


class TopicReader:
    """Reads topics of one namespace without a consumer group; commits nothing. Close after use."""

    def __init__(self, kafka: str, namespace: Namespace, batch: int = _BATCH) -> None:
        self._kafka = kafka
        self._batch = batch
        self._namespace = namespace
        self._consumer = Consumer(consumer_options(kafka, f"optionstream-verify-{uuid4()}", _OWN))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._consumer.close()

    def bounds(self, topic: str) -> Bounds:
        """What the topic (named without the namespace) holds now; empty when there is none.

        Raises ServerUnavailable.
        """
        name = self._namespace.topic(topic)
        partitions = self._ask(lambda: self._partitions(name))
        return {partition: self._watermarks(name, partition) for partition in partitions}

    def since(self, topic: str, bounds: Bounds, stamp_ms: int) -> Bounds:
        """The bounds from the first record stamped at or after ``stamp_ms`` (epoch ms) on."""
        name = self._namespace.topic(topic)
        asked = [TopicPartition(name, partition, stamp_ms) for partition in bounds]
        found = self._ask(lambda: self._consumer.offsets_for_times(asked, timeout=_ASK_S))
        first = {one.partition: one.offset for one in found}
        return {
            partition: (max(low, first[partition]) if first[partition] >= 0 else high, high)
            for partition, (low, high) in bounds.items()
        }

    def read(self, topic: str, bounds: Mapping[int, tuple[int, int]]) -> Iterator[list[RawRecord]]:
        """Batches of the records within ``bounds``, each partition in its order.

        Raises ServerUnavailable when nothing comes for 30 s.
        """
        name = self._namespace.topic(topic)
        ends = {part: high for part, (low, high) in bounds.items() if high > low}
        self._consumer.assign([TopicPartition(name, part, bounds[part][0]) for part in ends])
        silence = 0
        while ends:
            messages = self._consumer.consume(self._batch, _POLL_S)
            silence = 0 if messages else silence + 1
            if silence * _POLL_S >= _MOST_SILENCE_S:
                raise ServerUnavailable(f"Kafka at {self._kafka} sends nothing more of {name}")
            batch = [record for one in messages if (record := self._record(topic, one, ends))]
            if batch:
                yield batch
        self._consumer.unassign()

    def _ask(self, ask: Callable[[], T]) -> T:
        return kafka_call(ask, f"Kafka at {self._kafka}")

    def _partitions(self, name: str) -> list[int]:
        """Those of the topic; none when it does not exist."""
        listed = self._consumer.list_topics(name, timeout=_ASK_S).topics.get(name)
        if listed is None:
            return []
        if listed.error is not None:
            if listed.error.code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
                return []
            raise KafkaException(listed.error)
        return sorted(listed.partitions)

    def _watermarks(self, name: str, partition: int) -> tuple[int, int]:
        at = TopicPartition(name, partition)
        found = self._ask(lambda: self._consumer.get_watermark_offsets(at, _ASK_S))
        if found is None:
            raise ServerUnavailable(f"Kafka at {self._kafka} does not tell the ends of {name}")
        low, high = found
        return low, high

    def _record(self, topic: str, message: Message, ends: dict[int, int]) -> RawRecord | None:
        """The record, None for one beyond the end; drops a partition read to its end."""
        partition: Any = message.partition()
        error = message.error()
        if error is not None:
            self._take_error(error, partition, ends)
            return None
        offset: Any = message.offset()
        end = ends.get(partition)
        if end is None:
            return None
        if offset + 1 >= end:
            del ends[partition]
            if offset >= end:
                return None
        stamp: Any = message.timestamp()[1]
        key: Any = message.key()
        value: Any = message.value()
        headers: Any = message.headers()
        return RawRecord(topic, partition, offset, stamp, key, headers, value)

    def _take_error(self, error: KafkaError, partition: int, ends: dict[int, int]) -> None:
        if error.code() == KafkaError._PARTITION_EOF:
            ends.pop(partition, None)  # compacted or aborted records at the end
        elif error.code() not in NOT_YET:
            raise ServerUnavailable(f"Kafka at {self._kafka}: {error}")


def size_of(bounds: Mapping[int, tuple[int, int]]) -> int:
    """How many offsets lie within the bounds."""
    return sum(high - low for low, high in bounds.values())
