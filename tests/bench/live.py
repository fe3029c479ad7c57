"""A live load at its own pace: what share of a core the analytics worker needs for it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import count, islice
from pathlib import Path
from typing import NamedTuple

import msgspec
import psutil
from confluent_kafka import Producer

from optionstream.deploy.namespaces.topics import ensure_topics
from optionstream.deploy.stack import Addresses
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
from tests.bench.inputs import records_of, session_ticks
from tests.bench.worker import metric, running_worker

TICKS_A_SECOND = 1_000
CHAINS_A_SECOND = 100
LEGS = 82
BEAT_S = 0.01
_WARM_UP_S = 5.0
_CHAINS_MADE = 2_000
_RECORDS = "optionstream_analytics_records_total"


class Sent(NamedTuple):
    """A record for ``base`` (the topic without its namespace); ``number`` is its order number."""

    base: str
    product: str
    number: int
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
    feed = batches(session_ticks(TICKS_A_SECOND), TICKS_A_SECOND, BEAT_S)
    warm_up = islice(feed, int(_WARM_UP_S / BEAT_S))
    with running_worker("analytics", namespace, addresses, settings, log) as (process, port):
        watched = psutil.Process(process.pid)
        sent = send(producer, namespace, settings, warm_up, BEAT_S)
        before, started = cpu_s(watched), time.perf_counter()
        sent += send(producer, namespace, settings, islice(feed, int(seconds / BEAT_S)), BEAT_S)
        used, passed = cpu_s(watched) - before, time.perf_counter() - started
        behind = sent - int(metric(port, _RECORDS))
    return Load(used / passed, behind)


def send(
    producer: Producer,
    namespace: Namespace,
    settings: Settings,
    feed: Iterable[list[Sent]],
    beat_s: float,
    note: Callable[[Sent, float, float], None] | None = None,
) -> int:
    """One batch a beat, each at its time; a late one is sent at once. Returns the records sent.

    ``note`` is told each record, when it was to be sent and when it was, by ``time.monotonic``.
    """
    sent, start = 0, time.monotonic()
    for beat, batch in enumerate(feed):
        due = start + beat * beat_s
        time.sleep(max(0.0, due - time.monotonic()))
        for record in batch:
            producer.produce(
                namespace.topic(record.base),
                key=record.key,
                value=record.value,
                partition=partition_for(record.product, settings.partitions),
                headers=list(record.headers),
            )
            if note is not None:
                note(record, due, time.monotonic())
        sent += len(batch)
        producer.poll(0)
    producer.flush(10)
    return sent


def cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def batches(ticks: int, ticks_a_second: int, beat_s: float) -> Iterator[list[Sent]]:
    """What goes out at each beat: of a session of ``ticks`` ticks, and of the chains."""
    single, chains = records_of(ticks, 1), _chains()
    for beat in count():
        passed_s, next_s = beat * beat_s, (beat + 1) * beat_s
        yield [
            *(
                sent_record(UNDERLYING, one)
                for one in islice(single, _due(ticks_a_second, passed_s, next_s))
            ),
            *(
                sent_record(OPTION_CHAIN, one)
                for one in islice(chains, _due(CHAINS_A_SECOND, passed_s, next_s))
            ),
        ]


def _due(a_second: int, passed_s: float, next_s: float) -> int:
    """How many of ``a_second`` fall between two instants; rounded, so that none is lost."""
    return round(a_second * next_s) - round(a_second * passed_s)


def sent_record(base: str, record: TickFrame | Tick | ChainSnapshot) -> Sent:
    product = record.product
    key = chain_key(product, record.expiry) if isinstance(record, ChainSnapshot) else product
    value, headers = codec.encode(record), codec.headers_for(record)
    number = record.seq if isinstance(record.seq, int) else 0
    return Sent(base, product, number, key, value, headers)


def _chains() -> Iterator[ChainSnapshot]:
    """Chains of the simulated market, numbered anew each time they come round."""
    config = SimulationConfig(seed=7, date="2026-01-06", strikes_per_chain=LEGS // 2)
    events = SimulatedMarket(config).events()
    found = list(islice((one for one in events if isinstance(one, ChainSnapshot)), _CHAINS_MADE))
    for number in count(1):
        chain = found[number % len(found)]
        yield msgspec.structs.replace(chain, seq=number, session="bench")
