"""Which incarnation of a topic is there now."""

from __future__ import annotations

from collections.abc import Collection

from confluent_kafka import KafkaException, TopicCollection
from confluent_kafka.admin import AdminClient

from optionstream.streams.sinks.contract import Topic

_TIMEOUT_S = 10.0


def describe(admin: AdminClient, names: Collection[str]) -> dict[str, Topic]:
    """The topics by name. Raises KafkaException when one does not exist or nobody answers."""
    if not names:
        return {}
    futures = admin.describe_topics(TopicCollection(list(names)), request_timeout=_TIMEOUT_S)
    found = {}
    for name, future in futures.items():
        try:
            description = future.result(timeout=_TIMEOUT_S + 1)
        except TimeoutError:
            raise KafkaException(f"no answer about topic {name}") from None
        found[name] = Topic(name, str(description.topic_id), len(description.partitions))
    return found
