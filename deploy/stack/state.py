"""Which servers ``up`` started, kept in ``<data_dir>/stack/`` for the commands that follow."""

from __future__ import annotations

import fcntl
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from optionstream.deploy.stack.processes import PidFile, write_atomically
from optionstream.deploy.stack.types import Addresses, Mode, Server, configured_address
from optionstream.schemas.settings import Settings


@dataclass(frozen=True, slots=True)
class Running:
    """A server that ``up`` started: how it is run, and its address for clients."""

    mode: Mode
    address: str


class StackState:
    """The folder of the stack: ``state.json``, the lock, and a pid file for each process.

    A state file that cannot be read counts as nothing started.
    """

    def __init__(self, settings: Settings) -> None:
        self.folder = settings.data_dir / "stack"
        self._path = self.folder / "state.json"

    def read(self) -> dict[Server, Running]:
        """Return the servers that ``up`` started; their processes may have ended since."""
        try:
            rows = json.loads(self._path.read_bytes())["servers"]
            return {
                Server(name): Running(Mode(row["mode"]), str(row["address"]))
                for name, row in rows.items()
            }
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return {}

    def put(self, server: Server, running: Running) -> None:
        """Record a server that is being started."""
        self._write(self.read() | {server: running})

    def clear(self) -> None:
        """Record that no server is started."""
        if self.read():
            self._write({})

    def pid_file(self, server: Server) -> PidFile:
        """Return the pid file of a native server."""
        return PidFile(self.folder / f"{server.value}.pid")

    def log_file(self, server: Server) -> Path:
        """Return the path of the file that takes a native server's output."""
        return self.folder / f"{server.value}.log"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the lock of ``up`` and ``down``; it ends with its holder, however that ends."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "up.lock").open("w") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield

    def _write(self, rows: dict[Server, Running]) -> None:
        servers = {s.value: {"mode": r.mode.value, "address": r.address} for s, r in rows.items()}
        write_atomically(self._path, json.dumps({"servers": servers}, indent=2) + "\n")


def running_addresses(settings: Settings) -> Addresses | None:
    """Return the servers' addresses: from the settings, else of what ``up`` started and still runs.

    None when a server is neither configured nor running. Sends no request to any server.
    """
    state = StackState(settings)
    started = state.read()
    found: dict[Server, str] = {}
    for server in Server:
        configured = configured_address(settings, server)
        running = started.get(server)
        if configured is not None:
            found[server] = configured
        elif running is not None and (
            running.mode is Mode.DOCKER or state.pid_file(server).read() is not None
        ):
            found[server] = running.address
    return Addresses(**found) if len(found) == len(Server) else None
