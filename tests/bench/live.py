"""A live load at its own pace: what share of a core the analytics worker needs for it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count, islice
from pathlib import Path
from typing import NamedTuple

import msgspec
import psutil
from confluent_kafka import Producer

from optionstream.deploy.stack import Addresses
from optionstream.deploy.topics_admin import ensure_topics
from optionstream.producers.simulated import SimulatedMarket, SimulationConfig
from optionstream.schemas import codec
from optionstream.schemas.events import ChainSnapshot, Tick, TickFrame
from optionstream.schemas.settings import Settings
from optionstream.schemas.topics import (
    OPTION_CHAIN,
    UNDERLYING,
    Namespace,
    chain_key,
    partition_for,
)
from tests.bench.inputs import records_of
from tests.bench.worker import metric, running_worker

TICKS_A_SECOND = 1_000
CHAINS_A_SECOND = 100
LEGS = 82
BEAT_S = 0.01
_WARM_UP_S = 5.0
_CHAINS_MADE = 2_000
_RECORDS = "optionstream_analytics_records_total"


class Sent(NamedTuple):
    """A record for ``base`` (the topic without its namespace)."""

    base: str
    product: str
    key: str
    value: bytes
    headers: list[tuple[str, bytes]]


@dataclass(frozen=True, slots=True)
class Load:
    """Processor time of the worker over the wall time of the measured part; how many records it
    was behind at the end."""

    share: float
    behind: int


def live_load(
    addresses: Addresses, namespace: Namespace, settings: Settings, seconds: float, log: Path
) -> Load:
    """Send one-tick records and whole chains for ``seconds`` and watch one worker take them."""
    ensure_topics(addresses.kafka, namespace, settings)
    producer = Producer(
        {"bootstrap.servers": addresses.kafka, "acks": "all", "enable.idempotence": True}
    )
    feed = _batches(int((seconds + _WARM_UP_S) * TICKS_A_SECOND) + TICKS_A_SECOND)
    with running_worker("analytics", namespace, addresses, settings, log) as (process, port):
        watched = psutil.Process(process.pid)
        sent = send(producer, namespace, settings, feed, _WARM_UP_S)
        before, started = cpu_s(watched), time.perf_counter()
        sent += send(producer, namespace, settings, feed, seconds)
        used, passed = cpu_s(watched) - before, time.perf_counter() - started
        behind = sent - int(metric(port, _RECORDS))
    return Load(used / passed, behind)


def send(
    producer: Producer,
    namespace: Namespace,
    settings: Settings,
    feed: Iterator[list[Sent]],
    seconds: float,
) -> int:
    """One batch a beat, each at its time; a late one is sent at once. Returns the records sent."""
    sent, start = 0, time.perf_counter()
    for beat in range(int(seconds / BEAT_S)):
        time.sleep(max(0.0, start + beat * BEAT_S - time.perf_counter()))
        for base, product, key, value, headers in next(feed):
            producer.produce(
                namespace.topic(base),
                key=key,
                value=value,
                partition=partition_for(product, settings.partitions),
                headers=list(headers),
            )
            sent += 1
        producer.poll(0)
    producer.flush(10)
    return sent


def cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def _batches(ticks: int) -> Iterator[list[Sent]]:
    """What goes out at each beat."""
    single, chains = records_of(ticks, 1), _chains()
    while True:
        yield [
            *(sent_record(UNDERLYING, next(single)) for _ in range(int(TICKS_A_SECOND * BEAT_S))),
            *(
                sent_record(OPTION_CHAIN, next(chains))
                for _ in range(int(CHAINS_A_SECOND * BEAT_S))
            ),
        ]


def sent_record(base: str, record: TickFrame | Tick | ChainSnapshot) -> Sent:
    product = record.product
    key = chain_key(product, record.expiry) if isinstance(record, ChainSnapshot) else product
    return Sent(base, product, key, codec.encode(record), codec.headers_for(record))


def _chains() -> Iterator[ChainSnapshot]:
    """Chains of the simulated market, numbered anew each time they come round."""
    config = SimulationConfig(seed=7, date="2026-01-06", strikes_per_chain=LEGS // 2)
    events = SimulatedMarket(config).events()
    found = list(islice((one for one in events if isinstance(one, ChainSnapshot)), _CHAINS_MADE))
    for number in count(1):
        chain = found[number % len(found)]
        yield msgspec.structs.replace(chain, seq=number, session="bench")
