"""A reader in a process of its own: what could be read, and when.

``python -m tests.bench.latency_read kafka ADDRESS TOPIC…`` polls the topics from their beginning,
``pubsub URL CHANNEL…`` subscribes, ``keys URL KEY…`` reads the keys each time Redis tells that
one of them was set. Says ``ready``, reads until its input ends, then prints one JSON row a value:
``[name, value, seconds]``, by the clock that all processes of a machine share
(``time.monotonic``). Nothing is decoded meanwhile, so that reading costs little.
"""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import msgspec
import redis
from confluent_kafka import Consumer, TopicPartition

Seen = list[tuple[str, bytes, float]]

_LOOK_S = 0.1


def read_kafka(address: str, topics: Sequence[str], stop: threading.Event) -> Seen:
    """Bare ``poll``; each record at the time it was returned."""
    consumer = Consumer(
        {"bootstrap.servers": address, "group.id": "bench-latency", "enable.auto.commit": False}
    )
    places = [
        TopicPartition(topic, partition, 0)
        for topic in topics
        for partition in consumer.list_topics(topic, 10).topics[topic].partitions
    ]
    consumer.assign(places)
    seen: Seen = []
    _ready()
    while not stop.is_set():
        message = consumer.poll(_LOOK_S)
        if message is not None and message.error() is None:
            seen.append((message.topic() or "", message.value() or b"", time.monotonic()))
    consumer.close()
    return seen


def read_pubsub(url: str, channels: Sequence[str], stop: threading.Event) -> Seen:
    """Each message at the time the subscriber had it."""
    follower = redis.Redis.from_url(url).pubsub(ignore_subscribe_messages=True)
    follower.subscribe(*channels)
    seen: Seen = []
    _ready()
    while not stop.is_set():
        message = follower.get_message(timeout=_LOOK_S)
        if message is not None:
            seen.append((message["channel"].decode(), message["data"], time.monotonic()))
    return seen


def read_keys(url: str, keys: Sequence[str], stop: threading.Event) -> Seen:
    """Each new value at the time ``MGET`` had returned it: after the notification, so not before
    it could be read, and at most a round trip later."""
    client = redis.Redis.from_url(url)
    follower = client.pubsub(ignore_subscribe_messages=True)
    follower.psubscribe(*(f"__keyspace@*__:{key}" for key in keys))
    seen: Seen = []
    held: list[Any] = [None] * len(keys)
    _ready()
    while not stop.is_set():
        if follower.get_message(timeout=_LOOK_S) is None:
            continue
        while follower.get_message() is not None:
            pass  # of the same write
        values: list[Any] = client.mget(keys)
        now = time.monotonic()
        for key, value, before in zip(keys, values, held, strict=True):
            if value is not None and value != before:
                seen.append((key, value, now))
        held = values
    return seen


READERS: dict[str, Callable[[str, Sequence[str], threading.Event], Seen]] = {
    "kafka": read_kafka,
    "pubsub": read_pubsub,
    "keys": read_keys,
}


@contextmanager
def reader(kind: str, address: str, names: Iterable[str]) -> Iterator[Seen]:
    """A reader's process; what it saw is in the list when the block has ended."""
    argv = [sys.executable, "-m", "tests.bench.latency_read", kind, address, *names]
    process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout is not None
    seen: Seen = []
    try:
        if process.stdout.readline() != b"ready\n":
            raise RuntimeError(f"the reader of {kind} did not start")
        yield seen
        told, _ = process.communicate(b"", 60)
    except BaseException:
        process.kill()
        process.wait()
        raise
    rows = (msgspec.json.decode(line, type=tuple[str, str, float]) for line in told.splitlines())
    seen += [(name, value.encode(), at) for name, value, at in rows]


def _ready() -> None:
    print("ready", flush=True)


def _await_end(stop: threading.Event) -> None:
    sys.stdin.read()
    stop.set()


if __name__ == "__main__":
    kind, address, *names = sys.argv[1:]
    stop = threading.Event()
    threading.Thread(target=_await_end, args=[stop], daemon=True).start()
    for name, value, at in READERS[kind](address, names, stop):
        print(msgspec.json.encode([name, value.decode(), at]).decode())
