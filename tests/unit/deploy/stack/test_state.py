"""The addresses of the servers: from the settings, or of what the stack has started."""

from __future__ import annotations

import os
from pathlib import Path

from optionstream.deploy.stack import Addresses, Mode, Server, running_addresses
from optionstream.deploy.stack.processes import ProcessId
from optionstream.deploy.stack.state import Running, StackState
from optionstream.deploy.stack.types import local_address
from optionstream.schemas.settings import Settings


def test_local_addresses_have_the_ports_of_the_settings(tmp_path: Path) -> None:
    settings = Settings(tmp_path, kafka_port=1, mongo_port=2, redis_port=3)
    assert [local_address(settings, server) for server in Server] == [
        "127.0.0.1:1",
        "mongodb://127.0.0.1:2/?replicaSet=rs0",
        "redis://127.0.0.1:3/0",
    ]


def test_addresses_are_known_once_every_server_is_configured_or_runs(tmp_path: Path) -> None:
    settings = Settings(tmp_path, mongo="mongodb://elsewhere")
    state = StackState(settings)
    assert running_addresses(settings) is None
    state.put(Server.KAFKA, Running(Mode.DOCKER, "k:1"))
    state.put(Server.MONGO, Running(Mode.DOCKER, "mongodb://here"))
    state.put(Server.REDIS, Running(Mode.NATIVE, "redis://r"))
    assert running_addresses(settings) is None  # Redis has no living process
    state.pid_file(Server.REDIS).write(ProcessId.of(os.getpid()))
    expected = Addresses(kafka="k:1", mongo="mongodb://elsewhere", redis="redis://r")
    assert running_addresses(settings) == expected
    state.clear()
    assert (state.read(), running_addresses(settings)) == ({}, None)
