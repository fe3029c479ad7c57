"""The history sink on real Kafka and MongoDB: each tick once as read, whatever happens."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pymongo
import pytest
from bson import ObjectId
from confluent_kafka import KafkaException

from optionstream.schemas import codec, rejects, topics
from optionstream.schemas.codec import encode, headers_for
from optionstream.schemas.derived import Bar, Reject
from optionstream.schemas.documents import (
    BARS,
    CHAINS,
    REJECTS,
    SINK_POSITIONS,
    SURFACES,
    TICK_RANGES,
    TICKS,
)
from optionstream.schemas.events import TickFrame
from optionstream.schemas.settings import Settings
from optionstream.schemas.topics import partition_for
from optionstream.streams.core.rules import Rules
from optionstream.streams.kafka.topic_ids import Topic
from optionstream.streams.process import WorkerConfig
from optionstream.streams.sinks.history.collections import ensure_collections
from optionstream.streams.sinks.history.sink import HistorySink
from optionstream.streams.sinks.history.tick_reading import raw_surplus, read_ticks
from optionstream.streams.sinks.history.tick_store import TickStore
from optionstream.streams.sinks.loop.contract import Assigned, StartAgain
from tests.harness.proxy import Proxy
from tests.harness.records import OPEN_MS, bar, chain, frame, surface
from tests.harness.sink_world import PARTITIONS, World, wait_for, world

pytestmark = pytest.mark.server

PARTITION = partition_for("NIFTY", PARTITIONS)


@pytest.fixture
def here(addresses: Any) -> Iterator[World]:
    with world(addresses) as made:
        yield made


def _store(here: World, topic_id: str = "a") -> tuple[TickStore, int]:
    """A tick store that was given partition 0, and where it goes on."""
    ensure_collections(here.db)
    store = TickStore(here.db, Rules.of(here.namespace, Settings(data_dir=Path("/nonexistent"))))
    given = Assigned(topics.UNDERLYING, Topic("t", topic_id, 1), 0)
    return store, store.start_partitions([given])["t", 0]


def _add(store: TickStore, *offsets: int) -> None:
    """One frame of ten ticks an offset."""
    for offset in offsets:
        store.add_record(0, offset, frame(offset * 10, 10))


def test_everything_is_stored_once_and_stays_once_when_read_again(here: World) -> None:
    here.send(topics.UNDERLYING, *(frame(at * 100, 100) for at in range(50)))
    here.send(topics.OHLC, *(bar(at, revision) for at in range(5) for revision in (0, 1, 2)))
    here.send(topics.OHLC, bar(0, 1))
    here.send(topics.CHAIN, *(chain(at) for at in range(5)), chain(0))
    here.send(topics.SURFACE, *(surface(at) for at in (1, 2, 3)), surface(1))
    worker = here.worker("history")
    here.wait_until_read("history")
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(20) == 0

    _forget_offsets(here)
    again = here.worker("history")
    here.wait_until_read("history")
    again.send_signal(signal.SIGINT)
    assert again.wait(20) == 0

    assert here.ticks() == list(range(5_000))
    assert here.db[TICKS].count_documents({}) == 5_000
    assert raw_surplus(here.db) == 0
    stored = {row["_id"] for row in here.db[BARS].find()}
    assert stored == {bar(at, revision).id for at in range(5) for revision in (1, 2)}
    assert {row["_id"] for row in here.db[CHAINS].find()} == {chain(at).id for at in range(5)}
    assert {row["_id"] for row in here.db[SURFACES].find()} == {surface(at).id for at in (1, 2, 3)}


def _forget_offsets(here: World) -> None:
    """What "start the group anew from the beginning" does; the old member may linger a moment."""
    group = here.namespace.group("history")

    def gone() -> bool:
        try:
            here.admin.delete_consumer_groups([group])[group].result(timeout=30)
        except KafkaException:
            return False
        return True

    wait_for(gone, 30, "the group to be empty")


def test_bad_records_are_passed_over_and_the_good_ones_around_them_are_stored(here: World) -> None:
    far = 4_070_908_800_000  # 2099-01-01
    here.send(topics.UNDERLYING, frame(0, 10))
    for value in (b"", b"\xff\x00garbage", b'{"product":"NIFTY"}', b"[1"):
        here.send_raw(topics.UNDERLYING, value, partition=PARTITION)
        here.send_raw(topics.CHAIN, value, partition=PARTITION)
    here.send_raw(topics.UNDERLYING, b"{}", partition=PARTITION, headers=[("schema", b"tick:9")])
    here.send(
        topics.UNDERLYING,
        frame(10, 1, ts_ms=[far]),
        frame(11, 2, ts_ms=[-5, 10**17]),
        frame(13, 1, price=[-1.0]),
        frame(14, 1, seq=[10**30]),
        frame(15, 2, seq=[15]),
        frame(20, 10),
    )
    reject = Reject(
        rejects.INVALID, "why", "t", 0, 7, OPEN_MS, 1, [], b"\xff", b"\x00", [("h", b"\x01")]
    )
    here.send_raw(topics.REJECTS, encode(reject), headers=headers_for(reject))
    here.producer.flush()
    here.worker("history")
    here.wait_until_read("history")

    assert here.ticks() == [*range(10), 13, *range(20, 30), 10]
    refused = {row["seq"]: row.get("refused") for row in read_ticks(here.db, "NIFTY")}
    assert refused[13] == rejects.BAD_PRICE
    assert refused[10] == rejects.NO_CALENDAR
    assert refused[20] is None
    stored = here.db[REJECTS].find_one()
    assert stored is not None
    assert (stored["_id"], stored["raw"]) == ("t|0|7|invalid", b"\x00")


def test_a_crash_between_insert_and_position_leaves_surplus_that_nobody_reads(
    here: World,
) -> None:
    crashing, _ = _store(here)
    _add(crashing, 0, 1)
    crashing._insert()

    fresh, begin = _store(here)
    assert begin == -2
    _add(fresh, 0, 1)
    fresh.flush_rows()
    _add(fresh, 2)
    fresh.flush_rows()

    assert here.ticks() == list(range(30))
    assert raw_surplus(here.db) == 20
    assert here.db[TICK_RANGES].count_documents({}) == 1


def test_a_crash_before_the_range_was_written_is_made_good_by_the_next_start(here: World) -> None:
    crashing, _ = _store(here)
    _add(crashing, 0, 1)
    crashing._write_ranges = lambda positions: None  # type: ignore[method-assign]
    crashing.flush_rows()
    assert here.ticks() == []

    fresh, begin = _store(here)
    assert begin == 2
    assert here.ticks() == list(range(20))
    _add(fresh, 2)
    fresh.flush_rows()
    assert here.ticks() == list(range(30))
    assert raw_surplus(here.db) == 0


def test_of_two_that_write_the_same_records_one_is_told_to_start_again(here: World) -> None:
    zombie, _ = _store(here)
    heir, _ = _store(here)
    _add(zombie, 0, 1)
    _add(heir, 0)
    heir.flush_rows()
    with pytest.raises(StartAgain):
        zombie.flush_rows()

    _, begin = _store(here)
    assert begin == 1
    _add(heir, 1, 2)
    heir.flush_rows()
    with pytest.raises(StartAgain):
        zombie.flush_rows()
    assert here.ticks() == list(range(30))


def test_a_flush_whose_answer_was_lost_is_not_counted_twice(here: World) -> None:
    store, _ = _store(here)
    _add(store, 0, 1)
    rows, parts = list(store.rows), {n: p.last for n, p in store._partitions.items()}
    store.flush_rows()
    # As if the commit's answer had not come: the same rows again, under a new epoch.
    store.rows = rows
    for number, part in store._partitions.items():
        part.last, part.next, part.first = parts[number], None, None
    store._new_epoch()
    with pytest.raises(StartAgain):
        store.flush_rows()
    assert here.ticks() == list(range(20))


def test_a_row_of_an_epoch_that_owns_nothing_is_not_read(here: World) -> None:
    store, _ = _store(here)
    _add(store, 0)
    store.flush_rows()
    row = here.db[TICKS].find_one({}, {"_id": 0})
    assert row is not None
    here.db[TICKS].insert_one({**row, "e": ObjectId()})
    assert here.ticks() == list(range(10))
    assert raw_surplus(here.db) == 1


@pytest.mark.timeout(600)
def test_killed_at_random_again_and_again_every_tick_is_read_exactly_once(here: World) -> None:
    some = random.Random(7)
    sent = 0

    def send() -> None:
        nonlocal sent
        here.send(topics.UNDERLYING, *(frame(sent + at * 50, 50) for at in range(10)))
        sent += 500

    for _ in range(8):
        before = _position(here)
        worker = here.worker("history", rows=500)
        while _position(here) == before:
            send()
            time.sleep(0.02)
        until_s = time.monotonic() + some.random() * 0.3
        while time.monotonic() < until_s:
            send()
        worker.kill()
        worker.wait()
    here.worker("history")
    here.wait_until_read("history", 180)
    assert here.ticks() == list(range(sent))
    stored = here.db[TICKS].count_documents({})
    assert raw_surplus(here.db) == stored - sent


def _position(here: World) -> int:
    found = here.db[SINK_POSITIONS].find_one({"partition": PARTITION})
    return int(found["next"]) if found else 0


@pytest.mark.timeout(600)
def test_an_outage_of_mongodb_is_sat_out_and_nothing_is_lost(addresses: Any) -> None:
    host, port = pymongo.MongoClient(addresses.mongo).address or ("", 0)
    proxy = Proxy((host, port))
    through = replace(addresses, mongo=f"mongodb://127.0.0.1:{proxy.port}/?directConnection=true")
    with world(addresses) as here:
        here.addresses = through
        worker = here.worker("history", rows=500)
        sent = 0
        for outage in range(3):
            for at in range(20):
                here.send(topics.UNDERLYING, frame(sent, 100))
                sent += 100
                if outage and at == 5:
                    proxy.cut()
                time.sleep(0.02)
            if outage:
                time.sleep(3)
                proxy.join()
        here.wait_until_read("history", 180)
        assert here.ticks() == list(range(sent))
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(30) == 0


@pytest.mark.timeout(600)
def test_a_worker_frozen_past_its_session_and_thawed_changes_nothing(here: World) -> None:
    sent = 0

    def send(count: int) -> None:
        nonlocal sent
        here.send(topics.UNDERLYING, *(frame(sent + at * 50, 50) for at in range(count)))
        sent += count * 50

    frozen = here.worker("history", rows=500)
    send(20)
    wait_for(lambda: len(here.ticks()) > 0, 30, "the first ticks")
    send(100)
    frozen.send_signal(signal.SIGSTOP)
    here.worker("history", instance="2", rows=500)
    send(20)
    here.wait_until_read("history", 180)
    frozen.send_signal(signal.SIGCONT)
    for _ in range(20):
        send(5)
        time.sleep(0.1)
    here.wait_until_read("history", 180)
    assert here.ticks() == list(range(sent))
    assert frozen.poll() is None


@pytest.mark.timeout(600)
def test_a_recreated_topic_starts_a_new_set_of_ranges(here: World) -> None:
    worker = here.worker("history")
    here.send(topics.UNDERLYING, *(frame(at * 10, 10) for at in range(5)))
    wait_for(lambda: len(here.ticks()) == 50, 30, "the first ticks")
    here.delete_topic(topics.UNDERLYING)
    wait_for(lambda: _recreated(here), 30, "the topic to be there again")
    # More than there were: the offset where the old topic ended exists in the new one too.
    here.send(topics.UNDERLYING, *(frame(1_000 + at * 10, 10) for at in range(20)))
    wait_for(lambda: len(here.ticks()) == 250, 60, "the new topic's ticks")
    assert here.ticks() == [*range(50), *range(1_000, 1_200)]
    assert len({row["topic_id"] for row in here.db[TICK_RANGES].find()}) == 2
    assert worker.poll() is None


def _recreated(here: World) -> bool:
    try:
        here.create_topics([topics.UNDERLYING])
    except KafkaException:
        return False
    return True


@dataclass
class _Read:
    """A consumed record, as far as a sink looks at it."""

    base: str
    record: Bar | TickFrame
    at: int

    def topic(self) -> str:
        return self.base

    def partition(self) -> int:
        return 0

    def offset(self) -> int:
        return self.at

    def key(self) -> bytes:
        return self.record.product.encode()

    def value(self) -> bytes:
        return codec.encode(self.record)

    def headers(self) -> list[tuple[str, bytes]]:
        return codec.headers_for(self.record)


def test_frames_after_bars_do_not_fill_a_flush_beyond_its_size(here: World) -> None:
    where = here.addresses
    settings = Settings(data_dir=Path("/nonexistent"), mongo_flush_rows=1_000)
    config = WorkerConfig(where.kafka, where.mongo, where.redis, here.namespace, settings, "1")
    sink = HistorySink(config)
    sink.prepare_store()
    sink.start_partitions(
        [Assigned(base, Topic(base, "id", 1), 0) for base in (topics.UNDERLYING, topics.OHLC)]
    )
    bars: Any = [_Read(topics.OHLC, bar(at), at) for at in range(300)]
    assert sink.add_records(bars) == 300
    sink.flush_rows({})
    assert sink.appetite > 500  # it expects more bars
    frames: Any = [_Read(topics.UNDERLYING, frame(at * 300, 300), at) for at in range(50)]
    taken = 0
    while taken < len(frames):
        taken += sink.add_records(frames[taken:])
        assert 0 < sink.pending <= 1_000 + 300
        sink.flush_rows({})
    assert here.ticks() == list(range(50 * 300))
