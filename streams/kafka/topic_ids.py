"""Which incarnation of a topic is there now."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from confluent_kafka import KafkaException, TopicCollection
from confluent_kafka.admin import AdminClient

_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic as the broker knows it now. A recreated topic has the same name and another id."""

    name: str
    id: str
    partitions: int


class Question:
    """What the broker is asked about some topics; the answer comes while others work."""

    def __init__(self, admin: AdminClient, names: Collection[str]) -> None:
        self._futures = (
            admin.describe_topics(TopicCollection(list(names)), request_timeout=_TIMEOUT_S)
            if names
            else {}
        )

    def answered(self) -> bool:
        return all(future.done() for future in self._futures.values())

    def answer(self) -> dict[str, Topic]:
        """The topics by name; waits. Raises KafkaException when one does not exist or nobody
        answers."""
        found = {}
        for name, future in self._futures.items():
            try:
                description = future.result(timeout=_TIMEOUT_S + 1)
            except TimeoutError:
                raise KafkaException(f"no answer about topic {name}") from None
            found[name] = Topic(name, str(description.topic_id), len(description.partitions))
        return found


def describe(admin: AdminClient, names: Collection[str]) -> dict[str, Topic]:
    """The topics by name. Raises KafkaException when one does not exist or nobody answers."""
    return Question(admin, names).answer()
