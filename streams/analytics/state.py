"""Where the analytics worker's state comes from, and what it is begun anew."""

from __future__ import annotations

from confluent_kafka import KafkaException, Producer, TopicCollection
from confluent_kafka.admin import AdminClient

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

_TIMEOUT_S = 30.0


class KafkaState:
    """Reads the state topics of one namespace. Sources name topics without the prefix."""

    def __init__(self, kafka: str, namespace: Namespace) -> None:
        self._namespace = namespace
        self._reader = StateReader(kafka)
        self._admin = AdminClient({"bootstrap.servers": kafka})

    def restore(self, source: Source) -> tuple[str, Restored]:
        """The id of the source topic as it is now, and what is stored for its partition."""
        topic = self._namespace.topic(source.topic)
        state = self._namespace.topic(STATE_TOPIC_OF[source.topic])
        return self.topic_id(topic), self._reader.restore(state, source.partition)

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

    def close(self) -> None:
        self._reader.close()


def begin_anew(kafka: str, namespace: Namespace) -> None:
    """Start a new generation: an empty state for every partition, so that all is computed again
    from the first record. The group must have no members."""
    state = KafkaState(kafka, namespace)
    producer = Producer({"bootstrap.servers": kafka, "acks": "all", "enable.idempotence": True})
    try:
        newest = state.snapshots()
        for topic in STATE_TOPIC_OF:
            for partition in range(state.partitions()):
                before = newest.get((topic, partition))
                generation = before.generation + 1 if before else 1
                producer.produce(
                    namespace.topic(STATE_TOPIC_OF[topic]),
                    key=SNAPSHOT_KEY,
                    value=encode_snapshot(Snapshot(generation, "", NOTHING_APPLIED, b"", {})),
                    partition=partition,
                )
        _flush(producer)
        for (topic, partition), before in newest.items():
            state_topic = namespace.topic(STATE_TOPIC_OF[topic])
            for _, key in before.segments.values():
                producer.produce(state_topic, key=key, partition=partition)
        _flush(producer)
    finally:
        state.close()


def _flush(producer: Producer) -> None:
    if producer.flush(_TIMEOUT_S):
        raise ServerUnavailable("Kafka did not take the new generation's state in time")
