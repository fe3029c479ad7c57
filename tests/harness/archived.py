"""The audit archive of a world beside what Kafka holds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from confluent_kafka import Consumer, TopicPartition

from optionstream.producers.feeds.audit import archived_records
from optionstream.streams.sinks.audit.check import Verdict, verify_archive
from tests.harness.running import Running

Place = tuple[str, int, int]
"""Topic without its namespace, partition, offset."""
Records = dict[Place, tuple[Any, ...]]
"""Time, key, headers and value by place."""


def keep_archive(world: Running) -> None:
    """Have the world's audit workers write into its folder, every second."""
    world.env["OPTIONSTREAM_AUDIT_FLUSH_S"] = "1"
    world.env["OPTIONSTREAM_AUDIT_DIR"] = str(world.folder / "audit")


def archive(world: Running) -> Path:
    return world.folder / "audit" / world.namespace.name


def intact(world: Running, head: str | None = None) -> Verdict:
    verdict = verify_archive(archive(world), head)
    assert verdict.ok, verdict.problems
    return verdict


def in_kafka(world: Running) -> Records:
    """Everything on the input topics, by place."""
    ends = {place: end for place, end in world.input_ends().items() if end}
    consumer = Consumer({"bootstrap.servers": world.addresses.kafka, "group.id": "test-only"})
    consumer.assign([TopicPartition(*place, 0) for place in ends])
    found: Records = {}
    left = sum(ends.values())
    while len(found) < left:
        for message in consumer.consume(1_000, 1.0):
            assert message.error() is None
            base = world.namespace.base_topic(message.topic() or "")
            place = base, message.partition() or 0, message.offset() or 0
            headers = message.headers() or []
            found[place] = message.timestamp()[1], message.key(), headers, message.value()
    consumer.close()
    return found


def in_archive(world: Running) -> Records:
    found: Records = {}
    for one in archived_records(archive(world)):
        place = one.topic, one.partition, one.offset
        assert place not in found, f"{place} twice"
        found[place] = one.timestamp, one.key, one.headers, one.value
    return found
