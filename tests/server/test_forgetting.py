"""What a reset of ``latest`` forgets, on a real Redis."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
import redis
from confluent_kafka import OFFSET_BEGINNING

from optionstream.deploy.stack import Addresses
from optionstream.schemas.redis_keys import GUARD_SUFFIX
from optionstream.schemas.topics import Namespace
from optionstream.streams.kafka.topic_ids import Topic
from optionstream.streams.sinks.latest.forgetting import forget_since, values_since
from optionstream.streams.sinks.latest.newer_wins import write_newer
from optionstream.streams.sinks.latest.newest import Batch
from optionstream.streams.sinks.latest.positions import Positions, forget_positions, set_positions
from optionstream.streams.sinks.loop.contract import Assigned, StartAgain
from tests.harness.records import OPEN_MS, bar, chain, frame, surface

pytestmark = pytest.mark.server


@pytest.fixture(params=["live", "f-one"])
def namespace(request: pytest.FixtureRequest) -> Namespace:
    return Namespace.parse(request.param)


@pytest.fixture
def client(addresses: Addresses) -> Iterator[redis.Redis]:
    """A Redis database that nobody else uses: live's keys have no prefix."""
    url = re.sub(r"/\d*$", "", addresses.redis) + "/7"
    with redis.Redis.from_url(url) as made:
        yield made
        made.flushdb()


def fill(client: redis.Redis, namespace: Namespace) -> set[str]:
    """Values of the open and of an hour later; the keys that have a value."""
    batch = Batch(namespace)
    batch.add_frame(frame(0, 1))
    batch.add_frame(frame(3_600, 1, product="SENSEX"))
    batch.add_bar(bar(0))
    batch.add_bar(bar(60, product="SENSEX"))
    batch.add_chain(chain(0))
    batch.add_surface(surface(1))
    batch.add_surface(surface(1, 60, product="SENSEX"))
    entries = batch.entries()
    write_newer(client, entries, batch.index_sets())
    return {entry.key for entry in entries}


def there(client: redis.Redis, namespace: Namespace) -> set[str]:
    families = ("latest:*", "ohlc:*", "volatility_surface:*")
    found = (key for family in families for key in client.scan_iter(match=namespace.redis(family)))
    return {key.decode() for key in found if not key.endswith(GUARD_SUFFIX.encode())}


def test_values_of_then_and_later_go_with_their_versions_and_the_others_stay(
    client: redis.Redis, namespace: Namespace
) -> None:
    keys = fill(client, namespace)
    late = {key for key in keys if "SENSEX" in key}
    moment = OPEN_MS + 3_600_000
    assert set(values_since(client, namespace, moment)) == late
    assert forget_since(client, namespace, moment) == len(late) == 3
    assert there(client, namespace) == keys - late
    assert not any(client.exists(key + GUARD_SUFFIX) for key in late)
    assert all(client.exists(key + GUARD_SUFFIX) for key in keys - late)
    products = client.zrange(namespace.redis("index:products"), 0, -1)
    assert products == [b"NIFTY"]


def test_from_the_beginning_nothing_stays_and_nothing_of_another_namespace_goes(
    client: redis.Redis, namespace: Namespace
) -> None:
    keys = fill(client, namespace)
    other = Namespace.parse("sim")
    others = fill(client, other)
    client.set("mine", b"1")
    assert forget_since(client, namespace, 0) == len(keys)
    assert there(client, namespace) == set()
    assert there(client, other) == others
    assert client.get("mine") == b"1"


def test_positions_set_from_outside_are_where_a_worker_begins_and_who_is_there_notices(
    client: redis.Redis,
) -> None:
    given = [Assigned("b", Topic("t", "id", 2), number) for number in (0, 1)]
    there = Positions(client, "p")
    assert set(there.start_partitions(given).values()) == {OFFSET_BEGINNING}
    moves = there.plan_moves({("t", 0): 5})
    write_newer(client, [], {}, moves)
    set_positions(client, "p", {("t", 0): 2}, {"t": "id"})
    with pytest.raises(StartAgain):
        there.check_stored()
    assert Positions(client, "p").start_partitions(given) == {
        ("t", 0): 2,
        ("t", 1): OFFSET_BEGINNING,
    }
    forget_positions(client, "p", [("t", 0)])
    assert Positions(client, "p").start_partitions(given)["t", 0] == OFFSET_BEGINNING
    set_positions(client, "p", {("t", 0): 2}, {"t": "of a former topic"})
    assert Positions(client, "p").start_partitions(given)["t", 0] == OFFSET_BEGINNING
