"""Ticks at a live pace, one a record: what share of a core each sink needs, and how late it is.

Records leave on a schedule that does not wait for anybody. Both sinks run at once, from the same
topic; when the last record has left, what a sink has written is compared with what was sent.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import islice
from pathlib import Path

import psutil
from confluent_kafka import Producer

from optionstream.deploy.namespaces.catalogue import drop_namespace
from optionstream.deploy.namespaces.topics import ensure_topics
from optionstream.deploy.stack import Addresses
from optionstream.schemas.settings import Settings
from optionstream.schemas.topics import UNDERLYING, Namespace
from tests.bench.inputs import records_of
from tests.bench.live import BEAT_S, Sent, cpu_s, send, sent_record
from tests.bench.report import Result
from tests.bench.worker import metric, running_worker

TICKS_A_SECOND = 10_000
_WARM_UP_S = 5.0
_START_S = 60.0
_LEAST_PACE = 0.98
"""Of the scheduled rate; below it the sender was late and the figures say little."""
_UNITS = {
    "history": 'optionstream_sink_rows_total{group="history",kind="tick"',
    "latest": 'optionstream_sink_records_total{group="latest"',
}
"""What counts each tick: a row of its own, or a record read. What ``latest`` has read is in Redis
before it reads on."""


def sinks_live(
    addresses: Addresses, settings: Settings, folder: Path, seconds: float
) -> list[Result]:
    """Send for ``seconds`` and watch both sinks take it."""
    namespace = Namespace.parse("bench-sinks")
    ensure_topics(addresses.kafka, namespace, settings)
    producer = Producer({"bootstrap.servers": addresses.kafka, "acks": "all", "linger.ms": 5})
    feed = _batches(int((seconds + _WARM_UP_S) * TICKS_A_SECOND))
    with ExitStack() as stack:
        workers = {
            group: stack.enter_context(
                running_worker(group, namespace, addresses, settings, folder / f"{group}.log")
            )
            for group in _UNITS
        }
        watched = {group: psutil.Process(one[0].pid) for group, one in workers.items()}
        warm_up = islice(feed, int(_WARM_UP_S / BEAT_S))
        sent = send(producer, namespace, settings, warm_up, BEAT_S)
        _await({group: one[1] for group, one in workers.items()}, sent)
        before = {group: cpu_s(one) for group, one in watched.items()}
        started = time.perf_counter()
        sent += send(producer, namespace, settings, islice(feed, int(seconds / BEAT_S)), BEAT_S)
        passed = time.perf_counter() - started
        written = {group: metric(workers[group][1], unit) for group, unit in _UNITS.items()}
        used = {group: cpu_s(one) - before[group] for group, one in watched.items()}
    drop_namespace(addresses, namespace.name, settings)
    pace = seconds / passed
    name = f"ticks sent to the sinks, of {TICKS_A_SECOND:,} a second"
    results = [Result(name, "of 1", pace, 1.0, _LEAST_PACE, pace >= _LEAST_PACE)]
    for group, done in written.items():
        name = f"{group} at {TICKS_A_SECOND:,} ticks/s"
        share, behind_s = used[group] / passed, max(0.0, sent - done) / TICKS_A_SECOND
        results += [
            Result(f"{name}, of a core", "cores", share, 1.0, 1.0, share <= 1.0),
            Result(f"{name}, behind", "s", behind_s, 1.0, 1.0, behind_s <= 1.0),
        ]
    return results


def _await(ports: dict[str, int], sent: int) -> None:
    """Until the workers are up and have written what was sent: none begins with a backlog."""
    deadline = time.perf_counter() + _START_S
    while any(metric(port, _UNITS[group]) < sent for group, port in ports.items()):
        if time.perf_counter() > deadline:
            raise RuntimeError(f"the sinks did not take {sent:,} ticks within {_START_S:g} s")
        time.sleep(0.2)


def _batches(ticks: int) -> Iterator[list[Sent]]:
    """What goes out at each beat."""
    records = records_of(ticks, 1)
    while batch := list(islice(records, int(TICKS_A_SECOND * BEAT_S))):
        yield [sent_record(UNDERLYING, record) for record in batch]
