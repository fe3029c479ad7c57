"""Records on their way into the input topics of a namespace."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from confluent_kafka import KafkaException, Producer

from optionstream.schemas.topics import Namespace, partition_for
from tests.harness.seeded import Sent

if TYPE_CHECKING:
    from tests.harness.running import Running


class Stream:
    """Publishes in the background: evenly over ``over_s``, but never more than ``allow`` says.

    A context manager; what is left at its end goes out at once.
    """

    def __init__(self, world: Running, records: Sequence[Sent], over_s: float) -> None:
        self._world = world
        self._records = records
        self._a_second = len(records) / over_s
        self._allowed = 0
        self._sent = 0
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def allow(self, fraction: float) -> None:
        """So much of the input may be sent by now."""
        self._allowed = int(len(self._records) * fraction)

    def __enter__(self) -> Stream:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        self._thread.join()
        self._world.publish(self._records[self._sent :])
        self._world.flush()

    def _run(self) -> None:
        due = 0.0
        last_s = time.monotonic()
        while not self._ending.wait(0.02):
            now_s = time.monotonic()
            due = min(due + (now_s - last_s) * self._a_second, self._allowed)
            last_s = now_s
            if int(due) > self._sent:
                self._world.publish(self._records[self._sent : int(due)])
                self._sent = int(due)


def pause(rng: random.Random, low_s: float, high_s: float) -> None:
    time.sleep(rng.uniform(low_s, high_s))


def input_producer(kafka: str) -> Producer:
    """As a feed's. Silent: tests stop the broker, and what is not delivered is told elsewhere."""
    return Producer(
        {
            "bootstrap.servers": kafka,
            "acks": "all",
            "enable.idempotence": True,
            "linger.ms": 5,
            "compression.type": "lz4",
            "log_level": 0,
        }
    )


def produce(
    producer: Producer,
    namespace: Namespace,
    partitions: int,
    record: Sent,
    on_delivery: Callable[[Any, Any], None],
) -> None:
    """Hand one record over; waits while the client's queue is full."""
    partition = record.partition
    if partition is None:
        partition = partition_for(record.product, partitions)
    while True:
        try:
            producer.produce(
                namespace.topic(record.base),
                value=record.value,
                key=record.key,
                partition=partition,
                headers=list(record.headers),
                timestamp=record.timestamp,
                on_delivery=on_delivery,
            )
            return
        except BufferError:
            producer.poll(0.05)


def raise_undelivered(error: Any, message: Any) -> None:
    if error is not None:
        raise KafkaException(error)
