"""A raw redis-py pipeline that sets the values which the ``latest`` sink sets.

The input is one analytics record for each of many expiries, so that nothing is conflated: every
record becomes a chain, its put-call ratios and an entry for each leg. The raw writer has keys and
values ready and sends them as plain ``SET`` commands, as many in one round trip as the sink writes
at a time. It neither reads Kafka nor compares versions nor publishes.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import date, timedelta
from itertools import cycle, islice
from pathlib import Path

import redis
from confluent_kafka import Producer
from msgspec.structs import replace

from optionstream.deploy.namespaces.catalogue import drop_namespace
from optionstream.deploy.namespaces.topics import ensure_topics
from optionstream.deploy.stack import Addresses
from optionstream.producers.simulated import SimulatedMarket, SimulationConfig
from optionstream.schemas import codec
from optionstream.schemas.derived import ChainAnalytics
from optionstream.schemas.events import ChainSnapshot
from optionstream.schemas.settings import Settings
from optionstream.schemas.topics import CHAIN, Namespace, chain_key, partition_for
from optionstream.streams.core.chains.analyse import ExpiryChains
from optionstream.streams.core.market.calendar import nse_calendar
from optionstream.streams.core.rules import Rules
from optionstream.streams.sinks.latest.newest import Batch
from tests.bench.worker import watch

LEGS = 82
_CHAINS_MADE = 200
_ROWS = 'optionstream_sink_rows_total{group="latest",kind="key"'
_FIRST_EXPIRY = date(2026, 1, 6)
_CHAINS_A_TRIP = 12
"""About a thousand values: a pipeline's usual size, and the sink's when it is behind."""


def latest_rates(
    addresses: Addresses, settings: Settings, folder: Path, chains: int, rounds: int
) -> tuple[list[float], list[float]]:
    """Values a second of the raw pipeline, and of the sink, which has to write each of them."""
    bare, ours = [], []
    records = list(analytics_records(chains))
    for turn in range(rounds):
        namespace = Namespace.parse(f"bench-latest-{turn}")
        publish_analytics(addresses.kafka, namespace, settings, records)
        written = written_by(namespace, records)
        bare.append(raw_set_rate(addresses.redis, written))
        log = folder / f"{namespace.name}.log"
        run = watch("latest", namespace, addresses, settings, _ROWS, len(written), log)
        ours.append(run.rate)
        drop_namespace(addresses, namespace.name, settings)
    return bare, ours


def analytics_records(count: int) -> Iterator[ChainAnalytics]:
    """Records of the simulated market's NIFTY, each under an expiry of its own."""
    config = SimulationConfig(
        seed=7, date="2026-01-06", products=("NIFTY",), strikes_per_chain=LEGS // 2
    )
    events = SimulatedMarket(config).events()
    chains = (one for one in events if isinstance(one, ChainSnapshot))
    rules, book = Rules(nse_calendar()), ExpiryChains()
    made = [book.analyse(one, rules, one.ts_recv) for one in islice(chains, _CHAINS_MADE)]
    for number, record in enumerate(islice(cycle(made), count)):
        yield replace(record, expiry=(_FIRST_EXPIRY + timedelta(days=number)).isoformat())


def publish_analytics(
    kafka: str, namespace: Namespace, settings: Settings, records: list[ChainAnalytics]
) -> None:
    """Put the records on the topic that the sink reads."""
    ensure_topics(kafka, namespace, settings)
    producer = Producer({"bootstrap.servers": kafka, "acks": "all", "compression.type": "lz4"})
    for record in records:
        producer.produce(
            namespace.topic(CHAIN),
            key=chain_key(record.product, record.expiry),
            value=codec.encode(record),
            partition=partition_for(record.product, settings.partitions),
            headers=list(codec.headers_for(record)),
        )
        producer.poll(0)
    if producer.flush(60):
        raise RuntimeError("the broker did not take the benchmark's input")


def written_by(namespace: Namespace, records: list[ChainAnalytics]) -> list[tuple[str, bytes]]:
    """Keys and values that the sink writes for the records, in their order."""
    found = []
    for record in records:
        batch = Batch(namespace)
        batch.add_chain(record)
        found += [(entry.key, entry.value) for entry in batch.entries()]
    return found


def raw_set_rate(url: str, written: list[tuple[str, bytes]]) -> float:
    """Values a second of the raw pipeline; the keys are taken away again."""
    size = _CHAINS_A_TRIP * (LEGS + 2)
    with redis.Redis.from_url(url) as client:
        started = time.perf_counter()
        for at in range(0, len(written), size):
            pipe = client.pipeline(transaction=False)
            for key, value in written[at : at + size]:
                pipe.set(key, value)
            pipe.execute()
        seconds = time.perf_counter() - started
        for at in range(0, len(written), size):
            client.delete(*(key for key, _ in written[at : at + size]))
    return len(written) / seconds
