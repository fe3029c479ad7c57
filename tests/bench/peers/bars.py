"""The bars that a peer wrote, against those of the bare loop: all contestants did the same work."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
from confluent_kafka import Consumer, TopicPartition

Key = tuple[str, int]
"""Product and start of the minute, epoch milliseconds."""
Ohlc = tuple[float, float, float, float]
Parse = Callable[[bytes, Any], tuple[Key, Ohlc]]

_SILENCE_S = 30.0


def quix_bar(key: bytes, value: Any) -> tuple[Key, Ohlc]:
    """``{"start", "end", "open", "high", "low", "close"}``, keyed by product."""
    ohlc = (value["open"], value["high"], value["low"], value["close"])
    return (key.decode(), value["start"]), ohlc


def bytewax_bar(key: bytes, value: Any) -> tuple[Key, Ohlc]:
    """What ``bytewax_windows.record`` makes."""
    return (key.decode(), value["start"]), tuple(value["bar"])


def faust_bar(key: bytes, value: Any) -> tuple[Key, Ohlc]:
    """An entry of the changelog of a windowed table, keyed ``[product, [start, end]]``, seconds."""
    product, (start_s, _) = msgspec.json.decode(key)
    return (product, round(start_s * 1000)), tuple(value)


def written(kafka: str, topic: str, parse: Parse) -> dict[Key, Ohlc]:
    """The last value of each bar on ``topic``."""
    return dict(parse(key, msgspec.json.decode(value)) for key, value in _records(kafka, topic))


def compare(found: dict[Key, Ohlc], wanted: dict[Key, Ohlc]) -> int:
    """How many bars of ``found`` are as wanted; raises RuntimeError for one that is not.

    The latest bar of each product is left out: it may be half-built.
    """
    latest: dict[str, int] = {}
    for product, start in found:
        latest[product] = max(start, latest.get(product, 0))
    closed = {key: bar for key, bar in found.items() if key[1] < latest[key[0]]}
    for key, bar in closed.items():
        if wanted.get(key) != bar:
            raise RuntimeError(f"{key}: {bar}, the bare loop has {wanted.get(key)}")
    return len(closed)


def _records(kafka: str, topic: str) -> Iterator[tuple[bytes, bytes]]:
    """All records from the beginning of the topic to its present end."""
    consumer = Consumer({"bootstrap.servers": kafka, "group.id": f"{topic}-read"})
    try:
        partitions = consumer.list_topics(topic, 10).topics[topic].partitions
        ends = {}
        for partition in partitions:
            low, high = consumer.get_watermark_offsets(TopicPartition(topic, partition), 10)
            if low < high:
                ends[partition] = high
        consumer.assign([TopicPartition(topic, partition, 0) for partition in ends])
        heard = time.monotonic()
        while ends:
            for message in consumer.consume(1_000, 0.2):
                heard = time.monotonic()
                key, value = message.key(), message.value()
                partition, offset = message.partition(), message.offset()
                assert partition is not None and offset is not None
                if isinstance(key, bytes) and value is not None:
                    yield key, value
                if offset + 1 >= ends.get(partition, 0):
                    ends.pop(partition, None)
            if time.monotonic() - heard > _SILENCE_S:
                raise RuntimeError(f"no more records of {topic} within {_SILENCE_S:g} s")
    finally:
        consumer.close()
