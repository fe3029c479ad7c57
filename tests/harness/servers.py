"""Servers for tests: in containers where a Docker engine answers, else as processes.

``python -m tests.harness.servers`` starts them and prints how tests find them; Ctrl-C stops them. A
run of tests has them held by such a process of its own (``held_servers``), which stops them as soon
as the run is over, however it ended.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil

from optionstream.deploy.stack import Addresses, Stack, free_port
from optionstream.deploy.stack.compose import COMPOSE_FILE, Compose, compose_addresses
from optionstream.deploy.stack.types import Server
from optionstream.schemas.errors import OptionstreamError
from optionstream.schemas.settings import Settings

SERVERS_VARIABLE = "OPTIONSTREAM_TEST_SERVERS"
"""Names the file in which a holder says where its servers are."""
PRODUCT_SESSION_MS = Settings(Path()).session_timeout_ms
SESSION_MS = 3_000
"""Session timeout of workers under test, unless a test asks for another.

Shorter than the product's: a group whose worker was stopped waits until its session has ended.
"""
_ROOT = Path(__file__).resolve().parents[2]
_LONGEST_START_S = 300.0
_LONGEST_STOP_S = 90.0


def own_settings(folder: Path, **more: Any) -> Settings:
    """Return settings of servers that nobody else uses, with their data in ``folder``."""
    ports = {f"{name}_port": free_port() for name in ("kafka", "mongo", "redis")}
    return Settings(data_dir=folder, **ports, **more)


@contextmanager
def own_stack(what: str, **more: Any) -> Iterator[tuple[Stack, Settings, Path]]:
    """Yield a stack that is not up yet, its settings, and a temporary folder; take it down at the
    end. ``more`` are settings."""
    with tempfile.TemporaryDirectory(prefix=f"optionstream-{what}-") as name:
        folder = Path(name)
        settings = own_settings(folder / "stack", **more)
        stack = Stack(settings)
        try:
            yield stack, settings, folder
        finally:
            stack.down()


@contextmanager
def running_servers() -> Iterator[Addresses]:
    """Start three servers; yield where they are; stop them and whatever still works on them."""
    with tempfile.TemporaryDirectory(prefix="optionstream-test-servers-") as name:
        settings = own_settings(
            Path(name),
            stack="native",
            session_timeout_ms=SESSION_MS,
            kafka_min_session_ms=SESSION_MS,
        )
        if Compose(settings, os.environ).engine_answers():
            yield from _in_containers(settings)
            return
        stack = Stack(settings)
        try:
            addresses = stack.up()
            yield addresses
            _end_workers_on(addresses.kafka)
        finally:
            stack.down()


def _in_containers(settings: Settings) -> Iterator[Addresses]:
    """The project's own compose file, under a name of its own so that no user's data is touched."""
    os.environ["COMPOSE_PROJECT_NAME"] = f"optionstream-test-{uuid.uuid4().hex[:8]}"
    os.environ["OPTIONSTREAM_KAFKA_MIN_SESSION_MS"] = str(settings.kafka_min_session_ms)
    for server, port in (
        ("KAFKA", settings.kafka_port),
        ("MONGO", settings.mongo_port),
        ("REDIS", settings.redis_port),
    ):
        os.environ[f"OPTIONSTREAM_{server}_PORT"] = str(port)
    from testcontainers.compose import DockerCompose  # only where there is Docker

    where = compose_addresses(settings)
    file = COMPOSE_FILE.resolve()
    with DockerCompose(file.parent, compose_file_name=file.name, wait=True):
        yield Addresses(where[Server.KAFKA], where[Server.MONGO], where[Server.REDIS])
        _end_workers_on(where[Server.KAFKA])


def _end_workers_on(kafka: str) -> None:
    """Kill processes that a broken-off run of tests left behind: their environment says so."""
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.environ().get("OPTIONSTREAM_KAFKA") == kafka:
                process.kill()


@contextmanager
def held_servers() -> Iterator[Path]:
    """Have a process hold servers while the block runs; yield the file it says so in.

    The block need not wait for them: ``addresses_in`` does. The holder stops them when this process
    is gone, whatever ended it.
    """
    file = Path(tempfile.mkdtemp(prefix="optionstream-held-")) / "servers.json"
    holder = subprocess.Popen(
        [sys.executable, "-m", "tests.harness.servers", str(file)],
        stdin=subprocess.PIPE,
        cwd=_ROOT,
        start_new_session=True,  # Ctrl-C is for the tests; the holder ends after them
    )
    try:
        yield file
    finally:
        assert holder.stdin is not None
        holder.stdin.close()
        holder.wait(_LONGEST_STOP_S)


def addresses_in(file: Path) -> Addresses:
    """Return where a holder's servers are, once they run; RuntimeError if they could not start."""
    until_s = time.monotonic() + _LONGEST_START_S
    while not file.exists():
        if time.monotonic() > until_s:
            raise RuntimeError(f"{file}: no servers within {_LONGEST_START_S:.0f} s")
        time.sleep(0.1)
    row = json.loads(file.read_text())
    if "error" in row:
        raise RuntimeError(f"the servers did not start: {row['error']}")
    return Addresses(**row)


def _write(file: Path, row: dict[str, str]) -> None:
    """The file is there whole or not at all."""
    partial = file.with_suffix(".partial")
    partial.write_text(json.dumps(row))
    partial.replace(file)


def _hold(file: Path) -> int:
    """Servers until standard input ends; then the file's folder goes too."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        with running_servers() as found:
            row = {"kafka": found.kafka, "mongo": found.mongo, "redis": found.redis}
            _write(file, row)
            sys.stdin.read()
    except OptionstreamError as error:
        _write(file, {"error": str(error)})
        sys.stdin.read()
        return 1
    finally:
        shutil.rmtree(file.parent, ignore_errors=True)
    return 0


def _serve() -> int:
    """Servers until Ctrl-C, for tests that are run one by one."""
    with held_servers() as file:
        found = addresses_in(file)
        print(f"kafka {found.kafka}, mongo {found.mongo}, redis {found.redis}")
        print(f"{SERVERS_VARIABLE}={file} python -m pytest tests/server/test_api.py")
        print("Ctrl-C stops the servers", flush=True)
        with suppress(KeyboardInterrupt):
            signal.pause()
    return 0


if __name__ == "__main__":
    sys.exit(_hold(Path(sys.argv[1])) if len(sys.argv) > 1 else _serve())
