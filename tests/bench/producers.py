"""Files into Kafka, beside a bare confluent-kafka loop and beside the worker that reads behind.

The bare loop has the same records encoded, addressed and in memory, and the same settings of the
client; it sends them and waits for the last acknowledgement. Memory is the peak of a process of
its own that reads a file to its end: ``python -m tests.bench.producers FILE`` prints it in bytes.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import NamedTuple

from confluent_kafka import Producer

from optionstream.deploy.namespaces.catalogue import drop_namespace
from optionstream.deploy.namespaces.topics import ensure_topics
from optionstream.deploy.stack import Addresses
from optionstream.producers.feeds import FeedHints, open_feed
from optionstream.producers.kafka.publish_all import publish
from optionstream.producers.kafka.publisher import Publisher, address_of
from optionstream.producers.kafka.settings import PublisherSettings
from optionstream.schemas import codec
from optionstream.schemas.events import MarketEvent, TickFrame
from optionstream.schemas.settings import Settings
from optionstream.schemas.topics import Namespace, partition_for
from tests.bench.files import PRODUCT, chain_bodies, session, trades
from tests.bench.report import Result, ratio
from tests.bench.worker import watch

HINTS = FeedHints(product=PRODUCT)
_MEMORY_TICKS = 500_000
_GROWTH = 1.15
_RECORDS = "optionstream_analytics_records_total"


class Ready(NamedTuple):
    """A record as the bare loop sends it, and how many ticks or chains are in it."""

    topic: str
    value: bytes
    key: bytes
    partition: int
    headers: list[tuple[str, bytes]]
    units: int


@dataclass(slots=True)
class Sent:
    """Units (ticks or chains) a second, by round."""

    ours: list[float] = field(default_factory=list)
    bare: list[float] = field(default_factory=list)
    read: list[float] = field(default_factory=list)
    """What the analytics worker took of the same records."""


def files_sent(
    addresses: Addresses, settings: Settings, folder: Path, ticks: int, rounds: int
) -> list[Result]:
    """Every kind of input: into Kafka by us, by the bare loop, and out again by the worker."""
    inputs = {
        "session": [session(folder / "bench.jsonl.zst", ticks)],
        "parquet": [trades(folder / "bench.parquet", ticks)],
        "json": chain_bodies(folder / "bodies", ticks // 5_000),
    }
    found = {kind: Sent() for kind in inputs}
    for turn in range(rounds):
        for kind, paths in inputs.items():
            _round(addresses, settings, folder, f"bench-{kind}-{turn}", paths, found[kind])
    ticks_sent, table, chains = found["session"], found["parquet"], found["json"]
    return [
        ratio("session file → Kafka, bare producer", ticks_sent.ours, ticks_sent.bare, 0.5),
        ratio("Parquet → Kafka, bare producer", table.ours, table.bare, 0.5),
        ratio("Parquet → Kafka, analytics behind it", table.ours, table.read, 1.0),
        ratio("JSON → Kafka, analytics behind it", chains.ours, chains.read, 1.0, "chains/s"),
    ]


def _round(
    addresses: Addresses,
    settings: Settings,
    folder: Path,
    name: str,
    paths: list[Path],
    into: Sent,
) -> None:
    namespace, other = Namespace.parse(name), Namespace.parse(f"{name}-bare")
    for one in (namespace, other):
        ensure_topics(addresses.kafka, one, settings)
    ready = [_ready(event, other, settings) for event in _events(paths)]
    units = sum(record.units for record in ready)
    into.bare.append(units / _bare_s(addresses.kafka, ready))
    into.ours.append(units / _ours_s(addresses.kafka, namespace, paths))
    log = folder / f"{name}.log"
    place = namespace, addresses, settings
    run = watch("analytics", *place, _RECORDS, len(ready), log)
    into.read.append(run.rate * units / len(ready))
    for one in (namespace, other):
        drop_namespace(addresses, one.name, settings)


def _ours_s(kafka: str, namespace: Namespace, paths: list[Path]) -> float:
    started = time.perf_counter()
    with Publisher(kafka, namespace, allow_live=False) as publisher:
        publish(_events(paths), publisher)
    return time.perf_counter() - started


def _ready(event: MarketEvent, namespace: Namespace, settings: Settings) -> Ready:
    base, key = address_of(event)
    partition = partition_for(event.product, settings.partitions)
    headers = list(codec.headers_for(event))
    units = len(event.ts_ms) if isinstance(event, TickFrame) else 1
    return Ready(
        namespace.topic(base), codec.encode(event), key.encode(), partition, headers, units
    )


def _bare_s(kafka: str, ready: list[Ready]) -> float:
    producer = Producer(PublisherSettings().configuration(kafka))
    started = time.perf_counter()
    for topic, value, key, partition, headers, _ in ready:
        while True:
            try:
                producer.produce(topic, value=value, key=key, partition=partition, headers=headers)
                break
            except BufferError:
                producer.poll(0.05)
        producer.poll(0)
    if producer.flush(60):
        raise RuntimeError("the broker did not take the bare loop's records")
    return time.perf_counter() - started


def _events(paths: Iterable[Path]) -> Iterable[MarketEvent]:
    for path in paths:
        yield from open_feed(path, HINTS).events()


def memory_growth(folder: Path, rounds: int) -> list[Result]:
    """Peak bytes of reading a file of ten times the ticks, beside those of the short one."""
    makers: dict[str, Callable[[Path, int], Path]] = {"session": session, "Parquet": trades}
    results = []
    for kind, make in makers.items():
        short = make(folder / f"short.{kind}", _MEMORY_TICKS)
        long = make(folder / f"long.{kind}", 10 * _MEMORY_TICKS)
        small = median(_peak_bytes(short) for _ in range(rounds))
        large = median(_peak_bytes(long) for _ in range(rounds))
        name, held = f"{kind} of ten times the ticks, peak", large <= _GROWTH * small
        results.append(Result(name, "bytes", large, small, _GROWTH, held))
    return results


def _peak_bytes(path: Path) -> int:
    argv = [sys.executable, "-m", "tests.bench.producers", str(path)]
    return int(subprocess.run(argv, check=True, capture_output=True, text=True).stdout)


def main(path: Path) -> None:
    """Read the file as a producer does, encoding each event, and print the peak of memory."""
    for event in open_feed(path, HINTS).events():
        codec.encode(event)
    print(_high_water_bytes())


def _high_water_bytes() -> int:
    """Of this program alone: what getrusage tells begins with the peak of whoever started it."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
