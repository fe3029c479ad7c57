"""Processor time and records of running analytics workers, looked at while they read."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import psutil

from tests.bench.peers.throughput import RECORDS_METRIC
from tests.bench.worker import metric

Worker = tuple[subprocess.Popen[bytes], int]
"""A process and the port of its metrics page."""
_LOOK_S = 0.02
_LONGEST_S = 300.0


class Look(NamedTuple):
    """One moment: wall time, processor time of all workers, records they have applied."""

    seconds: float
    processor_s: float
    records: float


class Cost(NamedTuple):
    """Of a tick: processor time of the workers; and how many went through in a second."""

    ns: float
    rate: float


def looks_until(workers: Sequence[Worker], records: int, log: Path) -> list[Look]:
    """Look at the workers until they have applied so many records; the first look that is kept
    saw some. RuntimeError when a worker ends or the records do not come."""
    watched = [psutil.Process(process.pid) for process, _ in workers]
    looks: list[Look] = []
    deadline = time.perf_counter() + _LONGEST_S
    while not looks or looks[-1].records < records:
        if any(process.poll() is not None for process, _ in workers):
            raise RuntimeError(f"a worker ended; see {log}")
        if time.perf_counter() > deadline:
            raise RuntimeError(f"no {records} records within {_LONGEST_S:g} s; see {log}")
        used = sum(_processor_s(one) for one in watched)
        look = Look(
            time.perf_counter(), used, sum(metric(port, RECORDS_METRIC) for _, port in workers)
        )
        if look.records:
            looks.append(look)
        time.sleep(_LOOK_S)
    return looks


def cost(looks: Sequence[Look], record_ticks: int) -> Cost:
    """Between the first look and the last; records hold ``record_ticks`` ticks each.

    RuntimeError when there is nothing between them.
    """
    first, last = looks[0], looks[-1]
    ticks = (last.records - first.records) * record_ticks
    if not ticks:
        raise RuntimeError("the workers were too quick to be watched: give them more records")
    used, passed = last.processor_s - first.processor_s, last.seconds - first.seconds
    return Cost(1e9 * used / ticks, ticks / passed)


def used_at(looks: Sequence[Look]) -> Callable[[float], float]:
    """Processor time as a function of the records applied, straight between two looks."""
    records = np.array([look.records for look in looks])
    used = np.array([look.processor_s for look in looks])

    def at(record: float) -> float:
        return float(np.interp(record, records, used))

    return at


def _processor_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)
