"""A real worker process, watched through its own metrics page."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from optionstream.deploy.stack import Addresses, free_port
from optionstream.deploy.workers.launch import worker_env
from optionstream.schemas.settings import Settings
from optionstream.schemas.topics import Namespace

_LOOK_S = 0.1
_LONGEST_S = 300.0


@dataclass(frozen=True, slots=True)
class Run:
    """Units counted between the first and the last look that saw progress; resident bytes at the
    end."""

    units: float
    seconds: float
    resident_bytes: int

    @property
    def rate(self) -> float:
        return self.units / self.seconds


def watch(
    group: str,
    namespace: Namespace,
    addresses: Addresses,
    settings: Settings,
    counter: str,
    until: float,
    log: Path,
) -> Run:
    """Run a worker until the sum of its metric ``counter`` reaches ``until``, then stop it."""
    with running_worker(group, namespace, addresses, settings, log) as (process, port):
        return _measure(process, port, counter, until, log)


@contextmanager
def running_worker(
    group: str,
    namespace: Namespace,
    addresses: Addresses,
    settings: Settings,
    log: Path,
    instance: str = "1",
) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """A worker process and the port of its metrics page; stopped at the end of the block."""
    port = free_port()
    argv = [sys.executable, "-m", "optionstream", "worker", group]
    argv += ["--namespace", namespace.name, "--metrics-port", str(port)]
    argv += ["--instance", instance]
    with log.open("ab") as out:
        process = subprocess.Popen(
            argv, env=os.environ | worker_env(addresses, settings), stdout=out, stderr=out
        )
    try:
        yield process, port
    finally:
        process.terminate()
        process.wait(30)


def _measure(
    process: subprocess.Popen[bytes], port: int, counter: str, until: float, log: Path
) -> Run:
    first: tuple[float, float] | None = None
    deadline = time.perf_counter() + _LONGEST_S
    while time.perf_counter() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"the worker ended with {process.returncode}; see {log}")
        now, value = time.perf_counter(), metric(port, counter)
        if value and first is None:
            first = (now, value)
        if first is not None and value >= until:
            resident = psutil.Process(process.pid).memory_info().rss
            return Run(value - first[1], now - first[0], resident)
        time.sleep(_LOOK_S)
    raise RuntimeError(f"the worker did not reach {until} within {_LONGEST_S:g} s; see {log}")


def metric(port: int, counter: str, lane: str | None = None) -> float:
    """Sum of a worker's metric over its labels, or of one lane; 0 while the page is not up."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=2) as page:
            lines = page.read().decode().splitlines()
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return 0.0
    start = counter if lane is None else f'{counter}{{lane="{lane}"}}'
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(start))
