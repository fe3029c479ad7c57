"""The demonstration: a simulated trading day through every real part, from nothing to the API.

The day is a fixed, seeded one: neither the clock nor today's calendar matters.
"""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from optionstream.deploy.namespaces import catalogue
from optionstream.deploy.stack import Addresses, Health, Stack, free_port
from optionstream.deploy.stack.processes import start_logged, write_atomically
from optionstream.deploy.waiting import attempts
from optionstream.deploy.workers.launch import stop_detached, worker_env
from optionstream.producers.simulated import SimulationConfig
from optionstream.schemas.errors import OptionstreamError
from optionstream.schemas.figures import SUMMARY
from optionstream.schemas.settings import Settings
from optionstream.schemas.topics import Namespace

NAMESPACE = Namespace("demo")
SEED = 20260106
PRODUCTS = ("NIFTY", "BANKNIFTY")

_API_START_S = 30.0
_API_STOP_S = 10.0
_LOOK_AGAIN_S = 0.1

Row = dict[str, Any]
Report = Callable[[str], None]


def simulation(date: str) -> SimulationConfig:
    """Return the day's configuration: about 56,000 ticks and 5,600 chains of two indices."""
    return SimulationConfig(seed=SEED, date=date, products=PRODUCTS)


@contextmanager
def servers(settings: Settings, keep: bool, report: Report) -> Iterator[Addresses]:
    """Start the local stack; stop it after the block if it was started here and not ``keep``."""
    stack = Stack(settings)
    ours = not any(row.health is Health.READY for row in stack.status())
    try:
        yield stack.up(lambda server, text: report(f"{server}: {text}"))
    finally:
        if ours and not keep:
            stack.down(lambda server, text: report(f"{server}: {text}"))


@contextmanager
def fresh_namespace(
    addresses: Addresses, settings: Settings, keep: bool, report: Report
) -> Iterator[Namespace]:
    """Give the demonstration's namespace, emptied first; drop it at the end unless ``keep``."""
    drop_demo(addresses, settings, report)
    try:
        yield NAMESPACE
    finally:
        if not keep:
            drop_demo(addresses, settings, report)


def drop_demo(addresses: Addresses, settings: Settings, report: Report) -> None:
    """Drop the demonstration's namespace if it exists."""
    stop_detached(settings, NAMESPACE)
    names = [info.name for info in catalogue.list_namespaces(addresses)]
    if NAMESPACE.name in names:
        catalogue.drop_namespace(addresses, NAMESPACE.name, settings, report)


@dataclass(frozen=True, slots=True)
class ApiProcess:
    """A running ``optionstream serve``."""

    url: str
    log: Path
    process: subprocess.Popen[bytes]

    def get(self, path: str) -> Any:
        """Return the JSON answer to ``GET path``."""
        with urllib.request.urlopen(f"{self.url}{path}", timeout=10) as answer:
            return json.load(answer)

    def check(self) -> None:
        """Raise OptionstreamError if the process has ended."""
        if self.process.poll() is not None:
            raise OptionstreamError(f"the API has ended by itself; see {self.log}")

    def await_ready(self) -> None:
        """Wait until the API is ready; raise OptionstreamError if it ends or is late."""
        problem: Exception | None = None
        for _ in attempts(_API_START_S, _LOOK_AGAIN_S):
            self.check()
            try:
                self.get("/health/ready")
                return
            except (urllib.error.URLError, OSError) as error:
                problem = error
        raise OptionstreamError(
            f"the API is not ready after {_API_START_S:.0f} s: {problem}; see {self.log}"
        )


@contextmanager
def serve_api(
    addresses: Addresses, settings: Settings, namespace: Namespace
) -> Iterator[ApiProcess]:
    """Run ``optionstream serve`` on a free port for the block; raises OptionstreamError."""
    port = str(free_port())
    log = settings.worker_folder(namespace.name) / "api.log"
    write_atomically(log, "")
    argv = [sys.executable, "-m", "optionstream", "serve"]
    argv += ["--namespace", namespace.name, "--port", port]
    process = start_logged(argv, worker_env(addresses, settings), log)
    try:
        api = ApiProcess(f"http://127.0.0.1:{port}", log, process)
        api.await_ready()
        yield api
    finally:
        process.terminate()
        try:
            process.wait(_API_STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def last_bars(api: ApiProcess, interval: str = "15m", count: int = 3) -> list[Row]:
    """Return the last bars of each product, over HTTP."""
    return [
        bar
        for product in PRODUCTS
        for bar in api.get(f"/api/data/ohlc/{product}?interval={interval}&limit={count}")["bars"]
    ]


def last_ratios(api: ApiProcess) -> list[Row]:
    """Return the newest put-call ratios of each product's expiries, over HTTP."""
    rows = []
    for product in PRODUCTS:
        for row in api.get(f"/api/data/expiries/{product}")["expiries"]:
            expiry = row["expiry"]
            ratios = api.get(f"/api/data/pcr/{product}?expiry={expiry}")
            figures = api.get(f"/api/data/chain/{product}?expiry={expiry}")["metadata"]
            missing = (name for name in SUMMARY if name not in ratios)
            rows.append(ratios | {name: figures[name] for name in missing})
    return rows
