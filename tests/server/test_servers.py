"""Servers of a run of tests end with it, whatever ended it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from tests.harness.servers import addresses_in

pytestmark = [pytest.mark.server, pytest.mark.timeout(600)]

RUN = """
import time
from tests.harness.servers import addresses_in, held_servers
with held_servers() as file:
    print(file, flush=True)
    time.sleep(600)
"""


def serving(kafka: str) -> list[psutil.Process]:
    """Processes that listen on Kafka's port or were given its address."""
    port = int(kafka.rpartition(":")[2])
    listening = {one.pid for one in psutil.net_connections("tcp") if one.laddr.port == port}
    return [one for one in psutil.process_iter() if one.pid in listening]


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT], ids=lambda one: one.name)
def test_servers_stop_when_the_run_that_asked_for_them_is_gone(how: signal.Signals) -> None:
    run = subprocess.Popen([sys.executable, "-c", RUN], stdout=subprocess.PIPE, text=True)
    try:
        assert run.stdout is not None
        found = addresses_in(Path(run.stdout.readline().strip()))
        assert serving(found.kafka)
        left_behind = subprocess.Popen(
            [sys.executable, "-c", "import time; time.sleep(600)"],
            env={"OPTIONSTREAM_KAFKA": found.kafka},
        )
    finally:
        run.send_signal(how)
        run.wait(120)
    assert left_behind.wait(60) == -signal.SIGKILL
    until_s = time.monotonic() + 60
    while serving(found.kafka):
        assert time.monotonic() < until_s, "Kafka still runs"
        time.sleep(0.2)


def test_servers_that_cannot_start_are_reported_with_the_reason(tmp_path: Path) -> None:
    file = tmp_path / "servers.json"
    file.write_text(json.dumps({"error": "no Java"}))
    with pytest.raises(RuntimeError, match="the servers did not start: no Java"):
        addresses_in(file)
