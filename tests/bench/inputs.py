"""The records that every contestant reads."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import NamedTuple

from confluent_kafka import KafkaError, Message, Producer

from optionstream.deploy.namespaces.topics import ensure_topics
from optionstream.schemas import codec
from optionstream.schemas.events import Tick, TickFrame
from optionstream.schemas.settings import Settings
from optionstream.schemas.topics import UNDERLYING, Namespace, partition_for

PRODUCTS = ("NIFTY", "BANKNIFTY", "FINNIFTY", "SENSEX")
SESSION_MS = 22_500_000


class Day(NamedTuple):
    """A trading day with an ordinary session."""

    date: str
    open_ms: int


FIRST_DAY = Day("2026-01-06", 1_767_671_100_000)
"""Opens at 09:15 IST."""


def session_ticks(ticks_a_second: int) -> int:
    """Ticks of all products in a session in which so many pass every second."""
    return ticks_a_second * SESSION_MS // 1_000


def publish_ticks(
    kafka: str,
    namespace: Namespace,
    settings: Settings,
    ticks: int,
    frame_ticks: int,
    at_most: int | None = None,
) -> int:
    """Publish a session of ``ticks`` ticks over four products; returns the number of records.

    Frames of ``frame_ticks``, or with 1 the one-tick JSON that foreign producers send; only the
    first ``at_most`` records, if given.
    """
    ensure_topics(kafka, namespace, settings)
    records = islice(records_of(ticks, frame_ticks), at_most)
    return publish(input_producer(kafka), namespace, settings, records)


def input_producer(kafka: str, **options: str) -> Producer:
    """The producer of the input; ``options`` are librdkafka's."""
    return Producer(
        {
            "bootstrap.servers": kafka,
            "acks": "all",
            "enable.idempotence": True,
            "linger.ms": 20,
            "compression.type": "lz4",
            "queue.buffering.max.messages": 500_000,
            **options,
        }
    )


def publish(
    producer: Producer,
    namespace: Namespace,
    settings: Settings,
    records: Iterable[TickFrame | Tick],
) -> int:
    """Publish records to the topics, which exist, until all are acknowledged; returns how many.

    RuntimeError when the broker did not take one.
    """
    topic, sent = namespace.topic(UNDERLYING), 0
    failed: list[str] = []

    def delivered(error: KafkaError | None, _: Message) -> None:
        if error is not None:
            failed.append(error.str())

    # A record for a partition that the client does not know of yet would be given up at once.
    producer.list_topics(topic, timeout=30)
    for record in records:
        while True:
            try:
                producer.produce(
                    topic,
                    key=record.product,
                    value=codec.encode(record),
                    partition=partition_for(record.product, settings.partitions),
                    headers=codec.headers_for(record),
                    on_delivery=delivered,
                )
                break
            except BufferError:
                producer.poll(0.1)
        sent += 1
    if producer.flush(60) or failed:
        why = failed[0] if failed else "no answer"
        raise RuntimeError(f"the broker did not take the benchmark's input: {why}")
    return sent


def records_of(
    ticks: int,
    frame_ticks: int,
    products: Sequence[str] = PRODUCTS,
    day: Day = FIRST_DAY,
    span_ms: int = SESSION_MS,
) -> Iterator[TickFrame | Tick]:
    """The session, or its first ``span_ms``, in event-time order; the same ticks in any packing."""
    rng = {product: random.Random(product) for product in products}
    each = ticks // len(products)
    price = dict.fromkeys(products, 20_000.0)
    for start in range(0, each, frame_ticks):
        count = min(frame_ticks, each - start)
        times = [day.open_ms + (start + i) * span_ms // each for i in range(count)]
        for product in products:
            prices = []
            for _ in range(count):
                price[product] = round(price[product] + rng[product].choice((-0.05, 0.0, 0.05)), 2)
                prices.append(price[product])
            numbers = list(range(start + 1, start + count + 1))
            volumes = [10 * number for number in numbers]
            if frame_ticks == 1:
                yield Tick(
                    product=product,
                    ts_ms=times[0],
                    price=prices[0],
                    volume=volumes[0],
                    seq=numbers[0],
                    source="bench",
                    session=day.date,
                    ts_recv=times[0],
                )
            else:
                yield TickFrame(
                    product=product,
                    source="bench",
                    session=day.date,
                    ts_recv=times[-1],
                    ts_ms=times,
                    price=prices,
                    seq=numbers,
                    volume=list(volumes),
                )
