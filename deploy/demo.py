"""The demonstration: a simulated trading day through every real part, from nothing to the API.

It asks neither the clock nor today's calendar: the day is a fixed, seeded one.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from optionstream.deploy.namespaces import catalogue
from optionstream.deploy.stack import Addresses, Health, Stack, free_port
from optionstream.deploy.stack.processes import write_atomically
from optionstream.deploy.workers.launch import stop_detached, worker_env
from optionstream.producers.simulated import SimulationConfig
from optionstream.schemas.errors import OptionstreamError
from optionstream.schemas.settings import Settings
from optionstream.schemas.topics import Namespace

NAMESPACE = Namespace("demo")
SEED = 20260106
PRODUCTS = ("NIFTY", "BANKNIFTY")

_API_START_S = 30.0
_API_STOP_S = 10.0
_LOOK_AGAIN_S = 0.1

Row = dict[str, Any]
Tell = Callable[[str], None]


def simulation(date: str) -> SimulationConfig:
    """About 56,000 ticks and 5,600 chain snapshots of the two main indices."""
    return SimulationConfig(seed=SEED, date=date, products=PRODUCTS)


@contextmanager
def servers(settings: Settings, keep: bool, tell: Tell) -> Iterator[Addresses]:
    """The local stack; stopped at the end when it was started here, unless it is to be kept."""
    stack = Stack(settings)
    ours = not any(row.health is Health.READY for row in stack.status())
    try:
        yield stack.up(lambda server, text: tell(f"{server}: {text}"))
    finally:
        if ours and not keep:
            stack.down(lambda server, text: tell(f"{server}: {text}"))


@contextmanager
def fresh_namespace(
    addresses: Addresses, settings: Settings, keep: bool, tell: Tell
) -> Iterator[Namespace]:
    """The demonstration's namespace, without what an earlier one left; dropped unless kept."""
    forget(addresses, settings, tell)
    try:
        yield NAMESPACE
    finally:
        if not keep:
            forget(addresses, settings, tell)


def forget(addresses: Addresses, settings: Settings, tell: Tell) -> None:
    """Drop the demonstration's namespace, if there is one."""
    stop_detached(settings, NAMESPACE)
    names = [info.name for info in catalogue.list_namespaces(addresses)]
    if NAMESPACE.name in names:
        catalogue.drop_namespace(addresses, NAMESPACE.name, settings, tell)


class ApiProcess:
    """``optionstream serve`` on a free port, as a process; a context manager."""

    def __init__(self, addresses: Addresses, settings: Settings, namespace: Namespace) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = settings.worker_folder(namespace.name) / "api.log"
        self._env = worker_env(addresses, settings)
        self._argv = [sys.executable, "-m", "optionstream", "serve"]
        self._argv += ["--namespace", namespace.name, "--port", str(self.port)]
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> ApiProcess:
        write_atomically(self.log, "")
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._argv,
                env=self._env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C is for the demonstration, which stops it
            )
        try:
            self._await_ready()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(_API_STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def get(self, path: str) -> Any:
        """The JSON answer to ``GET path``."""
        with urllib.request.urlopen(f"{self.url}{path}", timeout=10) as answer:
            return json.load(answer)

    def check(self) -> None:
        """Raises when the process has ended."""
        if self._process is not None and self._process.poll() is not None:
            raise OptionstreamError(f"the API has ended by itself; see {self.log}")

    def _await_ready(self) -> None:
        deadline_s = time.monotonic() + _API_START_S
        while True:
            self.check()
            try:
                self.get("/health/ready")
                return
            except (urllib.error.URLError, OSError) as error:
                if time.monotonic() > deadline_s:
                    raise OptionstreamError(
                        f"the API is not ready after {_API_START_S:.0f} s: {error}; see {self.log}"
                    ) from None
            time.sleep(_LOOK_AGAIN_S)


def last_bars(api: ApiProcess, interval: str = "15m", count: int = 3) -> list[Row]:
    """The last bars of each product, over HTTP."""
    return [
        bar
        for product in PRODUCTS
        for bar in api.get(f"/api/data/ohlc/{product}?interval={interval}&limit={count}")["bars"]
    ]


def last_ratios(api: ApiProcess) -> list[Row]:
    """The newest put-call ratios of each product's expiries, over HTTP."""
    rows = []
    for product in PRODUCTS:
        for row in api.get(f"/api/data/expiries/{product}")["expiries"]:
            expiry = row["expiry"]
            ratios = api.get(f"/api/data/pcr/{product}?expiry={expiry}")
            chain = api.get(f"/api/data/chain/{product}?expiry={expiry}")
            rows.append(ratios | {"max_pain": chain["metadata"]["max_pain"]})
    return rows
