"""The publisher against a real broker: where records lie, and that no failure is silent."""

from __future__ import annotations

import time
import uuid
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from confluent_kafka import Consumer, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic
from msgspec import structs

from optionstream.deploy.stack import Addresses
from optionstream.producers.kafka.publish_all import publish
from optionstream.producers.kafka.publisher import Publisher
from optionstream.producers.kafka.settings import PublisherSettings
from optionstream.producers.simulated import SimulatedMarket, SimulationConfig
from optionstream.schemas import codec
from optionstream.schemas.errors import DeliveryError, NamespaceError, ServerUnavailable
from optionstream.schemas.events import ChainSnapshot, Heartbeat, Legs, MarketEvent, TickFrame
from optionstream.schemas.topics import (
    MARKET_TOPICS,
    OPTION_CHAIN,
    UNDERLYING,
    Namespace,
    partition_for,
)
from optionstream.streams.kafka.admin import partition_counts

pytestmark = pytest.mark.server

PARTITIONS = 6
NOON = 1_767_681_000_000  # 2026-01-06 12:00 IST
BEAT = Heartbeat("NIFTY", "test", NOON, NOON)
FRAME = TickFrame("NIFTY", "test", "s", NOON + 7, [NOON, NOON + 7], [26000.0, 26000.05], [1, 2])
_LEGS = Legs([1.0], [0.0], [2.0], [12.5], [3.0], [2.95], [3.05])
CHAIN = ChainSnapshot(
    "NIFTY", "2026-01-13", "test", NOON, NOON + 3, "lots", [26000.0], _LEGS, _LEGS
)
SMALL = {"max.message.bytes": "2000"}


class Broker:
    """What the tests ask of Kafka beside the publisher."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.admin = AdminClient({"bootstrap.servers": address, "log_level": 0})

    def namespace(self, **config: str) -> Namespace:
        """A new namespace with its two market topics."""
        namespace = Namespace(f"pub-{uuid.uuid4().hex[:8]}")
        names = [namespace.topic(name) for name in MARKET_TOPICS]
        made = self.admin.create_topics([NewTopic(n, PARTITIONS, 1, config=config) for n in names])
        for future in made.values():
            future.result(30)
        # Kafka answers when the controller has made them: a broker may hear of it a moment later.
        until_s = time.monotonic() + 30
        while not set(names) <= set(partition_counts(self.admin)):
            assert time.monotonic() < until_s, "new topics do not appear"
            time.sleep(0.05)
        return namespace

    def messages(self, topic: str, count: int) -> list[Message]:
        """The first ``count`` records of a topic, and that there are no more."""
        consumer = Consumer({"bootstrap.servers": self.address, "group.id": uuid.uuid4().hex})
        try:
            consumer.assign([TopicPartition(topic, n, 0) for n in range(PARTITIONS)])
            found: list[Message] = []
            while len(found) < count:
                message = consumer.poll(20)
                assert message is not None, f"{len(found)} of {count} records"
                assert message.error() is None
                found.append(message)
            assert consumer.poll(0.3) is None
            return found
        finally:
            consumer.close()


@pytest.fixture(scope="module")
def broker(addresses: Addresses) -> Broker:
    return Broker(addresses.kafka)


@pytest.fixture
def namespace(broker: Broker) -> Namespace:
    return broker.namespace()


def _publisher(broker: Broker, namespace: Namespace, **settings: Any) -> Publisher:
    return Publisher(
        broker.address, namespace, allow_live=False, settings=PublisherSettings(**settings)
    )


def _frames(ticks: int, count: int) -> Iterator[TickFrame]:
    for n in range(count):
        stamps = [NOON + n] * ticks
        yield TickFrame("NIFTY", "test", "s", NOON + n, stamps, [1.0] * ticks, list(range(ticks)))


def _publish_and_raise(publisher: Publisher, event: MarketEvent, error: BaseException) -> None:
    with publisher:
        publisher.publish(event)
        raise error


def _publish_until_it_fails(publisher: Publisher) -> None:
    # A broker may go on acknowledging for a moment after it has answered that the topic is gone.
    for _ in range(300):
        publisher.publish(BEAT)
        publisher.flush()
        time.sleep(0.1)


def _large_frame() -> TickFrame:
    """Random enough that compression does not make it small."""
    config = SimulationConfig(seed=1, date="2026-01-06", products=("NIFTY",), frame_ms=10**8)
    events = SimulatedMarket(replace(config, heartbeat_every_s=100_000)).events()
    return next(event for event in events if isinstance(event, TickFrame))


def test_nothing_is_lost_in_topics_that_were_made_a_moment_before(broker: Broker) -> None:
    """Requests to a partition without its leader yet can be acknowledged and lost: now and then."""
    products = ["NIFTY", "BANKNIFTY", "FINNIFTY", "SENSEX"]
    for _ in range(8):
        namespace = broker.namespace()
        with _publisher(broker, namespace, linger_ms=1) as publisher:
            for _ in range(30):
                for product in products:
                    publisher.publish(structs.replace(BEAT, product=product))
                time.sleep(0.001)
        assert publisher.stats.delivered == 120
        assert len(broker.messages(namespace.topic(UNDERLYING), 120)) == 120


@pytest.mark.parametrize(
    ("event", "topic", "key"),
    [
        (FRAME, UNDERLYING, b"NIFTY"),
        (BEAT, UNDERLYING, b"NIFTY"),
        (CHAIN, OPTION_CHAIN, b"NIFTY:2026-01-13"),
    ],
)
def test_a_record_has_the_topic_key_header_time_and_partition_of_its_event(
    broker: Broker, namespace: Namespace, event: MarketEvent, topic: str, key: bytes
) -> None:
    with _publisher(broker, namespace) as publisher:
        publisher.publish(event)
    (message,) = broker.messages(namespace.topic(topic), 1)
    value, headers = message.value(), message.headers()
    assert message.key() == key
    assert codec.decode(value, headers) == event  # type: ignore[arg-type]
    assert message.timestamp()[1] == event.ts_recv
    assert message.partition() == partition_for("NIFTY", PARTITIONS)
    assert publisher.stats.delivered == publisher.stats.records == 1
    assert publisher.stats.bytes == len(value or b"")


def test_partitions_are_those_of_kafkas_java_hash_of_the_product(
    broker: Broker, namespace: Namespace
) -> None:
    products = [
        "NIFTY",
        "BANKNIFTY",
        "FINNIFTY",
        "SENSEX",
        "M&M",
        "X",
        *(f"P{n}" for n in range(40)),
    ]
    with _publisher(broker, namespace) as publisher:
        for product in products:
            publisher.publish(Heartbeat(product, "test", NOON, NOON))
            publisher.publish(structs.replace(CHAIN, product=product))
    reference = broker.namespace()
    java = Producer({"bootstrap.servers": broker.address, "partitioner": "murmur2_random"})
    for product in products:
        java.produce(reference.topic(UNDERLYING), key=product.encode(), value=b"")
    assert java.flush(30) == 0

    def places(of: Namespace, topic: str) -> dict[str, int | None]:
        found = broker.messages(of.topic(topic), len(products))
        return {(m.key() or b"").decode().partition(":")[0]: m.partition() for m in found}

    expected = places(reference, UNDERLYING)
    assert places(namespace, UNDERLYING) == expected
    assert places(namespace, OPTION_CHAIN) == expected
    assert len(set(expected.values())) == PARTITIONS


def test_a_session_arrives_whole_and_in_order(broker: Broker, namespace: Namespace) -> None:
    config = SimulationConfig(seed=5, date="2026-01-06", frame_ms=2_000)
    config = replace(config, close_ms=config.open + 600_000)
    events = list(SimulatedMarket(config).events())
    with _publisher(broker, namespace) as publisher:
        stats = publish(events, publisher)
    sent: dict[tuple[str, int], list[MarketEvent]] = defaultdict(list)
    for event in events:
        topic = OPTION_CHAIN if isinstance(event, ChainSnapshot) else UNDERLYING
        sent[topic, partition_for(event.product, PARTITIONS)].append(event)
    for topic in (UNDERLYING, OPTION_CHAIN):
        count = sum(len(own) for (name, _), own in sent.items() if name == topic)
        arrived: dict[int | None, list[codec.Record]] = defaultdict(list)
        for message in broker.messages(namespace.topic(topic), count):
            arrived[message.partition()].append(
                codec.decode(message.value(), message.headers())  # type: ignore[arg-type]
            )
        assert arrived == {place: own for (name, place), own in sent.items() if name == topic}
    assert stats.records == stats.delivered == len(events)
    assert stats.records == stats.chains + stats.heartbeats + sum(
        isinstance(event, TickFrame) for event in events
    )


def test_a_full_local_queue_makes_publishing_wait_and_loses_nothing(
    broker: Broker, namespace: Namespace
) -> None:
    with _publisher(broker, namespace, queue_records=5, linger_ms=20) as publisher:
        stats = publish(_frames(3, 300), publisher)
    assert stats.retries_queue_full > 0
    assert stats.delivered == 300
    found = broker.messages(namespace.topic(UNDERLYING), 300)
    assert [message.timestamp()[1] for message in found] == [NOON + n for n in range(300)]


def test_a_record_that_the_broker_refuses_raises_at_flush_and_ever_after(broker: Broker) -> None:
    namespace = broker.namespace(**SMALL)
    publisher = _publisher(broker, namespace)
    publisher.publish(_large_frame())
    named = rf"{namespace.topic(UNDERLYING)}, key NIFTY: MSG_SIZE_TOO_LARGE"
    for act in (publisher.flush, lambda: publisher.publish(BEAT), publisher.close):
        with pytest.raises(DeliveryError, match=named):
            act()


def test_leaving_the_block_raises_a_failed_delivery(broker: Broker) -> None:
    with (
        pytest.raises(DeliveryError, match="key NIFTY"),
        _publisher(broker, broker.namespace(**SMALL)) as publisher,
    ):
        publisher.publish(_large_frame())


def test_the_error_of_the_block_goes_first_and_carries_the_failed_delivery(
    broker: Broker,
) -> None:
    publisher = _publisher(broker, broker.namespace(**SMALL))
    with pytest.raises(KeyError) as raised:
        _publish_and_raise(publisher, _large_frame(), KeyError("the block's own"))
    assert "MSG_SIZE_TOO_LARGE" in raised.value.__notes__[0]


def test_an_interrupted_block_still_delivers_what_was_published(
    broker: Broker, namespace: Namespace
) -> None:
    publisher = _publisher(broker, namespace, linger_ms=500)
    with pytest.raises(KeyboardInterrupt):
        _publish_and_raise(publisher, BEAT, KeyboardInterrupt())
    assert len(broker.messages(namespace.topic(UNDERLYING), 1)) == 1


def test_a_record_too_large_for_kafka_raises_at_once(broker: Broker, namespace: Namespace) -> None:
    huge = structs.replace(FRAME, session="x" * 17_000_000)
    with _publisher(broker, namespace) as publisher:
        with pytest.raises(DeliveryError, match=rf"{namespace.topic(UNDERLYING)}, key NIFTY"):
            publisher.publish(huge)
        publisher.publish(BEAT)
    assert publisher.stats.records == publisher.stats.delivered == 1


def test_a_stamp_that_the_topic_refuses_is_a_failed_delivery(broker: Broker) -> None:
    namespace = broker.namespace(**{"message.timestamp.after.max.ms": "3600000"})
    far = 4_102_444_800_000  # 2100
    with (
        pytest.raises(DeliveryError, match="INVALID_TIMESTAMP"),
        _publisher(broker, namespace) as publisher,
    ):
        publisher.publish(Heartbeat("NIFTY", "test", far, far))


def test_a_topic_deleted_underneath_is_a_failed_delivery(
    broker: Broker, namespace: Namespace
) -> None:
    publisher = _publisher(broker, namespace, delivery_timeout_ms=8_000, unknown_topic_ms=1_000)
    publisher.publish(BEAT)
    publisher.flush()
    for future in broker.admin.delete_topics([namespace.topic(UNDERLYING)]).values():
        future.result(30)
    with pytest.raises(DeliveryError, match=rf"{namespace.topic(UNDERLYING)}, key NIFTY"):
        _publish_until_it_fails(publisher)
    with pytest.raises(DeliveryError):
        publisher.close()


def test_a_namespace_without_topics_is_refused_and_not_made(broker: Broker) -> None:
    missing = Namespace(f"pub-{uuid.uuid4().hex[:8]}")
    with pytest.raises(NamespaceError, match=rf"{missing.topic(UNDERLYING)}.*optionstream up"):
        _publisher(broker, missing)
    assert missing.topic(UNDERLYING) not in broker.admin.list_topics(timeout=20).topics


def test_no_broker_is_one_error_that_names_the_address() -> None:
    with pytest.raises(ServerUnavailable, match=r"127\.0\.0\.1:1 .*optionstream up"):
        Publisher(
            "127.0.0.1:1",
            Namespace("nowhere"),
            allow_live=False,
            settings=PublisherSettings(metadata_timeout_s=1.0),
        )
