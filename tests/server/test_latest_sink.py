"""The latest sink on real Kafka and Redis: the newest version wins."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

import pytest
import redis

from optionstream.schemas import redis_keys, topics
from optionstream.schemas.derived import INTERVALS
from optionstream.schemas.newer_wins import GUARD_MARGIN_S, Entry
from optionstream.schemas.times import rfc3339
from optionstream.schemas.topics import partition_for
from optionstream.streams.kafka.topic_ids import Topic
from optionstream.streams.sinks.latest.newer_wins import write_newer
from optionstream.streams.sinks.latest.positions import Positions
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


@contextmanager
def behind_a_proxy(addresses: Any) -> Iterator[tuple[World, Proxy]]:
    """A world whose workers reach Redis through a proxy that can be cut."""
    where = urlsplit(addresses.redis)
    proxy = Proxy((where.hostname or "", where.port or 0))
    with world(addresses) as here:
        here.addresses = replace(addresses, redis=f"redis://127.0.0.1:{proxy.port}{where.path}")
        yield here, proxy


def test_the_newest_wins_whatever_the_order_and_however_many_write(here: World) -> None:
    key = here.namespace.redis("latest:x")
    entries = [Entry(key, f"{at:08d}", str(at).encode()) for at in range(400)]
    here.redis.script_flush()

    def write(seed: int) -> int:
        mine = random.Random(seed).sample(entries, len(entries))
        with redis.Redis.from_url(here.addresses.redis) as client:
            return sum(write_newer(client, mine[at : at + 7], {}) for at in range(0, 400, 7))

    with ThreadPoolExecutor(6) as pool:
        written = sum(pool.map(write, range(6)))
    assert here.redis.get(key) == b"399"
    assert written < 400
    assert write_newer(here.redis, entries, {}) == 0


def test_the_version_outlives_its_key(here: World) -> None:
    key = here.namespace.redis("latest:pcr:NIFTY:2025-10-28")
    write_newer(here.redis, [Entry(key, "5", b"new", lifetime_s=300)], {})
    assert 0 < int(here.redis.ttl(key)) <= 300
    guard_s = int(here.redis.ttl(key + redis_keys.GUARD_SUFFIX))
    assert guard_s > 300 + GUARD_MARGIN_S - 10
    here.redis.delete(key)
    assert write_newer(here.redis, [Entry(key, "4", b"old", lifetime_s=300)], {}) == 0
    assert here.redis.get(key) is None


def test_what_was_written_is_published_and_what_lost_is_not(here: World) -> None:
    channel = here.namespace.redis(redis_keys.CHANNEL_UNDERLYING)
    key = here.namespace.redis("latest:underlying:NIFTY")
    with here.redis.pubsub() as listener:  # type: ignore[no-untyped-call]
        listener.subscribe(channel)
        assert listener.get_message(timeout=5)["type"] == "subscribe"
        write_newer(here.redis, [Entry(key, "2", b"two", channel=channel)], {})
        write_newer(here.redis, [Entry(key, "1", b"one", channel=channel)], {})
        write_newer(here.redis, [Entry(key, "3", b"three", channel=channel)], {})
        heard = [listener.get_message(timeout=5)["data"] for _ in range(2)]
    assert heard == [b"two", b"three"]


def test_every_key_holds_the_newest_however_the_batches_are_cut(here: World) -> None:
    sparse = chain(9, call_oi=(100.0, None, None), put_oi=(None, None, None))
    ticks = [frame(at * 10, 10) for at in range(20)]
    bars = [
        bar(at, revision, interval=interval)
        for interval in INTERVALS
        for at in range(5)
        for revision in (0, 1)
    ]
    bars.append(bar(1, 3))  # a late tick revised an earlier window: not the newest started
    for record in random.Random(3).sample(ticks, len(ticks)):
        here.send(topics.UNDERLYING, record)
    here.send(topics.OHLC, *random.Random(4).sample(bars, len(bars)))
    here.send(topics.CHAIN, sparse, *(chain(at) for at in range(9)), chain(3, "2025-11-04"))
    surfaces = [surface(at + 1, at // 2) for at in range(6)]
    here.send(topics.SURFACE, *random.Random(5).sample(surfaces, len(surfaces)))
    worker = here.worker("latest")
    here.wait_until_read("latest")

    tick = here.json(redis_keys.underlying("NIFTY"))
    assert (tick["seq"], tick["timestamp"]) == (199, "2025-10-27T09:18:19+05:30")
    for interval in INTERVALS:
        held = here.json(redis_keys.ohlc("NIFTY", interval))
        assert (held["start"], held["revision"]) == (
            rfc3339(bar(4, interval=interval).start),
            1,
        )
    held = here.json(redis_keys.chain("NIFTY", "2025-10-28"))
    assert held["snapshot_id"] == sparse.snapshot_id
    assert here.json(redis_keys.pcr("NIFTY", "2025-10-28"))["put_oi"] == 0.0
    assert here.json(redis_keys.surface("NIFTY"))["number"] == 6
    first = here.json(redis_keys.option("NIFTY28OCT2524000CE"))
    assert (first["timestamp"], first["kind"], first["oi"]) == (
        "2025-10-27T09:15:09+05:30",
        "CE",
        100.0,
    )
    # A leg that the newest snapshot lacks keeps its last value.
    assert here.json(redis_keys.option("NIFTY28OCT2524050PE"))["timestamp"].endswith(
        "09:15:08+05:30"
    )
    assert here.json(redis_keys.option("NIFTY28OCT2524100PE")) is None
    expiries = here.redis.zrange(here.namespace.redis(redis_keys.expiries("NIFTY")), 0, -1)
    assert set(expiries) == {b"2025-10-28", b"2025-11-04"}
    assert here.redis.zrange(here.namespace.redis(redis_keys.PRODUCTS), 0, -1) == [b"NIFTY"]
    lifetimes = {here.redis.ttl(key) for key in here.redis.scan_iter(here.namespace.redis("*"))}
    assert lifetimes == {-1}, "keys of a replay stay"
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(20) == 0


def test_bad_ticks_do_not_become_the_latest(here: World) -> None:
    year_2099 = 4_070_908_800_000
    here.send(topics.UNDERLYING, frame(0, 10))
    here.send(
        topics.UNDERLYING,
        frame(100, 1, ts_ms=[year_2099]),
        frame(101, 3, price=[0.0, -5.0, 0.0]),
        frame(10, 2, price=[24_500.0, -1.0]),
    )
    here.send_raw(topics.UNDERLYING, b"\x00", partition=PARTITION)
    elsewhere = (PARTITION + 1) % PARTITIONS
    here.send_raw(
        topics.UNDERLYING,
        b'{"product":"NIFTY","ts_ms":%d,"price":1.5}' % (OPEN_MS + 900_000),
        partition=elsewhere,
    )
    here.producer.flush()
    here.worker("latest")
    here.wait_until_read("latest")
    assert here.json(redis_keys.underlying("NIFTY"))["price"] == 24_500.0


def test_a_single_foreign_tick_is_taken(here: World) -> None:
    here.send_raw(
        topics.UNDERLYING,
        b'{"product":"NIFTY","ts_ms":%d,"price":24001.5}' % OPEN_MS,
        partition=PARTITION,
    )
    here.producer.flush()
    here.worker("latest")
    here.wait_until_read("latest")
    assert here.json(redis_keys.underlying("NIFTY"))["price"] == 24_001.5


@pytest.mark.timeout(600)
def test_an_outage_of_redis_is_sat_out_and_nothing_is_lost(addresses: Any) -> None:
    with behind_a_proxy(addresses) as (here, proxy):
        worker = here.worker("latest")
        here.send(topics.UNDERLYING, frame(0, 10))
        here.wait_until_read("latest")
        proxy.cut()
        here.send(topics.UNDERLYING, frame(10, 10))
        here.send(topics.CHAIN, chain(4))
        time.sleep(8)  # longer than the session: membership must not end
        assert here.lag("latest") == 2
        proxy.join()
        here.wait_until_read("latest", 180)
        assert here.json(redis_keys.underlying("NIFTY"))["seq"] == 19
        assert here.json(redis_keys.chain("NIFTY", "2025-10-28")) is not None
        assert worker.poll() is None


def _keys(here: World) -> dict[bytes, Any]:
    return {key: here.redis.dump(key) for key in here.redis.scan_iter(here.namespace.redis("*"))}


def test_an_emptied_redis_is_filled_again_without_any_new_input(here: World) -> None:
    here.send(topics.UNDERLYING, frame(0, 10))
    here.send(topics.CHAIN, chain(4))
    worker = here.worker("latest")
    here.wait_until_read("latest")
    before = set(_keys(here))
    here.redis.delete(*before)
    wait_for(lambda: set(_keys(here)) == before, 30, "the same keys")
    assert here.json(redis_keys.underlying("NIFTY"))["seq"] == 9
    assert worker.poll() is None


def test_a_redis_that_came_back_from_an_older_copy_is_brought_up_to_date(here: World) -> None:
    here.send(topics.UNDERLYING, frame(0, 10))
    here.worker("latest")
    here.wait_until_read("latest")
    copy = _keys(here)
    here.send(topics.UNDERLYING, frame(10, 10))
    here.wait_until_read("latest")
    assert here.json(redis_keys.underlying("NIFTY"))["seq"] == 19
    with here.redis.pipeline() as pipe:
        for key, value in copy.items():
            pipe.restore(key, 0, value, replace=True)
        pipe.execute()
    newest = redis_keys.underlying("NIFTY")
    wait_for(lambda: here.json(newest)["seq"] == 19, 30, "the newest tick")


def _assigned(partition: int, topic_id: str = "id", asked: int | None = None) -> Assigned:
    return Assigned(topics.UNDERLYING, Topic("t", topic_id, 2), partition, asked)


def _move(client: redis.Redis, positions: Positions, to: dict[tuple[str, int], int]) -> None:
    write_newer(client, [], {}, positions.plan_moves(to))
    positions.note_moved(to)


def test_positions_go_on_where_they_were_and_give_way_to_a_hand_and_to_a_new_topic(
    here: World,
) -> None:
    positions = Positions(here.redis, here.namespace.redis(redis_keys.POSITIONS))
    assert positions.start_partitions([_assigned(0), _assigned(1)]) == {("t", 0): -2, ("t", 1): -2}
    _move(here.redis, positions, {("t", 0): 42})
    again = Positions(here.redis, here.namespace.redis(redis_keys.POSITIONS))
    assert again.start_partitions([_assigned(0), _assigned(1, asked=7)]) == {
        ("t", 0): 42,
        ("t", 1): 7,
    }
    assert again.start_partitions([_assigned(0, "anew")]) == {("t", 0): -2}


def test_positions_that_another_moved_are_not_moved_on(here: World) -> None:
    key = here.namespace.redis(redis_keys.POSITIONS)
    frozen, successor = Positions(here.redis, key), Positions(here.redis, key)
    frozen.start_partitions([_assigned(0), _assigned(1)])
    successor.start_partitions([_assigned(0), _assigned(1)])
    _move(here.redis, successor, {("t", 1): 11})
    with pytest.raises(StartAgain, match="t/1"):
        _move(here.redis, frozen, {("t", 0): 4, ("t", 1): 4})
    successor.check_stored()
    with pytest.raises(StartAgain, match="t/1"):
        frozen.check_stored()
    here.redis.delete(key)
    with pytest.raises(StartAgain):
        successor.check_stored()


def test_values_and_positions_are_written_together_or_not_at_all(here: World) -> None:
    key = here.namespace.redis(redis_keys.POSITIONS)
    positions = Positions(here.redis, key)
    positions.start_partitions([_assigned(0)])
    name, index = here.namespace.redis("v"), here.namespace.redis("i")
    many = [Entry(f"{name}{number}", "1", b"one") for number in range(600)]
    moves = positions.plan_moves({("t", 0): 3})
    assert write_newer(here.redis, many, {index: {"a": 5, "b": 6}}, moves) == 600
    assert here.redis.hget(key, "t/0") == b"id 3"
    assert here.redis.zrange(index, 0, -1, withscores=True) == [(b"a", 5.0), (b"b", 6.0)]
    write_newer(here.redis, [], {index: {"a": 4, "b": 1_700_000_000_123}})
    assert here.redis.zscore(index, "a") == 5.0
    assert here.redis.zscore(index, "b") == 1_700_000_000_123.0
    with pytest.raises(StartAgain, match="t/0"):  # it has moved on: nothing of this is written
        write_newer(here.redis, [Entry(f"{name}0", "2", b"two")], {index: {"a": 9}}, moves)
    assert here.redis.get(f"{name}0") == b"one"
    assert here.redis.zscore(index, "a") == 5.0


def test_positions_stay_where_they_are_while_values_cannot_be_written(here: World) -> None:
    key = here.namespace.redis(redis_keys.POSITIONS)
    positions = Positions(here.redis, key)
    positions.start_partitions([_assigned(0)])
    name = here.namespace.redis("w")
    many = [Entry(f"{name}{number}", "1", b"one") for number in range(600)]
    # The guard of one of the first is no text: its call fails, as one would in a full Redis.
    here.redis.lpush(f"{name}7:version", "x")
    with pytest.raises(redis.ResponseError):
        write_newer(here.redis, many, {}, positions.plan_moves({("t", 0): 3}))
    assert here.redis.hget(key, "t/0") == b"id -2"


def test_a_stop_while_redis_is_away_commits_nothing_that_was_not_written(addresses: Any) -> None:
    with behind_a_proxy(addresses) as (here, proxy):
        worker = here.worker("latest")
        here.send(topics.UNDERLYING, frame(0, 10))
        here.wait_until_read("latest")
        proxy.cut()
        here.send(topics.UNDERLYING, frame(10, 10))
        time.sleep(1.0)  # it has read the record and cannot write it
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(20) == 0
        assert here.lag("latest") == 1
        proxy.join()
        here.worker("latest")
        here.wait_until_read("latest", 180)
        assert here.json(redis_keys.underlying("NIFTY"))["seq"] == 19


@pytest.mark.timeout(600)
def test_partitions_that_were_paused_when_they_were_taken_away_are_read_when_they_come_back(
    addresses: Any,
) -> None:
    with behind_a_proxy(addresses) as (here, proxy):
        here.worker("latest")
        here.send(topics.UNDERLYING, frame(0, 10))
        here.wait_until_read("latest")
        proxy.cut()
        here.send(topics.UNDERLYING, frame(10, 10))
        time.sleep(1.0)  # it waits for Redis, all of its partitions paused
        here.addresses = addresses
        here.worker("latest", "2")  # reaches Redis; what the first keeps goes away and comes back
        group = here.namespace.group("latest")

        def shared() -> bool:
            found = here.admin.describe_consumer_groups([group])[group].result(timeout=30)
            return [bool(one.assignment.topic_partitions) for one in found.members] == [True, True]

        wait_for(shared, 60, "two members with partitions")
        proxy.join()
        here.wait_until_read("latest", 180)
        assert here.json(redis_keys.underlying("NIFTY"))["seq"] == 19
