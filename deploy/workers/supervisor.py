"""Keeps worker processes running: restarts them with backoff, gives up on a crash loop.

Every exit that was not asked for counts, exit code 0 too: a worker has no reason to end by
itself. A life longer than ``steady_s`` clears the record of that worker, so that one crash now
and then is always answered at once.
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

from optionstream.deploy.stack.processes import PidFile, ProcessId, stop
from optionstream.schemas.errors import UsageError

_LOOK_S = 0.03
_LOG_LIMIT_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class WorkerSpec:
    """One worker: its name (also of its log file), its command, and its whole environment."""

    name: str
    argv: Sequence[str]
    env: Mapping[str, str] | None = None
    """None hands down the supervisor's own environment."""


@dataclass(frozen=True, slots=True)
class RestartPolicy:
    """When and how often a worker is started again."""

    backoff_s: float = 0.25
    """Pause before the second restart in a row; the first comes at once, each next doubles."""
    cap_s: float = 30.0
    crash_limit: int = 6
    """This many crashes within ``window_s``, and the worker is given up."""
    window_s: float = 60.0
    steady_s: float = 5.0
    """A worker that lived this long is healthy again: neither counted nor slowed."""

    def delay_s(self, crashes_in_a_row: int) -> float:
        """Pause before a restart after so many quick crashes (1 or none: no pause)."""
        if crashes_in_a_row <= 1:
            return 0.0
        return min(self.cap_s, self.backoff_s * 2.0 ** min(crashes_in_a_row - 2, 32))


class EventKind(StrEnum):
    STARTED = "started"
    EXITED = "exited"
    GAVE_UP = "gave up"
    STOPPED = "stopped"
    KILLED = "killed"
    """It did not end within the grace after SIGTERM, or stood still and is to be started anew."""


@dataclass(frozen=True, slots=True)
class WorkerEvent:
    """Something happened to a worker. ``text`` is a line for people."""

    worker: str
    kind: EventKind
    text: str
    pid: int | None = None
    returncode: int | None = None


class WorkerState(StrEnum):
    RUNNING = "running"
    WAITING = "waiting to restart"
    GIVEN_UP = "given up"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class WorkerStatus:
    """One worker now. ``restarts`` counts since the supervisor started."""

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
    """Starts the workers, watches them from one thread, stops them.

    ``on_event`` is called from that thread (and from the caller's in ``start`` and ``stop``),
    never for two events at once. One supervisor for each ``log_dir``: workers left over from one
    that was killed are stopped first, a second living one raises UsageError.
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
        self._tell = on_event or (lambda event: None)
        self._policy = policy or RestartPolicy()
        self._workers = [
            _Worker(s, log_dir / f"{s.name}.log", PidFile(log_dir / f"{s.name}.pid")) for s in specs
        ]
        self._guard = threading.RLock()
        self._ending = threading.Event()
        self._thread: threading.Thread | None = None
        self._lock_handle: IO[str] | None = None

    def start(self) -> None:
        """Start all workers; returns at once."""
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
        """SIGTERM all workers, SIGKILL those that outlive the grace; returns when all ended."""
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
        """Kill a worker that does not get on, so that a new one follows; nothing happens when
        it is not that process any more. SIGKILL: who hangs or is frozen hears nothing else."""
        with self._guard:
            for worker in self._workers:
                process = worker.process
                if worker.spec.name == name and process is not None and process.pid == pid:
                    self._event(worker, EventKind.KILLED, f"{why}; killed, to be started anew")
                    self._signal(worker, signal.SIGKILL)

    def status(self) -> list[WorkerStatus]:
        """All workers, in the order of their specs."""
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
                    self._look_at(worker)

    def _look_at(self, worker: _Worker) -> None:
        if worker.process is not None and worker.process.poll() is not None:
            self._ended(worker, worker.process.returncode)
        if worker.state is WorkerState.WAITING and time.monotonic() >= worker.due_s:
            worker.restarts += 1
            self._launch(worker)

    def _launch(self, worker: _Worker) -> None:
        if worker.log.exists() and worker.log.stat().st_size > _LOG_LIMIT_BYTES:
            worker.log.replace(worker.log.with_suffix(".log.1"))
        worker.started_s = time.monotonic()
        try:
            with worker.log.open("ab") as log:
                worker.process = subprocess.Popen(
                    list(worker.spec.argv),
                    env=None if worker.spec.env is None else dict(worker.spec.env),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    # Ctrl-C is the supervisor's to hear; it then stops its workers in order.
                    start_new_session=True,
                )
        except OSError as error:
            self._crashed(worker, f"cannot start: {error}", None)
            return
        worker.state = WorkerState.RUNNING
        # Popen returns after the exec: the process exists until it is waited for here.
        worker.pid_file.write(ProcessId.of(worker.process.pid))
        self._event(worker, EventKind.STARTED, f"started as pid {worker.process.pid}")

    def _ended(self, worker: _Worker, returncode: int) -> None:
        worker.process = None
        worker.returncode = returncode
        worker.pid_file.clear()
        if time.monotonic() - worker.started_s >= self._policy.steady_s:
            worker.in_a_row = 0
            worker.crashes.clear()
        self._crashed(worker, _in_words(returncode), returncode)

    def _crashed(self, worker: _Worker, why: str, returncode: int | None) -> None:
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
            kind, text = EventKind.STOPPED, _in_words(returncode)
        except subprocess.TimeoutExpired:
            self._signal(worker, signal.SIGKILL)
            returncode = worker.process.wait()
            kind, text = EventKind.KILLED, "did not end when asked to; killed"
        worker.process = None
        worker.returncode = returncode
        worker.pid_file.clear()
        self._event(worker, kind, text, returncode)

    def _signal(self, worker: _Worker, number: signal.Signals) -> None:
        if worker.process is not None:
            worker.process.send_signal(number)  # does nothing once it was waited for

    def _event(
        self, worker: _Worker, kind: EventKind, text: str, returncode: int | None = None
    ) -> None:
        pid = worker.process.pid if worker.process else None
        self._tell(WorkerEvent(worker.spec.name, kind, text, pid, returncode))

    def _take_lock(self) -> None:
        handle = (self._log_dir / "supervisor.lock").open("a+", encoding="utf-8")
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            handle.seek(0)
            holder = handle.read().strip() or "unknown"
            handle.close()
            raise UsageError(
                f"the workers of {self._log_dir} are supervised already, by pid {holder}"
            ) from None
        handle.truncate(0)
        handle.write(f"{os.getpid()}\n")
        handle.flush()
        self._lock_handle = handle


def is_supervised(log_dir: Path) -> bool:
    """Whether a living supervisor works in the folder."""
    try:
        with (log_dir / "supervisor.lock").open("a+", encoding="utf-8") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except FileNotFoundError:  # nobody ever did
        return False
    return False


def _in_words(returncode: int) -> str:
    if returncode >= 0:
        return f"exited with code {returncode}"
    try:
        return f"ended by {signal.Signals(-returncode).name}"
    except ValueError:
        return f"ended by signal {-returncode}"
