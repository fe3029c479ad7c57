"""The topics of a namespace: created with their partitions, retention and cleanup; deleted.

| topics                | live and sim             | a replay           |
|-----------------------|--------------------------|--------------------|
| market.*, analytics.* | ``market_retention_ms``  | kept until dropped |
| rejects               | ``rejects_retention_ms`` | kept until dropped |
| raw.*                 | ``raw_retention_ms``     | kept until dropped |
| state.*               | compacted                | compacted          |

Live refuses record timestamps an hour ahead of the broker's clock (Kafka's default). Sim, whose
time may run faster, and replays accept any.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from confluent_kafka import KafkaError
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewTopic,
    ResourceType,
)

from optionstream.deploy.waiting import attempts
from optionstream.producers.kafka.leaders import wait_for_leaders
from optionstream.schemas import topics
from optionstream.schemas.errors import ServerUnavailable, UsageError
from optionstream.schemas.settings import Settings
from optionstream.schemas.topics import MAX_RECORD_BYTES, Namespace
from optionstream.streams.kafka.admin import (
    TIMEOUT_S,
    admin_client,
    partition_counts,
    results,
    settle,
)
from optionstream.streams.kafka.answers import kafka_call

_ANY_TIMESTAMP = str(2**63 - 1)
_SEGMENT_BYTES = 64 * 1024 * 1024
_LOOK_AGAIN_S = 0.05


def topic_config(name: str, namespace: Namespace, settings: Settings) -> dict[str, str]:
    """Return the Kafka configuration of a topic, named without the namespace."""
    config = {"max.message.bytes": str(MAX_RECORD_BYTES)}
    if namespace.name != topics.LIVE:
        config |= {"message.timestamp.after.max.ms": _ANY_TIMESTAMP}
    if name in topics.STATE_TOPIC_OF.values():
        return config | _compacted()
    if namespace.is_replay:
        retention_ms = -1
    elif name == topics.REJECTS:
        retention_ms = settings.rejects_retention_ms
    elif name in topics.RAW_TOPICS:
        retention_ms = settings.raw_retention_ms
    else:
        retention_ms = settings.market_retention_ms
    return config | {"cleanup.policy": "delete", "retention.ms": str(retention_ms)}


def partitions_of(name: str, settings: Settings) -> int:
    """Return the number of partitions of a topic, named without the namespace."""
    return 1 if name in topics.RAW_TOPICS else settings.partitions


def _compacted() -> dict[str, str]:
    """Return settings that compact soon: segments roll often, and little dirt suffices."""
    return {
        "cleanup.policy": "compact",
        "segment.bytes": str(_SEGMENT_BYTES),
        "segment.ms": "600000",
        "min.cleanable.dirty.ratio": "0.1",
        # A late write of a worker thought dead may follow a better snapshot for a while.
        "min.compaction.lag.ms": "600000",
        "max.compaction.lag.ms": "3600000",
        "delete.retention.ms": "60000",
    }


def ensure_topics(kafka: str, namespace: Namespace, settings: Settings) -> list[str]:
    """Create missing topics, update the configuration of the others, wait for all leaders.

    Returns the names of those created. Raises UsageError for a topic with another number of
    partitions: to repartition would move products.
    """
    admin = admin_client(kafka)
    wanted = {namespace.topic(name): name for name in topics.ALL_TOPICS}
    existing = partition_counts(admin)
    partitions = {topic: partitions_of(name, settings) for topic, name in wanted.items()}
    for topic, count in partitions.items():
        _check_partitions(topic, existing.get(topic), count)
    missing = [topic for topic in wanted if topic not in existing]
    configs = {t: topic_config(name, namespace, settings) for t, name in wanted.items()}
    _create(admin, {t: configs[t] for t in missing}, partitions, settings.replication)
    _configure(admin, {t: c for t, c in configs.items() if t in existing})
    _wait(lambda: set(wanted) <= set(partition_counts(admin)), "new topics do not appear")
    wait_for_leaders(admin, partitions, TIMEOUT_S)
    return missing


def topics_of(namespace: Namespace, existing: Collection[str]) -> list[str]:
    """Return the topics among ``existing`` that belong to the namespace."""
    if namespace.is_live:
        own = {namespace.topic(name) for name in topics.ALL_TOPICS}
        return sorted(own & set(existing))
    prefix = namespace.topic("")
    return sorted(topic for topic in existing if topic.startswith(prefix))


def namespaces_in(existing: Collection[str]) -> dict[str, list[str]]:
    """Return the namespaces that have topics, each with its topics."""
    replays = {
        topic.split(".")[1]
        for topic in existing
        if topic.startswith("replay.") and topic.count(".") >= 2
    }
    names = [topics.LIVE, topics.SIM, *sorted(replays)]
    found = {name: topics_of(Namespace(name), existing) for name in names}
    return {name: own for name, own in found.items() if own}


def delete_topics(admin: AdminClient, names: Collection[str]) -> None:
    """Delete the topics and wait until they are gone."""
    if not names:
        return
    for future in admin.delete_topics(list(names), operation_timeout=TIMEOUT_S).values():
        settle(future, fine=KafkaError.UNKNOWN_TOPIC_OR_PART)
    _wait(lambda: not set(names) & set(partition_counts(admin)), "deleted topics do not go")


def _check_partitions(topic: str, count: int | None, wanted: int) -> None:
    if count is not None and count != wanted:
        raise UsageError(
            f"topic {topic} has {count} partitions, the settings say {wanted}: set "
            f"OPTIONSTREAM_PARTITIONS={count}, or drop the namespace and create it again"
        )


def _create(
    admin: AdminClient,
    configs: Mapping[str, Mapping[str, str]],
    partitions: Mapping[str, int],
    replication: int,
) -> None:
    if not configs:
        return
    new = [
        NewTopic(topic, partitions[topic], replication, config=dict(config))
        for topic, config in configs.items()
    ]
    for future in admin.create_topics(new, operation_timeout=TIMEOUT_S).values():
        settle(future, fine=KafkaError.TOPIC_ALREADY_EXISTS)


def _configure(admin: AdminClient, configs: Mapping[str, Mapping[str, str]]) -> None:
    """Set what differs: a changed setting takes effect at the next ``up``."""
    asked = [ConfigResource(ResourceType.TOPIC, topic) for topic in configs]
    if not asked:
        return
    described = kafka_call(lambda: results(admin.describe_configs(asked)))
    changes = []
    for resource, entries in described.items():
        changed = [
            ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET)
            for name, value in configs[resource.name].items()
            if name not in entries or entries[name].value != value
        ]
        if changed:
            topic = resource.name
            changes.append(ConfigResource(ResourceType.TOPIC, topic, incremental_configs=changed))
    if changes:
        kafka_call(lambda: results(admin.incremental_alter_configs(changes)))


def _wait(done: Callable[[], bool], complaint: str) -> None:
    for _ in attempts(TIMEOUT_S, _LOOK_AGAIN_S):
        if done():
            return
    raise ServerUnavailable(f"kafka: {complaint} within {TIMEOUT_S:.0f} s")
