"""Supervision of worker processes: restart them with backoff, give up on a crash loop.

Every exit counts unless the supervisor stopped the worker, exit code 0 too: a worker has no
reason to end by itself. A life longer than ``steady_s`` clears a worker's record, so that an
occasional crash is always followed by a restart at once.
"""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import IO

from optionstream.deploy.stack.processes import PidFile, ProcessId, start_logged, stop
from optionstream.schemas.errors import UsageError

_LOOK_S = 0.03
_LOG_LIMIT_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class WorkerSpec:
    """One worker: its name (also that of its log file), its command and its environment."""

    name: str
    argv: Sequence[str]
    env: Mapping[str, str] | None = None
    """None: the supervisor's own environment."""


@dataclass(frozen=True, slots=True)
class RestartPolicy:
    """When and how often a worker is restarted."""

    backoff_s: float = 0.25
    """Pause before the second restart in a row. The first has none; each further one doubles."""
    cap_s: float = 30.0
    crash_limit: int = 6
    """After this many crashes within ``window_s`` the worker is given up."""
    window_s: float = 60.0
    steady_s: float = 5.0
    """A worker that lived this long counts as healthy again."""

    def delay_s(self, crashes_in_a_row: int) -> float:
        """Return the pause before a restart; none after a first crash."""
        if crashes_in_a_row <= 1:
            return 0.0
        return min(self.cap_s, self.backoff_s * 2.0 ** min(crashes_in_a_row - 2, 32))


class EventKind(StrEnum):
    """Something that happened to a worker."""

    STARTED = "started"
    EXITED = "exited"
    GAVE_UP = "gave up"
    STOPPED = "stopped"
    KILLED = "killed"
    """It did not end in time after SIGTERM, or it stalled and will be restarted."""


@dataclass(frozen=True, slots=True)
class WorkerEvent:
    """An event of a worker. ``text`` is one line for people."""

    worker: str
    kind: EventKind
    text: str
    pid: int | None = None
    returncode: int | None = None


class WorkerState(StrEnum):
    """The state of a worker, as ``status`` shows it."""

    RUNNING = "running"
    WAITING = "waiting to restart"
    GIVEN_UP = "given up"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class WorkerStatus:
    """The status of one worker. ``restarts`` counts since the supervisor started."""

    name: str
    state: WorkerState
    pid: int | None
    restarts: int
    last_returncode: int | None
    log: Path


OnEvent = Callable[[WorkerEvent], None]


@dataclass(slots=True)
class _Worker:
    spec: WorkerSpec
    log: Path
    pid_file: PidFile
    process: subprocess.Popen[bytes] | None = None
    state: WorkerState = WorkerState.STOPPED
    started_s: float = 0.0
    due_s: float = 0.0
    restarts: int = 0
    in_a_row: int = 0
    returncode: int | None = None
    crashes: deque[float] = field(default_factory=deque)


class Supervisor:
    """Starts the workers, watches them from one thread, stops them; a context manager.

    ``on_event`` is called from that thread, and from the caller's in ``start`` and ``stop``, for
    one event at a time. A ``log_dir`` has one supervisor: a second one raises UsageError.
    Workers of one that was killed are stopped first.
    """

    def __init__(
        self,
        specs: Sequence[WorkerSpec],
        log_dir: Path,
        on_event: OnEvent | None = None,
        policy: RestartPolicy | None = None,
    ) -> None:
        names = [spec.name for spec in specs]
        if len(set(names)) != len(names):
            raise ValueError(f"two workers share a name: {names}")
        self._log_dir = log_dir
        self._report = on_event or (lambda event: None)
        self._policy = policy or RestartPolicy()
        self._workers = [
            _Worker(s, log_dir / f"{s.name}.log", PidFile(log_dir / f"{s.name}.pid")) for s in specs
        ]
        self._guard = threading.RLock()
        self._ending = threading.Event()
        self._thread: threading.Thread | None = None
        self._lock_handle: IO[str] | None = None

    def start(self) -> None:
        """Start all workers without waiting for them to be ready."""
        if self._thread is not None:
            raise RuntimeError("this supervisor was started already")
        self._log_dir.mkdir(parents=True, exist_ok=True)
        self._take_lock()
        leftover = [p for p in (w.pid_file.read() for w in self._workers) if p is not None]
        stop(leftover, grace_s=10.0)
        with self._guard:
            for worker in self._workers:
                self._launch(worker)
        self._thread = threading.Thread(target=self._watch, name="supervisor", daemon=True)
        self._thread.start()

    def stop(self, grace_s: float = 15.0) -> None:
        """Send SIGTERM to all workers, SIGKILL after ``grace_s``; return when all have ended."""
        self._ending.set()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()
        with self._guard:
            living = [w for w in self._workers if w.process is not None]
            for worker in living:
                self._signal(worker, signal.SIGTERM)
            deadline_s = time.monotonic() + grace_s
            for worker in living:
                self._collect(worker, max(0.0, deadline_s - time.monotonic()))
            for worker in self._workers:
                if worker.state is not WorkerState.GIVEN_UP:
                    worker.state = WorkerState.STOPPED
        if self._lock_handle is not None:
            self._lock_handle.close()
            self._lock_handle = None

    def restart(self, name: str, pid: int | None, why: str) -> None:
        """Kill a stalled worker, so that a new one follows it; no-op if its pid has changed.

        By SIGKILL: a process that hangs or is frozen reacts to nothing else.
        """
        with self._guard:
            for worker in self._workers:
                process = worker.process
                if worker.spec.name == name and process is not None and process.pid == pid:
                    self._event(worker, EventKind.KILLED, f"{why}; killed, will be restarted")
                    self._signal(worker, signal.SIGKILL)

    def status(self) -> list[WorkerStatus]:
        """Return the status of all workers, in the order of their specs."""
        with self._guard:
            return [
                WorkerStatus(
                    w.spec.name,
                    w.state,
                    w.process.pid if w.process else None,
                    w.restarts,
                    w.returncode,
                    w.log,
                )
                for w in self._workers
            ]

    def __enter__(self) -> Supervisor:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _watch(self) -> None:
        while not self._ending.wait(_LOOK_S):
            with self._guard:
                for worker in self._workers:
                    self._check(worker)

    def _check(self, worker: _Worker) -> None:
        if worker.process is not None and worker.process.poll() is not None:
            self._handle_exit(worker, worker.process.returncode)
        if worker.state is WorkerState.WAITING and time.monotonic() >= worker.due_s:
            worker.restarts += 1
            self._launch(worker)

    def _launch(self, worker: _Worker) -> None:
        if worker.log.exists() and worker.log.stat().st_size > _LOG_LIMIT_BYTES:
            worker.log.replace(worker.log.with_suffix(".log.1"))
        worker.started_s = time.monotonic()
        try:
            worker.process = start_logged(worker.spec.argv, worker.spec.env, worker.log)
        except OSError as error:
            self._schedule_restart(worker, f"cannot start: {error}", None)
            return
        worker.state = WorkerState.RUNNING
        # Popen returned after the exec: the process exists until it is waited for here.
        worker.pid_file.write(ProcessId.of(worker.process.pid))
        self._event(worker, EventKind.STARTED, f"started as pid {worker.process.pid}")

    def _handle_exit(self, worker: _Worker, returncode: int) -> None:
        self._forget_process(worker, returncode)
        if time.monotonic() - worker.started_s >= self._policy.steady_s:
            worker.in_a_row = 0
            worker.crashes.clear()
        self._schedule_restart(worker, _describe_exit(returncode), returncode)

    def _schedule_restart(self, worker: _Worker, why: str, returncode: int | None) -> None:
        now_s = time.monotonic()
        worker.in_a_row += 1
        worker.crashes.append(now_s)
        while now_s - worker.crashes[0] > self._policy.window_s:
            worker.crashes.popleft()
        if len(worker.crashes) >= self._policy.crash_limit:
            worker.state = WorkerState.GIVEN_UP
            text = (
                f"{why}; given up after {len(worker.crashes)} crashes within "
                f"{self._policy.window_s:.0f} s, see {worker.log}"
            )
            self._event(worker, EventKind.GAVE_UP, text, returncode)
            return
        delay_s = self._policy.delay_s(worker.in_a_row)
        worker.state = WorkerState.WAITING
        worker.due_s = now_s + delay_s
        again = f"restarting in {delay_s:.2g} s" if delay_s else "restarting"
        self._event(worker, EventKind.EXITED, f"{why}; {again}", returncode)

    def _collect(self, worker: _Worker, patience_s: float) -> None:
        if worker.process is None:
            return
        try:
            returncode = worker.process.wait(timeout=patience_s)
            kind, text = EventKind.STOPPED, _describe_exit(returncode)
        except subprocess.TimeoutExpired:
            self._signal(worker, signal.SIGKILL)
            returncode = worker.process.wait()
            kind, text = EventKind.KILLED, "did not end after SIGTERM; killed"
        self._forget_process(worker, returncode)
        self._event(worker, kind, text, returncode)

    def _forget_process(self, worker: _Worker, returncode: int) -> None:
        worker.process, worker.returncode = None, returncode
        worker.pid_file.clear()

    def _signal(self, worker: _Worker, number: signal.Signals) -> None:
        if worker.process is not None:
            worker.process.send_signal(number)  # does nothing once it was waited for

    def _event(
        self, worker: _Worker, kind: EventKind, text: str, returncode: int | None = None
    ) -> None:
        pid = worker.process.pid if worker.process else None
        self._report(WorkerEvent(worker.spec.name, kind, text, pid, returncode))

    def _take_lock(self) -> None:
        handle = _open_lock(self._log_dir)
        if not _lock(handle):
            handle.seek(0)
            holder = handle.read().strip() or "unknown"
            handle.close()
            raise UsageError(
                f"the workers of {self._log_dir} are supervised already, by pid {holder}"
            )
        handle.truncate(0)
        handle.write(f"{os.getpid()}\n")
        handle.flush()
        self._lock_handle = handle


def is_supervised(log_dir: Path) -> bool:
    """Return True if a living supervisor works in the folder."""
    try:
        with _open_lock(log_dir) as handle:
            return not _lock(handle)
    except FileNotFoundError:  # there never was one
        return False


def _open_lock(log_dir: Path) -> IO[str]:
    return (log_dir / "supervisor.lock").open("a+", encoding="utf-8")


def _lock(handle: IO[str]) -> bool:
    """Lock the file until it is closed; return False if another process has locked it."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _describe_exit(returncode: int) -> str:
    if returncode >= 0:
        return f"exited with code {returncode}"
    try:
        return f"ended by {signal.Signals(-returncode).name}"
    except ValueError:
        return f"ended by signal {-returncode}"
