"""State in Kafka on a real broker: what is restored after zombies, crashes and new topics."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import uuid4

import pytest
from confluent_kafka import Consumer, KafkaError, Message, Producer, TopicPartition
from faust.types import TP
from prometheus_client import CollectorRegistry

from optionstream.deploy.namespaces.topics import delete_topics, ensure_topics, topics_of
from optionstream.deploy.stack import Addresses
from optionstream.schemas import topics
from optionstream.schemas.settings import Settings
from optionstream.schemas.topics import Namespace
from optionstream.streams.analytics.state import KafkaState, begin_anew
from optionstream.streams.core.intake import Incoming, Output, Source
from optionstream.streams.engine import checkpoint
from optionstream.streams.engine.checkpoint import Checkpoint
from optionstream.streams.engine.metrics import EngineMetrics
from optionstream.streams.engine.reader import Fetch, by_partition
from optionstream.streams.engine.state_topic import (
    NOTHING_APPLIED,
    SNAPSHOT_KEY,
    Snapshot,
    StateDamaged,
    StateReader,
    encode_snapshot,
    segment_key,
)
from optionstream.streams.kafka.admin import admin_client, partition_counts

pytestmark = pytest.mark.server

PARTITION = 1
SETTINGS_PARTITIONS = 2


@dataclass
class StateWorld:
    """The topics of a namespace with two partitions, and ways to write and read them."""

    kafka: str
    namespace: Namespace
    settings: Settings
    producer: Producer
    reader: StateReader

    @property
    def source(self) -> str:
        return self.namespace.topic(topics.UNDERLYING)

    @property
    def state(self) -> str:
        return self.namespace.topic(topics.STATE_TOPIC_OF[topics.UNDERLYING])

    def write(self, topic: str, key: bytes, value: bytes | None) -> int:
        """The offset at which it lies."""
        delivered: list[tuple[KafkaError | None, Message]] = []
        self.producer.produce(
            topic,
            value,
            key,
            PARTITION,
            on_delivery=lambda error, message: delivered.append((error, message)),
        )
        assert self.producer.flush(30) == 0
        ((error, message),) = delivered
        assert error is None
        offset = message.offset()
        assert offset is not None
        return offset

    def snapshot(self, generation: int, offset: int, **segments: tuple[int, str]) -> int:
        """Write a snapshot whose hot part names its offset."""
        hot = f"{generation}:{offset}".encode()
        return self.write(
            self.state,
            SNAPSHOT_KEY,
            encode_snapshot(Snapshot(generation, "topic", offset, hot, segments)),
        )

    def segment(self, name: str, offset: int, data: bytes | None, generation: int = 1) -> int:
        return self.write(self.state, segment_key(generation, name, offset, "w").encode(), data)

    def records(self, topic: str) -> list[Message]:
        """Everything on the partition."""
        consumer = Consumer({"bootstrap.servers": self.kafka, "group.id": "reads-all"})
        try:
            _, end = consumer.get_watermark_offsets(TopicPartition(topic, PARTITION), 30)
            consumer.assign([TopicPartition(topic, PARTITION, 0)])
            found: list[Message] = []
            while len(found) < end:
                message = consumer.poll(30)
                assert message is not None and message.error() is None
                found.append(message)
            return found
        finally:
            consumer.close()

    def make_source_anew(self) -> None:
        admin = admin_client(self.kafka)
        delete_topics(admin, [self.source])
        ensure_topics(self.kafka, self.namespace, self.settings)


@pytest.fixture
def world(addresses: Addresses, stack_settings: Settings) -> Iterator[StateWorld]:
    settings = replace(stack_settings, partitions=SETTINGS_PARTITIONS)
    namespace = Namespace.parse(f"t-{uuid4().hex[:10]}")
    ensure_topics(addresses.kafka, namespace, settings)
    producer = Producer({"bootstrap.servers": addresses.kafka, "enable.idempotence": True})
    reader = StateReader(addresses.kafka)
    try:
        yield StateWorld(addresses.kafka, namespace, settings, producer, reader)
    finally:
        reader.close()
        admin = admin_client(addresses.kafka)
        there = topics_of(namespace, partition_counts(admin))
        delete_topics(admin, there)


# -- the reader ---------------------------------------------------------------------------------


def test_a_partition_without_a_snapshot_has_no_state(world: StateWorld) -> None:
    assert world.reader.restore(world.state, PARTITION).snapshot is None
    world.segment("a", 3, b"nobody points here")
    assert world.reader.restore(world.state, PARTITION).snapshot is None


def test_the_highest_offset_counts_whatever_a_zombie_wrote_later(world: StateWorld) -> None:
    world.snapshot(1, 10)
    world.snapshot(1, 30)
    world.snapshot(1, 20)
    found = world.reader.restore(world.state, PARTITION).snapshot
    assert found is not None and (found.offset, found.hot) == (30, b"1:30")


def test_a_newer_generation_counts_more_than_a_higher_offset(world: StateWorld) -> None:
    world.snapshot(1, 1_000)
    world.snapshot(2, NOTHING_APPLIED)
    world.snapshot(1, 1_001)
    found = world.reader.snapshot(world.state, PARTITION)
    assert found is not None and (found.generation, found.offset) == (2, NOTHING_APPLIED)


def test_snapshots_are_found_behind_many_other_records(world: StateWorld) -> None:
    world.snapshot(1, 10)
    for number in range(700):
        world.producer.produce(world.state, b"x", f"segment|{number}", PARTITION)
    assert world.producer.flush(30) == 0
    found = world.reader.snapshot(world.state, PARTITION)
    assert found is not None and found.offset == 10


def test_a_segment_whose_snapshot_never_became_durable_is_ignored(world: StateWorld) -> None:
    at = world.segment("a", 10, b"old")
    world.snapshot(1, 10, a=(at, "key"))
    world.segment("a", 20, b"its worker died before the snapshot")
    found = world.reader.restore(world.state, PARTITION)
    assert found.snapshot is not None and found.snapshot.offset == 10
    assert found.segments == {"a": b"old"}


def test_a_missing_segment_is_an_error_that_says_what_to_do(world: StateWorld) -> None:
    gone = world.segment("a", 5, None)
    world.snapshot(1, 10, a=(gone, "key"))
    with pytest.raises(StateDamaged, match=r"segment 'a'.*--from-beginning"):
        world.reader.restore(world.state, PARTITION)
    world.snapshot(1, 11, a=(10_000, "key"))
    with pytest.raises(StateDamaged, match="segment 'a'"):
        world.reader.restore(world.state, PARTITION)


def test_beginning_anew_hides_all_that_was_before(world: StateWorld) -> None:
    at = world.segment("a", 10, b"old")
    world.snapshot(1, 10, a=(at, "key"))
    begin_anew(world.kafka, world.namespace)
    world.snapshot(1, 12, a=(at, "key"))  # a zombie of the generation before
    found = world.reader.restore(world.state, PARTITION)
    assert found.snapshot is not None
    assert (found.snapshot.generation, found.snapshot.offset) == (2, NOTHING_APPLIED)
    assert found.segments == {}


def test_a_partition_without_state_begins_anew_too(world: StateWorld) -> None:
    begin_anew(world.kafka, world.namespace)
    world.snapshot(1, 12)  # of a worker that had applied records and not yet said so
    found = world.reader.snapshot(world.state, PARTITION)
    assert found is not None and (found.generation, found.offset) == (2, NOTHING_APPLIED)


# -- the checkpoint -----------------------------------------------------------------------------


@dataclass
class Summing:
    """Keeps all values; every third record goes into a segment, which a "drop" takes away."""

    values: list[bytes] = field(default_factory=list)
    block: list[bytes] = field(default_factory=list)
    changed: bool = False

    def apply(self, records: Sequence[Incoming]) -> list[Output]:
        for record in records:
            value = record.value or b""
            self.values.append(value)
            if value.startswith(b"block"):
                self.block.append(value)
                self.changed = True
            elif value == b"drop":
                self.block = []
                self.changed = True
        return []

    def partials(self, *, quick: bool = False) -> list[Output]:
        return []

    def hot(self) -> bytes:
        return b",".join(self.values)

    def take_segments(self) -> dict[str, bytes | None]:
        if not self.changed:
            return {}
        self.changed = False
        return {"block": b",".join(self.block) if self.block else None}

    def restore(self, hot: bytes, segments: Mapping[str, bytes]) -> None:
        self.values = hot.split(b",")
        self.block = segments["block"].split(b",") if "block" in segments else []


class Engine:
    """A checkpoint as the worker makes it, with a simple processor and a plain producer."""

    def __init__(self, world: StateWorld) -> None:
        self.world = world
        self.loop = asyncio.Runner()
        """One for all of its life: that is what the checkpoint's locks belong to."""
        self.processors: list[Summing] = []
        self.state = KafkaState(world.kafka, world.namespace)
        self.tp = TP(world.source, PARTITION)
        self.checkpoint = Checkpoint(
            send=self._send,
            topic=world.namespace.topic,
            state_topics={topics.UNDERLYING: world.state},
            processor=self._processor,
            sources=lambda tp: Source(
                world.namespace.base_topic(tp.topic), tp.partition, SETTINGS_PARTITIONS
            ),
            state=self.state,
            metrics=EngineMetrics(CollectorRegistry()),
            longest_sleep_s=30.0,
        )

    @property
    def processor(self) -> Summing:
        return self.processors[-1]

    def restore(self) -> int:
        """Where the partition goes on."""
        positions = self.loop.run(self.checkpoint.restore([self.tp], 1))
        self.checkpoint.begin(1)
        return positions[self.tp]

    def run(self, *values: bytes) -> None:
        """Write records to the source and apply them in one checkpoint."""
        start = self.world.write(self.world.source, b"k", values[0])
        for value in values[1:]:
            self.world.write(self.world.source, b"k", value)
        self.apply(start)

    def apply(self, start: int) -> None:
        """Apply what the source holds from an offset on."""
        read = by_partition(self.world.records(self.world.source)[start:])
        self.loop.run(self._take_and_settle(Fetch(1, read)))

    async def _take_and_settle(self, fetch: Fetch) -> None:
        await self.checkpoint.take(fetch)
        await self.checkpoint.settle()

    def close(self) -> None:
        self.loop.close()
        self.state.close()

    def _processor(self, _: Source) -> Summing:
        self.processors.append(Summing())
        return self.processor

    async def _send(self, topic: str, key: bytes, value: bytes | None, *_: Any) -> Awaitable[int]:
        done: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        done.set_result(self.world.write(topic, key, value))
        return done


class Ended(BaseException):
    """The process would have ended."""


@pytest.fixture
def engines(world: StateWorld, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Makes engines, each like a worker that was started anew."""
    made: list[Engine] = []

    def end(why: str) -> None:
        raise Ended(why)

    monkeypatch.setattr(checkpoint, "end_process", end)

    def make() -> Engine:
        made.append(Engine(world))
        return made[-1]

    yield make
    for engine in made:
        engine.close()


def segments_on(world: StateWorld) -> list[tuple[bytes, bytes | None]]:
    found = []
    for message in world.records(world.state):
        key = message.key()
        assert isinstance(key, bytes)
        if key != SNAPSHOT_KEY:
            found.append((without_writer(key), message.value()))
    return found


def without_writer(key: bytes) -> bytes:
    return key.rpartition(b"|")[0]


def test_a_successor_goes_on_where_the_last_durable_checkpoint_ended(
    world: StateWorld, engines: Any
) -> None:
    first = engines()
    assert first.restore() == 0
    first.run(b"one", b"block 1")
    first.run(b"two")
    second = engines()
    assert second.restore() == 3
    assert second.processor.values == [b"one", b"block 1", b"two"]
    assert second.processor.block == [b"block 1"]


def test_superseded_segments_are_deleted_after_the_snapshot_that_points_past_them(
    world: StateWorld, engines: Any
) -> None:
    engine = engines()
    engine.restore()
    engine.run(b"block 1")
    engine.run(b"two")
    engine.run(b"block 3")
    old, new = (without_writer(segment_key(1, "block", at, "w").encode()) for at in (0, 2))
    assert segments_on(world) == [(old, b"block 1"), (new, b"block 1,block 3"), (old, None)]
    kinds = [one.key() for one in world.records(world.state)]
    assert kinds[-2] == SNAPSHOT_KEY
    assert without_writer(kinds[-1] or b"") == old

    successor = engines()
    assert successor.restore() == 3
    successor.run(b"drop")
    assert segments_on(world)[-1] == (new, None)
    assert engines().restore() == 4


def test_a_successor_repeats_a_checkpoint_that_was_cut_short(
    world: StateWorld, engines: Any
) -> None:
    first = engines()
    first.restore()
    first.run(b"block 1")
    start = world.write(world.source, b"k", b"block 2")
    world.segment("block", start, b"block 1,block 2")  # and then it was killed
    second = engines()
    assert second.restore() == start
    assert second.processor.block == [b"block 1"]
    second.apply(start)
    third = engines()
    assert third.restore() == start + 1
    assert third.processor.block == [b"block 1", b"block 2"]


def test_a_zombie_that_writes_after_its_successor_changes_nothing(
    world: StateWorld, engines: Any
) -> None:
    zombie = engines()
    zombie.restore()
    zombie.run(b"block 1")
    heir = engines()
    heir.restore()
    heir.run(b"block 2")
    heir.run(b"three")
    zombie.apply(1)  # it reads both at once, as of the state that it had
    last = engines()
    assert last.restore() == 3
    assert last.processor.values == [b"block 1", b"block 2", b"three"]
    assert last.processor.block == [b"block 1", b"block 2"]


def test_a_source_topic_made_anew_begins_a_new_generation(world: StateWorld, engines: Any) -> None:
    first = engines()
    first.restore()
    first.run(b"one", b"block 1", b"two")
    world.make_source_anew()
    second = engines()
    assert second.restore() == 0
    assert second.processor.values == []
    second.run(b"uno")
    third = engines()
    assert third.restore() == 1
    assert third.processor.values == [b"uno"]
    assert third.processor.block == []
    found = world.reader.snapshot(world.state, PARTITION)
    assert found is not None and found.generation == 2


def test_begun_anew_at_an_offset_the_state_is_empty_and_goes_on_there(
    world: StateWorld, engines: Any
) -> None:
    first = engines()
    first.restore()
    first.run(b"one", b"block 1", b"two")
    begin_anew(world.kafka, world.namespace, {(topics.UNDERLYING, PARTITION): 2})
    first.run(b"late")  # a zombie of the generation before
    heir = engines()
    assert heir.restore() == 2
    assert (heir.processor.values, heir.processor.block) == ([], [])
    assert heir.state.positions() == {(topics.UNDERLYING, PARTITION): 2}
    heir.apply(2)
    assert heir.processor.values == [b"two", b"late"]
    assert engines().restore() == 4


def test_begun_anew_in_a_topic_that_is_then_made_anew_the_offset_is_not_followed(
    world: StateWorld, engines: Any
) -> None:
    first = engines()
    first.restore()
    first.run(b"one", b"two", b"three")
    begin_anew(world.kafka, world.namespace, {(topics.UNDERLYING, PARTITION): 2})
    world.make_source_anew()
    heir = engines()
    assert heir.state.positions() == {}
    assert heir.restore() == 0
    heir.run(b"uno")
    assert engines().restore() == 1
