"""Worker processes of a namespace: supervised by this process, or by a detached supervisor.

``LocalWorkers`` end with the command that started them. ``start_detached`` leaves a supervisor
running (``optionstream supervise``), which ``optionstream down`` stops.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import msgspec
from msgspec import Struct

from optionstream.deploy.groups.lag import GroupOffsets
from optionstream.deploy.stack import Addresses
from optionstream.deploy.stack.processes import PidFile, spawn_detached, stop, write_atomically
from optionstream.deploy.stack.tail import last_words
from optionstream.deploy.waiting import attempts
from optionstream.deploy.workers.stalls import StallGuard
from optionstream.deploy.workers.supervisor import (
    EventKind,
    Supervisor,
    WorkerEvent,
    WorkerSpec,
    WorkerState,
    is_supervised,
)
from optionstream.schemas import topics
from optionstream.schemas.errors import OptionstreamError
from optionstream.schemas.settings import ENV_PREFIX, Settings
from optionstream.schemas.topics import Namespace

STOP_GRACE_S = 15.0
_START_S = 60.0
_LOOK_AGAIN_S = 0.2

Report = Callable[[str], None]


class WorkerFailed(OptionstreamError):
    """A worker was given up; the text has the last line of its log and the log's path."""


class WorkerRow(Struct, frozen=True):
    """One supervised worker, as ``status`` shows it."""

    namespace: str
    worker: str
    state: str
    pid: int | None
    restarts: int
    log: str


def worker_env(addresses: Addresses, settings: Settings) -> dict[str, str]:
    """Return this process's environment with the servers' addresses and data folders set."""
    folders = {"AUDIT_DIR": settings.audit_dir, "FEATURES_DIR": settings.features_dir}
    return (
        dict(os.environ)
        | {f"{ENV_PREFIX}{name}": str(folder) for name, folder in folders.items() if folder}
        | {
            f"{ENV_PREFIX}DATA_DIR": str(settings.data_dir),
            f"{ENV_PREFIX}KAFKA": addresses.kafka,
            f"{ENV_PREFIX}MONGO": addresses.mongo,
            f"{ENV_PREFIX}REDIS": addresses.redis,
        }
    )


class NamespaceWorkers:
    """The worker processes of one namespace on this machine."""

    def __init__(self, namespace: Namespace, addresses: Addresses, settings: Settings) -> None:
        self._namespace = namespace
        self._settings = settings
        self._kafka = addresses.kafka
        self._env = worker_env(addresses, settings)
        self._offsets = GroupOffsets(addresses.kafka, namespace)
        self._folder = settings.worker_folder(namespace.name)

    def missing_groups(self, groups: Sequence[str] = topics.GROUPS) -> list[str]:
        """Return the groups that have no worker.

        A group without a process of this machine may have members elsewhere, or stopped ones whose
        sessions have yet to end; this waits for the latter.
        """
        others = [g for g in groups if PidFile(self._folder / f"{g}.pid").read() is None]
        occupied = self._offsets.await_departure(others, self._settings)
        return [group for group in others if group not in occupied]

    def local(self, groups: Sequence[str], report: Report) -> LocalWorkers:
        """Return workers that this process runs; they end by themselves if it is killed."""
        specs = self._specs(groups, "--ends-with", str(os.getpid()))
        return LocalWorkers(specs, self._folder, report)

    def start_detached(self, groups: Sequence[str]) -> None:
        """Start a detached supervisor with a worker for each group, unless one runs already."""
        pid_file = _supervisor_pid(self._folder)
        if pid_file.read() is not None or not groups:
            return
        argv = [sys.executable, "-m", "optionstream", "supervise", *groups]
        argv += ["--namespace", self._namespace.name]
        pid_file.write(spawn_detached(argv, self._env, self._folder / "supervisor.log"))

    def await_members(self, groups: Sequence[str]) -> None:
        """Wait until every group has a member; raise WorkerFailed if one is given up or late."""
        waiting: list[str] = []
        for _ in attempts(_START_S, _LOOK_AGAIN_S):
            waiting = [group for group in groups if not self._offsets.members(group)]
            if not waiting:
                return
            for row in supervised_workers(self._settings, self._namespace):
                if row.worker in waiting and row.state == WorkerState.GIVEN_UP.value:
                    raise _failure(row.worker, Path(row.log))
        raise WorkerFailed(f"no worker of {', '.join(waiting)} came up; see {self._folder}")

    def supervise(self, groups: Sequence[str]) -> None:
        """Run workers until interrupted; keep their status in ``supervisor.json``."""
        name, patience_s = self._namespace.name, self._settings.stall_ms / 1000
        supervisor = Supervisor(
            self._specs(groups),
            self._folder,
            on_event=lambda event: print(f"{event.worker}: {event.text}", flush=True),
        )
        say = partial(print, flush=True)
        with supervisor, StallGuard(supervisor, self._kafka, self._namespace, patience_s, say):
            written: list[WorkerRow] = []
            while True:
                rows = [
                    WorkerRow(name, s.name, s.state.value, s.pid, s.restarts, str(s.log))
                    for s in supervisor.status()
                ]
                if rows != written:
                    write_atomically(_state_file(self._folder), msgspec.json.encode(rows).decode())
                    written = rows
                time.sleep(_LOOK_AGAIN_S)

    def _specs(self, groups: Sequence[str], *more: str) -> list[WorkerSpec]:
        """Return the specs of one worker for each group; ``more`` is appended to its command."""
        base = self._settings.metrics_port
        specs = []
        for group in groups:
            port = base + topics.ALL_GROUPS.index(group) if base else 0
            argv = [sys.executable, "-m", "optionstream", "worker", group]
            argv += ["--namespace", self._namespace.name, "--metrics-port", str(port), *more]
            specs.append(WorkerSpec(group, argv, self._env))
        return specs


class LocalWorkers:
    """Workers that this process runs and stops; a context manager."""

    def __init__(self, specs: Sequence[WorkerSpec], folder: Path, report: Report) -> None:
        self._run = bool(specs)
        self._report = report
        self._supervisor = Supervisor(specs, folder, on_event=self._on_event)

    def __enter__(self) -> LocalWorkers:
        if self._run:
            self._supervisor.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._run:
            self._supervisor.stop(STOP_GRACE_S)

    @property
    def logs(self) -> dict[str, str]:
        """The log file of each worker, by name."""
        return {status.name: str(status.log) for status in self._supervisor.status()}

    def check(self) -> None:
        """Raise WorkerFailed if a worker was given up."""
        for status in self._supervisor.status():
            if status.state is WorkerState.GIVEN_UP:
                raise _failure(status.name, status.log)

    def _on_event(self, event: WorkerEvent) -> None:
        if event.kind in (EventKind.EXITED, EventKind.KILLED):
            self._report(f"worker {event.worker} {event.text}")


def supervised_workers(settings: Settings, namespace: Namespace | None = None) -> list[WorkerRow]:
    """Return the workers of detached supervisors that run, of one namespace or of all."""
    rows: list[WorkerRow] = []
    for folder in _folders(settings, namespace):
        if _supervisor_pid(folder).read() is None:
            continue
        try:
            rows += msgspec.json.decode(_state_file(folder).read_bytes(), type=list[WorkerRow])
        except (OSError, msgspec.DecodeError):
            continue
    return rows


def stop_detached(settings: Settings, namespace: Namespace | None = None) -> list[str]:
    """Stop detached supervisors and their workers; return the names of their namespaces."""
    running = {
        folder: found
        for folder in _folders(settings, namespace)
        if (found := _supervisor_pid(folder).read()) is not None
    }
    stop(list(running.values()), STOP_GRACE_S + 5.0)
    for folder in running:
        _supervisor_pid(folder).clear()
        _state_file(folder).unlink(missing_ok=True)
    return [folder.name for folder in running]


def stop_orphans(settings: Settings, namespace: Namespace) -> None:
    """Stop this machine's workers whose supervisor was killed; those of a living one stay."""
    folder = settings.worker_folder(namespace.name)
    if is_supervised(folder):
        return
    found = (PidFile(folder / f"{group}.pid").read() for group in topics.GROUPS)
    stop([identity for identity in found if identity is not None], STOP_GRACE_S)


def _folders(settings: Settings, namespace: Namespace | None) -> Iterator[Path]:
    if namespace is not None:
        yield settings.worker_folder(namespace.name)
        return
    parent = settings.data_dir / "workers"
    if parent.is_dir():
        yield from sorted(path for path in parent.iterdir() if path.is_dir())


def _supervisor_pid(folder: Path) -> PidFile:
    return PidFile(folder / "supervisor.pid")


def _state_file(folder: Path) -> Path:
    return folder / "supervisor.json"


def _failure(worker: str, log: Path) -> WorkerFailed:
    return WorkerFailed(f"worker {worker} keeps ending: {last_words(log)} (see {log})")
