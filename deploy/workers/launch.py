"""The workers of a namespace as processes: supervised by this process, or by one of their own.

``LocalWorkers`` end with the command that started them. ``start_detached`` leaves a supervisor
behind (``optionstream supervise``) that ``optionstream down`` finds again and stops.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec
from msgspec import Struct

from optionstream.deploy.groups.lag import GroupOffsets
from optionstream.deploy.stack import Addresses
from optionstream.deploy.stack.processes import PidFile, spawn_detached, stop, write_atomically
from optionstream.deploy.stack.tail import last_lines
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
_SESSION_GRACE_S = 3.0
"""The broker looks for ended sessions now and then."""
_LOOK_AGAIN_S = 0.2

Tell = Callable[[str], None]


class WorkerFailed(OptionstreamError):
    """A worker ended for good; the text has its last words and names its log."""


class WorkerRow(Struct, frozen=True):
    """One supervised worker, as ``status`` shows it."""

    namespace: str
    worker: str
    state: str
    pid: int | None
    restarts: int
    log: str


def worker_specs(
    namespace: Namespace,
    addresses: Addresses,
    settings: Settings,
    groups: Sequence[str],
    *more: str,
) -> list[WorkerSpec]:
    """How to start one worker of each group; ``more`` goes to the end of its command."""
    env = worker_env(addresses, settings)
    base = settings.metrics_port
    specs = []
    for group in groups:
        port = base + topics.ALL_GROUPS.index(group) if base else 0
        argv = [sys.executable, "-m", "optionstream", "worker", group]
        argv += ["--namespace", namespace.name, "--metrics-port", str(port), *more]
        specs.append(WorkerSpec(group, argv, env))
    return specs


def worker_env(addresses: Addresses, settings: Settings) -> dict[str, str]:
    """This process's environment with the addresses of the servers in it."""
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


def groups_without_worker(
    offsets: GroupOffsets,
    namespace: Namespace,
    settings: Settings,
    groups: Sequence[str] = topics.GROUPS,
) -> list[str]:
    """Those of the groups in which nobody works.

    A worker that ended stays a (static) member until its session times out. Members that no
    process of this machine stands for are therefore given that long to go away.
    """
    folder = settings.worker_folder(namespace.name)
    others = [group for group in groups if PidFile(folder / f"{group}.pid").read() is None]
    deadline_s = time.monotonic() + settings.session_timeout_ms / 1000 + _SESSION_GRACE_S
    while occupied := [group for group in others if offsets.members(group)]:
        if time.monotonic() > deadline_s:
            break
        time.sleep(_LOOK_AGAIN_S)
    return [group for group in others if group not in occupied]


class LocalWorkers:
    """Workers that this process runs and stops, and that end by themselves should it be killed; a
    context manager."""

    def __init__(
        self,
        namespace: Namespace,
        addresses: Addresses,
        settings: Settings,
        groups: Sequence[str],
        tell: Tell,
    ) -> None:
        self.groups = tuple(groups)
        self._tell = tell
        self._supervisor = Supervisor(
            worker_specs(namespace, addresses, settings, groups, "--ends-with", str(os.getpid())),
            settings.worker_folder(namespace.name),
            on_event=self._on_event,
        )

    def __enter__(self) -> LocalWorkers:
        if self.groups:
            self._supervisor.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.groups:
            self._supervisor.stop(STOP_GRACE_S)

    @property
    def logs(self) -> dict[str, str]:
        """Log file of each worker."""
        return {status.name: str(status.log) for status in self._supervisor.status()}

    def check(self) -> None:
        """Raises WorkerFailed when a worker was given up."""
        for status in self._supervisor.status():
            if status.state is WorkerState.GIVEN_UP:
                raise WorkerFailed(_obituary(status.name, status.log))

    def _on_event(self, event: WorkerEvent) -> None:
        if event.kind in (EventKind.EXITED, EventKind.KILLED):
            self._tell(f"worker {event.worker} {event.text}")


# -- detached -----------------------------------------------------------------------------------


def start_detached(
    namespace: Namespace, addresses: Addresses, settings: Settings, groups: Sequence[str]
) -> None:
    """Leave a supervisor behind that runs a worker of each group; one that lives already stays."""
    folder = settings.worker_folder(namespace.name)
    pid_file = _supervisor_pid(folder)
    if pid_file.read() is not None or not groups:
        return
    argv = [sys.executable, "-m", "optionstream", "supervise", *groups]
    argv += ["--namespace", namespace.name]
    env = worker_env(addresses, settings)
    pid_file.write(spawn_detached(argv, env, folder / "supervisor.log"))


def await_members(
    offsets: GroupOffsets, namespace: Namespace, settings: Settings, groups: Sequence[str]
) -> None:
    """Until every group has a member; WorkerFailed when the supervisor gives one up."""
    deadline_s = time.monotonic() + _START_S
    while waiting := [group for group in groups if not offsets.members(group)]:
        for row in supervised(settings, namespace):
            if row.worker in waiting and row.state == WorkerState.GIVEN_UP.value:
                raise WorkerFailed(_obituary(row.worker, Path(row.log)))
        if time.monotonic() > deadline_s:
            folder = settings.worker_folder(namespace.name)
            raise WorkerFailed(f"no worker of {', '.join(waiting)} came up; see {folder}")
        time.sleep(_LOOK_AGAIN_S)


def supervise(
    namespace: Namespace, addresses: Addresses, settings: Settings, groups: Sequence[str]
) -> None:
    """Run workers until interrupted, with their state in ``supervisor.json`` for ``status``."""
    folder = settings.worker_folder(namespace.name)
    supervisor = Supervisor(
        worker_specs(namespace, addresses, settings, groups),
        folder,
        on_event=lambda event: print(f"{event.worker}: {event.text}", flush=True),
    )
    stalls = StallGuard(
        supervisor,
        addresses.kafka,
        namespace,
        settings.stall_ms / 1000,
        lambda text: print(text, flush=True),
    )
    with supervisor, stalls:
        told: list[WorkerRow] = []
        while True:
            rows = [
                WorkerRow(namespace.name, s.name, s.state.value, s.pid, s.restarts, str(s.log))
                for s in supervisor.status()
            ]
            if rows != told:
                write_atomically(_state_file(folder), msgspec.json.encode(rows).decode())
                told = rows
            time.sleep(_LOOK_AGAIN_S)


def supervised(settings: Settings, namespace: Namespace | None = None) -> list[WorkerRow]:
    """The workers of living detached supervisors, of one namespace or of all."""
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
    """Stop detached supervisors and their workers; returns the namespaces they worked for."""
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
    """Stop the workers of this machine whose supervisor was killed and could not stop them; those
    of a living one stay."""
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


def _obituary(worker: str, log: Path) -> str:
    said = last_lines(log, 1)
    return f"worker {worker} keeps ending: {said[0] if said else 'it said nothing'} (see {log})"
