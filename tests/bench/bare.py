"""A bare confluent-kafka loop that computes the same 1-, 5- and 15-minute bars.

``python -m tests.bench.bare KAFKA TOPIC RECORDS frames|ticks`` prints ``{"ticks", "seconds",
"bars"}``: from the first record polled to the last one applied, and the 1-minute bars as rows of
product, start, open, high, low and close. No checks, no state, no output: what remains when
everything but the aggregation is left out.
"""

from __future__ import annotations

import json
import sys
import time
from bisect import bisect_left
from collections.abc import Callable
from typing import Any

import msgspec
from confluent_kafka import Consumer, Message, TopicPartition

from optionstream.schemas.events import Tick, TickFrame

MINUTE_MS = 60_000
Bars = dict[tuple[str, int], list[float]]
"""(product, start) → open, high, low, close, volume at the end, ticks."""


def apply_frame(bars: Bars, frame: TickFrame) -> int:
    """Minutes of a frame whose times rise."""
    times, prices, at = frame.ts_ms, frame.price, 0
    while at < len(times):
        start = times[at] // MINUTE_MS * MINUTE_MS
        stop = bisect_left(times, start + MINUTE_MS, at)
        part = prices[at:stop]
        volume = frame.volume[stop - 1] if frame.volume else 0
        _merge(bars, (frame.product, start), part[0], max(part), min(part), part[-1], len(part))
        bars[frame.product, start][4] = volume or 0
        at = stop
    return len(times)


def apply_tick(bars: Bars, tick: Tick) -> int:
    """One tick into its minute."""
    price = tick.price
    start = tick.ts_ms // MINUTE_MS * MINUTE_MS
    bar = bars.get((tick.product, start))
    if bar is None:
        bars[tick.product, start] = [price, price, price, price, tick.volume or 0, 1]
        return 1
    if price > bar[1]:
        bar[1] = price
    elif price < bar[2]:
        bar[2] = price
    bar[3] = price
    bar[4] = tick.volume or 0
    bar[5] += 1
    return 1


def _merge(
    bars: Bars,
    key: tuple[str, int],
    first: float,
    high: float,
    low: float,
    last: float,
    ticks: float,
) -> None:
    bar = bars.get(key)
    if bar is None:
        bars[key] = [first, high, low, last, 0, ticks]
        return
    bar[1], bar[2], bar[3] = max(bar[1], high), min(bar[2], low), last
    bar[5] += ticks


def roll_up(minutes: Bars, length_ms: int) -> Bars:
    """Longer windows from minutes, which come in rising order."""
    longer: Bars = {}
    for (product, start), (first, high, low, last, volume, ticks) in sorted(minutes.items()):
        key = (product, start // length_ms * length_ms)
        _merge(longer, key, first, high, low, last, ticks)
        longer[key][4] = volume
    return longer


def run(kafka: str, topic: str, records: int, kind: str) -> dict[str, Any]:
    """Read ``records`` records of ``topic`` from its beginning."""
    consumer = Consumer(
        {
            "bootstrap.servers": kafka,
            "group.id": "bench-bare",
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
        }
    )
    partitions = consumer.list_topics(topic, 10).topics[topic].partitions
    consumer.assign([TopicPartition(topic, partition, 0) for partition in partitions])
    decode = msgspec.json.Decoder(TickFrame if kind == "frames" else Tick).decode
    apply: Callable[[Bars, Any], int] = apply_frame if kind == "frames" else apply_tick
    bars: Bars = {}
    seen = ticks = 0
    started = None
    while seen < records:
        messages: list[Message] = consumer.consume(1_000, 0.2)
        if started is None and messages:
            started = time.perf_counter()
        for message in messages:
            value = message.value()
            assert value is not None and message.error() is None
            ticks += apply(bars, decode(value))
        seen += len(messages)
    for length_ms in (300_000, 900_000):
        roll_up(bars, length_ms)
    seconds = time.perf_counter() - (started or 0.0)
    consumer.close()
    rows = [[*key, *bar[:4]] for key, bar in bars.items()]
    return {"ticks": ticks, "seconds": seconds, "bars": rows}


if __name__ == "__main__":
    kafka, topic, records, kind = sys.argv[1:]
    print(json.dumps(run(kafka, topic, int(records), kind)))
