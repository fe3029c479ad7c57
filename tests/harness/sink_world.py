"""A namespace of its own on real servers, for server tests of sinks and the API."""

from __future__ import annotations

import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
import pymongo
import redis
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]

from optionstream.schemas import codec, topics
from optionstream.schemas.documents import Document
from optionstream.schemas.topics import Namespace, partition_for
from optionstream.streams.sinks.history.collections import database
from optionstream.streams.sinks.history.tick_reading import read_ticks

PARTITIONS = 3

_RUN = """
import sys
from importlib import import_module
from pathlib import Path
from optionstream.schemas.settings import Settings
from optionstream.schemas.topics import Namespace
from optionstream.streams.process import WorkerConfig
group, kafka, mongo, redis, namespace, instance, rows = sys.argv[1:]
settings = Settings(data_dir=Path("/nonexistent"), mongo_flush_rows=int(rows))
config = WorkerConfig(kafka, mongo, redis, Namespace.parse(namespace), settings, instance)
sys.exit(import_module(f"optionstream.streams.sinks.{group}.sink").run(config))
"""


class World:
    """Topics, a database and Redis keys that nobody else uses; ``addresses`` has ``kafka``,
    ``mongo`` and ``redis``."""

    def __init__(self, addresses: Any) -> None:
        self.addresses = addresses
        self.namespace = Namespace.parse(f"test-{uuid.uuid4().hex[:10]}")
        self.admin = AdminClient({"bootstrap.servers": addresses.kafka})
        self.producer = Producer({"bootstrap.servers": addresses.kafka, "linger.ms": 2})
        self.mongo: pymongo.MongoClient[Document] = pymongo.MongoClient(addresses.mongo)
        self.db = database(self.mongo, self.namespace)
        self.redis = redis.Redis.from_url(addresses.redis)
        self.workers: list[subprocess.Popen[bytes]] = []
        self.create_topics(topics.ALL_TOPICS)

    def create_topics(self, names: Iterable[str]) -> None:
        new = [NewTopic(self.namespace.topic(name), PARTITIONS, 1) for name in names]
        for future in self.admin.create_topics(new).values():
            future.result(timeout=30)

    def delete_topic(self, name: str) -> None:
        for future in self.admin.delete_topics([self.namespace.topic(name)]).values():
            future.result(timeout=30)

    def send(self, base: str, *records: Any) -> None:
        """Publish records under their own key, onto their product's partition; awaits delivery."""
        for record in records:
            key = record.product
            if base == topics.CHAIN:
                key = f"{record.product}:{record.expiry}"
            self.send_raw(
                base,
                codec.encode(record),
                key.encode(),
                partition_for(record.product, PARTITIONS),
                codec.headers_for(record),
            )
        self.producer.flush(30)

    def send_raw(
        self,
        base: str,
        value: bytes,
        key: bytes = b"NIFTY",
        partition: int = 0,
        headers: Any = None,
    ) -> None:
        self.producer.produce(
            self.namespace.topic(base), value, key, partition, headers=headers or []
        )

    def worker(
        self, group: str, instance: str = "1", rows: int = 20_000
    ) -> subprocess.Popen[bytes]:
        """Start a sink as a process of its own; ``close`` ends it if the test has not."""
        where = self.addresses
        process = subprocess.Popen(
            [
                sys.executable,
                "-c",
                _RUN,
                group,
                where.kafka,
                where.mongo,
                where.redis,
                self.namespace.name,
                instance,
                str(rows),
            ]
        )
        self.workers.append(process)
        return process

    def wait_until_read(self, group: str, timeout_s: float = 180) -> None:
        """Until the group has committed the end of each of its topics."""

        def done() -> bool:
            try:
                return self.lag(group) == 0
            except KafkaException:
                return False  # a topic made a moment ago may have no leader yet

        wait_for(done, timeout_s, f"{group} to read everything")

    def lag(self, group: str) -> int:
        """Records that the group has not committed."""
        names = [self.namespace.topic(base) for base in topics.GROUP_TOPICS[group]]
        parts = [TopicPartition(name, at) for name in names for at in range(PARTITIONS)]
        consumer = Consumer(
            {
                "bootstrap.servers": self.addresses.kafka,
                "group.id": self.namespace.group(group),
                "enable.auto.commit": False,
            }
        )
        try:
            total = 0
            for at in consumer.committed(parts, timeout=30):
                low, high = consumer.get_watermark_offsets(at, timeout=30)
                total += high - (at.offset if at.offset >= 0 else low)
            return total
        finally:
            consumer.close()

    def ticks(self, product: str = "NIFTY") -> list[int]:
        """The order numbers of the product's ticks as read, in the order of time."""
        return [row["seq"] for row in read_ticks(self.db, product)]

    def json(self, key: str) -> Any:
        value = self.redis.get(self.namespace.redis(key))
        return None if value is None else msgspec.json.decode(value)

    def close(self) -> None:
        for process in self.workers:
            if process.poll() is None:
                process.kill()
            process.wait(30)
        self.mongo.drop_database(self.namespace.mongo_db)
        self.mongo.close()
        for key in self.redis.scan_iter(self.namespace.redis("*"), count=1000):
            self.redis.delete(key)
        self.redis.close()
        there = [self.namespace.topic(name) for name in topics.ALL_TOPICS]
        for future in self.admin.delete_topics(there).values():
            future.exception(timeout=30)


@contextmanager
def world(addresses: Any) -> Iterator[World]:
    made = World(addresses)
    try:
        yield made
    finally:
        made.close()


def wait_for(condition: Callable[[], bool], timeout_s: float, what: str) -> None:
    until_s = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > until_s:
            raise AssertionError(f"waited {timeout_s} s for {what}")
        time.sleep(0.1)
