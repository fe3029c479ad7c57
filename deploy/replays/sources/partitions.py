"""Topics of a namespace as the input of a replay: their partitions, read without a group."""

from __future__ import annotations

from collections.abc import Iterator

from optionstream.schemas.topics import Namespace
from optionstream.streams.kafka.records import RawRecord
from optionstream.streams.kafka.topic_reader import Bounds, TopicReader, size_of


class TopicPartitions:
    """The chosen offsets of some topics (``bounds``, by topic without the namespace).

    ``batch`` is the number of records that one fetch returns at most.
    """

    def __init__(self, kafka: str, namespace: Namespace, batch: int) -> None:
        self.bounds: dict[str, Bounds] = {}
        self.read = 0
        """Records read so far."""
        self._kafka = kafka
        self._namespace = namespace
        self._batch = batch

    def reader(self) -> TopicReader:
        """Return a reader of the namespace; close it after use."""
        return TopicReader(self._kafka, self._namespace, self._batch)

    @property
    def total(self) -> int:
        """The number of offsets within the bounds."""
        return sum(size_of(bounds) for bounds in self.bounds.values())

    def share_read(self) -> float | None:
        """Return the share of the offsets that was read, 0 to 1; None before the first record."""
        return self.read / self.total if self.read else None

    def places(self) -> list[tuple[str, int]]:
        """Return topic and partition of those that have records within the bounds."""
        return [
            (topic, partition)
            for topic, bounds in self.bounds.items()
            for partition, (first, end) in bounds.items()
            if end > first
        ]

    def records(self, topic: str, partition: int) -> Iterator[RawRecord]:
        """Yield the records of a partition within its bounds, in order.

        Raises ServerUnavailable when Kafka stops sending.
        """
        with self.reader() as reader:
            for batch in reader.read(topic, {partition: self.bounds[topic][partition]}):
                for record in batch:
                    self.read += 1
                    yield record
