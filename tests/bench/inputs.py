"""The records that every contestant reads."""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import islice

from confluent_kafka import Producer

from optionstream.deploy.topics_admin import ensure_topics
from optionstream.schemas import codec
from optionstream.schemas.events import Tick, TickFrame
from optionstream.schemas.settings import Settings
from optionstream.schemas.topics import UNDERLYING, Namespace, partition_for

PRODUCTS = ("NIFTY", "BANKNIFTY", "FINNIFTY", "SENSEX")
OPEN_MS = 1_767_671_100_000
"""2026-01-06 09:15 IST."""
SESSION_MS = 22_500_000


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
    producer = Producer(
        {
            "bootstrap.servers": kafka,
            "acks": "all",
            "enable.idempotence": True,
            "linger.ms": 20,
            "compression.type": "lz4",
            "queue.buffering.max.messages": 500_000,
        }
    )
    topic, records = namespace.topic(UNDERLYING), 0
    for record in islice(records_of(ticks, frame_ticks), at_most):
        while True:
            try:
                producer.produce(
                    topic,
                    key=record.product,
                    value=codec.encode(record),
                    partition=partition_for(record.product, settings.partitions),
                    headers=codec.headers_for(record),
                )
                break
            except BufferError:
                producer.poll(0.1)
        records += 1
    if producer.flush(60):
        raise RuntimeError("the broker did not take the benchmark's input")
    return records


def records_of(ticks: int, frame_ticks: int) -> Iterator[TickFrame | Tick]:
    """The session, in event-time order; the same ticks in any packing."""
    rng = {product: random.Random(product) for product in PRODUCTS}
    each = ticks // len(PRODUCTS)
    price = dict.fromkeys(PRODUCTS, 20_000.0)
    for start in range(0, each, frame_ticks):
        count = min(frame_ticks, each - start)
        times = [OPEN_MS + (start + i) * SESSION_MS // each for i in range(count)]
        for product in PRODUCTS:
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
                    session="2026-01-06",
                    ts_recv=times[0],
                )
            else:
                yield TickFrame(
                    product=product,
                    source="bench",
                    session="2026-01-06",
                    ts_recv=times[-1],
                    ts_ms=times,
                    price=prices,
                    seq=numbers,
                    volume=list(volumes),
                )
