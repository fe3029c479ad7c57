"""Read the analytics state from Kafka; start a new generation."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence

from confluent_kafka import KafkaError, KafkaException, Message, Producer, TopicCollection
from confluent_kafka.admin import AdminClient

from optionstream.schemas.connections import kafka_options, producer_options
from optionstream.schemas.errors import NamespaceError, ServerUnavailable
from optionstream.schemas.topics import STATE_TOPIC_OF, UNDERLYING, Namespace
from optionstream.streams.core.intake import Source
from optionstream.streams.engine.state_topic import (
    NOTHING_APPLIED,
    SNAPSHOT_KEY,
    Restored,
    Snapshot,
    StateReader,
    encode_snapshot,
)
from optionstream.streams.kafka.answers import delivery_error

logger = logging.getLogger(__name__)

_TIMEOUT_S = 30.0
FIRST_GENERATION = 1
"""In which a partition is that has no snapshot yet (engine.checkpoint)."""

Positions = dict[tuple[str, int], int]
"""By source topic (without the prefix) and partition: the next offset to apply."""


class KafkaState:
    """Reads the state topics of one namespace. Sources name topics without the prefix."""

    def __init__(self, kafka: str, namespace: Namespace) -> None:
        self._namespace = namespace
        self._reader = StateReader(kafka)
        self._admin = AdminClient(kafka_options(kafka))

    def restore(self, source: Source) -> tuple[str, Restored]:
        """The id of the source topic as it is now, and what is stored for its partition."""
        topic = self._namespace.topic(source.topic)
        state = self._namespace.topic(STATE_TOPIC_OF[source.topic])
        restored = self._reader.restore(state, source.partition)
        if (at := restored.snapshot) is not None and not at.hot and at.offset != NOTHING_APPLIED:
            logger.warning(
                "%s partition %d: begins at offset %d with an empty state (generation %d)",
                topic,
                source.partition,
                at.offset + 1,
                at.generation,
            )
        return self.topic_id(topic), restored

    def next_offset(self, source: Source, offset: int) -> int | None:
        """Offset of the first record at or after ``offset`` in the source."""
        topic = self._namespace.topic(source.topic)
        return self._reader.record_at_or_after(topic, source.partition, offset)

    def topic_id(self, topic: str) -> str:
        """The broker's id of a topic: another one when the topic was deleted and made anew."""
        try:
            future = self._admin.describe_topics(TopicCollection([topic]))[topic]
            return str(future.result(timeout=_TIMEOUT_S).topic_id)
        except KafkaException as error:
            raise ServerUnavailable(f"Kafka: topic {topic}: {error.args[0].str()}") from None

    def partitions(self) -> int:
        """How many partitions the namespace's topics have."""
        topic = self._namespace.topic(UNDERLYING)
        try:
            metadata = self._admin.list_topics(topic, timeout=_TIMEOUT_S).topics[topic]
        except KafkaException as error:
            raise ServerUnavailable(f"Kafka does not answer: {error.args[0].str()}") from None
        if metadata.error is not None or not metadata.partitions:
            raise NamespaceError(
                f"namespace {self._namespace.name!r} has no topic {topic}; make it with "
                "'optionstream up' (live) or 'optionstream replay'"
            )
        return len(metadata.partitions)

    def snapshots(self) -> dict[tuple[str, int], Snapshot]:
        """The newest snapshot of each partition that has one, by source topic and partition."""
        found = {}
        for topic, state in STATE_TOPIC_OF.items():
            for partition in range(self.partitions()):
                snapshot = self._reader.snapshot(self._namespace.topic(state), partition)
                if snapshot is not None:
                    found[topic, partition] = snapshot
        return found

    def positions(self) -> Positions:
        """Where each partition goes on. One is missing when nothing was applied yet, also since its
        topic was made anew."""
        ids = {topic: self.topic_id(self._namespace.topic(topic)) for topic in STATE_TOPIC_OF}
        return {
            place: snapshot.offset + 1
            for place, snapshot in self.snapshots().items()
            if snapshot.offset != NOTHING_APPLIED and snapshot.topic_id == ids[place[0]]
        }

    def close(self) -> None:
        self._reader.close()


def begin_anew(
    kafka: str, namespace: Namespace, starts: Mapping[tuple[str, int], int] | None = None
) -> None:
    """Start a new generation: an empty state for each partition of ``starts``, whose next record
    is the one at that offset. Without ``starts`` all is computed again from the first record. The
    group must have no members."""
    state = KafkaState(kafka, namespace)
    producer = Producer(producer_options(kafka))
    failures: list[str] = []

    def delivered(error: KafkaError | None, message: Message) -> None:
        if failed := delivery_error(error, message):
            failures.append(failed.str())

    try:
        if starts is None:
            numbers = range(state.partitions())
            starts = {(topic, number): 0 for topic in STATE_TOPIC_OF for number in numbers}
        newest = state.snapshots()
        ids = {topic: state.topic_id(namespace.topic(topic)) for topic in STATE_TOPIC_OF}
        for (topic, partition), start in starts.items():
            before = newest.get((topic, partition))
            # Without a snapshot the generation so far is the first: a late writer may be of it.
            generation = (before.generation if before else FIRST_GENERATION) + 1
            applied = start - 1 if start else NOTHING_APPLIED
            producer.produce(
                namespace.topic(STATE_TOPIC_OF[topic]),
                key=SNAPSHOT_KEY,
                value=encode_snapshot(Snapshot(generation, ids[topic], applied, b"", {})),
                partition=partition,
                on_delivery=delivered,
            )
        _flush(producer, failures)
        for topic, partition in starts.keys() & newest.keys():
            state_topic = namespace.topic(STATE_TOPIC_OF[topic])
            for _, key in newest[topic, partition].segments.values():
                producer.produce(state_topic, key=key, partition=partition, on_delivery=delivered)
        _flush(producer, failures)
    finally:
        state.close()


def _flush(producer: Producer, failures: Sequence[str]) -> None:
    if producer.flush(_TIMEOUT_S) or failures:
        why = failures[0] if failures else "no answer in time"
        raise ServerUnavailable(f"Kafka did not take the new generation's state: {why}")
