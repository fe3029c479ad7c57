"""The engine's reader and producer on a real broker."""

from __future__ import annotations

import asyncio
import queue
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from faust.types import TP

from optionstream.deploy.namespaces.topics import delete_topics, ensure_topics, topics_of
from optionstream.deploy.stack import Addresses
from optionstream.schemas.settings import Settings
from optionstream.schemas.topics import OHLC, UNDERLYING, Namespace
from optionstream.streams.engine.outbox import MAX_RECORD_BYTES, Outbox
from optionstream.streams.engine.reader import Fetch, FetchReader
from optionstream.streams.kafka.admin import admin_client, partition_counts
from tests.harness.sink_world import wait_for

pytestmark = pytest.mark.server


class World:
    def __init__(self, kafka: str, settings: Settings) -> None:
        self.kafka = kafka
        self.namespace = Namespace.parse(f"test-{uuid4().hex[:10]}")
        ensure_topics(kafka, self.namespace, replace(settings, partitions=2))
        self.source = self.namespace.topic(UNDERLYING)
        self.output = self.namespace.topic(OHLC)
        self.fetches: queue.Queue[Fetch] = queue.Queue()
        self.failures: list[str] = []
        self.reader = FetchReader(
            kafka,
            self.namespace.group("analytics"),
            deliver=self.fetches.put,
            failed=self.failures.append,
            most_waiting=2,
            gather_ms=4,
        )

    def write(self, partition: int, *values: bytes) -> None:
        producer = Producer({"bootstrap.servers": self.kafka})
        for value in values:
            producer.produce(self.source, value, b"k", partition)
        assert producer.flush(30) == 0

    def read(self, records: int) -> list[tuple[int, int, int, bytes | None]]:
        """Generation, partition, offset and value of the next so many records."""
        found = []
        while len(found) < records:
            fetch = self.fetches.get(timeout=30)
            self.reader.taken()
            found += [
                (fetch.generation, tp.partition, one.offset, one.value)
                for tp, some in fetch.records.items()
                for one in some
            ]
        assert len(found) == records
        return found


@pytest.fixture
def world(addresses: Addresses, stack_settings: Settings) -> Iterator[World]:
    made = World(addresses.kafka, stack_settings)
    made.reader.start()
    yield made
    made.reader.close()
    assert not made.reader.is_alive()
    assert made.failures == []
    admin = admin_client(addresses.kafka)
    there = topics_of(made.namespace, partition_counts(admin))
    delete_topics(admin, there)


def test_it_reads_what_it_was_told_from_where_it_was_told(world: World) -> None:
    world.write(0, b"a", b"b", b"c")
    world.write(1, b"other")
    world.reader.read_from(1, {TP(world.source, 0): 1})
    assert world.read(2) == [(1, 0, 1, b"b"), (1, 0, 2, b"c")]
    world.write(0, b"d")
    assert world.read(1) == [(1, 0, 3, b"d")]


def test_a_new_generation_begins_where_it_was_told_and_nothing_old_comes_under_its_name(
    world: World,
) -> None:
    world.write(0, *(b"%d" % at for at in range(5_000)))
    world.reader.read_from(1, {TP(world.source, 0): 0})
    first = world.fetches.get(timeout=30)
    assert first.generation == 1
    world.reader.read_from(2, {TP(world.source, 0): 4_990})
    world.reader.taken()
    later: list[int] = []
    while len(later) < 10:
        fetch = world.fetches.get(timeout=30)
        world.reader.taken()
        if fetch.generation == 2:
            later += [one.offset for one in fetch.records[TP(world.source, 0)]]
    assert later == list(range(4_990, 5_000))


def test_it_waits_when_nobody_takes_what_it_brought(world: World) -> None:
    world.reader.read_from(1, {TP(world.source, 0): 0})
    for brought in (1, 2):
        world.write(0, b"x")
        wait_for(lambda brought=brought: world.fetches.qsize() == brought, 30, "a fetch")  # type: ignore[misc]
    world.write(0, b"y")
    time.sleep(1.0)
    assert world.fetches.qsize() == 2
    world.reader.taken()
    wait_for(lambda: world.fetches.qsize() == 3, 30, "the third fetch")


def test_after_being_told_to_stop_it_reads_nothing(world: World) -> None:
    world.write(0, b"a")
    world.reader.read_from(1, {TP(world.source, 0): 0})
    world.read(1)
    world.reader.stop_reading()
    world.write(0, b"b")
    with pytest.raises(queue.Empty):
        world.fetches.get(timeout=1)


def test_what_was_sent_is_there_when_its_delivery_says_so(world: World) -> None:
    async def send() -> list[int]:
        outbox = Outbox(world.kafka)
        headers = [("optionstream-schema", b"1")]
        deliveries = [
            await outbox.send(world.output, b"k", b"%d" % at, 1, 1_700_000_000_000 + at, headers)
            for at in range(1_000)
        ]
        offsets = await asyncio.gather(*deliveries)
        outbox.close()
        return list(offsets)

    assert asyncio.run(send()) == list(range(1_000))
    consumer = Consumer({"bootstrap.servers": world.kafka, "group.id": "x"})
    consumer.assign([TopicPartition(world.output, 1, 0)])
    read: list[Any] = []
    while len(read) < 1_000:
        read += consumer.consume(1_000, 5)
    consumer.close()
    assert [one.value() for one in read] == [b"%d" % at for at in range(1_000)]
    assert read[7].timestamp()[1] == 1_700_000_000_007
    assert read[7].headers() == [("optionstream-schema", b"1")]


def test_what_cannot_be_delivered_raises(world: World) -> None:
    async def too_large() -> None:
        outbox = Outbox(world.kafka)
        try:
            with pytest.raises(KafkaException) as caught:
                await (
                    await outbox.send(
                        world.output, b"k", bytes(MAX_RECORD_BYTES + 1), 0, None, None
                    )
                )
            assert caught.value.args[0].code() == KafkaError.MSG_SIZE_TOO_LARGE
        finally:
            outbox.close()

    async def nowhere() -> None:
        outbox = Outbox(world.kafka)
        try:
            with pytest.raises(KafkaException):
                await (await outbox.send(world.output, b"k", b"v", 99, None, None))
        finally:
            outbox.close()

    asyncio.run(too_large())
    asyncio.run(nowhere())
