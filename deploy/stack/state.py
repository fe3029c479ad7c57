"""What ``up`` started, written to ``<data_dir>/stack/state.json`` for those who come later."""

from __future__ import annotations

import fcntl
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from optionstream.deploy.stack.processes import write_atomically
from optionstream.deploy.stack.types import Mode, Server


@dataclass(frozen=True, slots=True)
class Running:
    """A server that ``up`` started: by whom, and where clients find it."""

    mode: Mode
    address: str


class StateFile:
    """The state file; what cannot be read counts as nothing started."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "state.json"
        self._lock = folder / "up.lock"

    def read(self) -> dict[Server, Running]:
        try:
            rows = json.loads(self._path.read_bytes())["servers"]
            return {
                Server(name): Running(Mode(row["mode"]), str(row["address"]))
                for name, row in rows.items()
            }
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return {}

    def put(self, server: Server, running: Running) -> None:
        self._write(self.read() | {server: running})

    def remove(self, server: Server) -> None:
        self._write({s: r for s, r in self.read().items() if s is not server})

    @contextmanager
    def locked(self) -> Iterator[None]:
        """One ``up`` or ``down`` at a time; the lock ends with its holder, however it ends."""
        self._lock.parent.mkdir(parents=True, exist_ok=True)
        with self._lock.open("w") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield

    def _write(self, rows: dict[Server, Running]) -> None:
        servers = {s.value: {"mode": r.mode.value, "address": r.address} for s, r in rows.items()}
        write_atomically(self._path, json.dumps({"servers": servers}, indent=2) + "\n")
