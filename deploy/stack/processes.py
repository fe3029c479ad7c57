"""Processes: run one to its end, start one with a log, remember it in a file, stop it.

A process is identified by its id and its start time. An id that the system gave to another
process since is therefore never mistaken for ours, and never signalled.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

# The start time is computed from the boot time, which moves a little when the clock is set.
_START_TOLERANCE_S = 2.0


@dataclass(frozen=True, slots=True)
class ProcessId:
    """A process: its id, and when it started (seconds since the epoch, UTC)."""

    pid: int
    started_s: float

    @classmethod
    def of(cls, pid: int) -> ProcessId:
        """Return the identity of a running process; psutil.NoSuchProcess when it has ended."""
        return cls(pid, psutil.Process(pid).create_time())

    def process(self) -> psutil.Process | None:
        """Return the living process with this identity; None if it ended or the id was reused."""
        try:
            process = psutil.Process(self.pid)
            if abs(process.create_time() - self.started_s) > _START_TOLERANCE_S:
                return None
            if process.status() == psutil.STATUS_ZOMBIE:
                _reap(self.pid)
                return None
        except psutil.NoSuchProcess:
            return None
        return process

    @property
    def alive(self) -> bool:
        """True if the process runs."""
        return self.process() is not None


class PidFile:
    """A file that remembers one process. Stale or unreadable, it reads as "nothing runs"."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> ProcessId | None:
        """Return the remembered process if it still runs."""
        try:
            data = json.loads(self.path.read_bytes())
            identity = ProcessId(int(data["pid"]), float(data["started_s"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return identity if identity.pid > 0 and identity.alive else None

    def write(self, identity: ProcessId) -> None:
        """Remember a process."""
        write_atomically(
            self.path, json.dumps({"pid": identity.pid, "started_s": identity.started_s})
        )

    def clear(self) -> None:
        """Forget the process."""
        self.path.unlink(missing_ok=True)


def spawn_detached(argv: Sequence[str], env: Mapping[str, str], log: Path) -> ProcessId:
    """Start ``argv`` in a session of its own, its output appended to ``log``.

    ``argv[0]`` is a path. The process gets no terminal signals and outlives this one.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    append = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    pid = os.posix_spawn(
        argv[0],
        list(argv),
        dict(env),
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, str(log), append, 0o644),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ],
        setsid=True,
    )
    return ProcessId.of(pid)


def start_logged(
    argv: Sequence[str], env: Mapping[str, str] | None, log: Path
) -> subprocess.Popen[bytes]:
    """Start a child process that appends its output to ``log``; None: this process's environment.

    It is in a session of its own: Ctrl-C reaches only its parent, which then stops it. Raises
    OSError when it cannot start.
    """
    with log.open("ab") as output:
        return subprocess.Popen(
            list(argv),
            env=None if env is None else dict(env),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def run_program(
    argv: Sequence[str], env: Mapping[str, str], timeout_s: float
) -> subprocess.CompletedProcess[str]:
    """Run a program to its end, without input, and return its exit code and output as text.

    Raises OSError when it cannot start, subprocess.TimeoutExpired after ``timeout_s``.
    """
    return subprocess.run(
        list(argv),
        env=dict(env),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=timeout_s,
    )


def last_line(output: str) -> str:
    """Return the last line of a program's output, which usually has the reason of a failure."""
    return (output.strip().splitlines() or ["no reason given"])[-1]


def stop(identities: Sequence[ProcessId], grace_s: float) -> None:
    """Send SIGTERM to all, wait ``grace_s`` for them together, then SIGKILL those left."""
    living = [p for p in (identity.process() for identity in identities) if p is not None]
    for process in living:
        _signal(process, signal.SIGTERM)
    _, stubborn = psutil.wait_procs(living, timeout=grace_s)
    for process in stubborn:
        _signal(process, signal.SIGKILL)
    psutil.wait_procs(stubborn, timeout=10)


def write_atomically(path: Path, text: str) -> None:
    """Replace a file in one step, so that a reader sees the old text or the new."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.{os.getpid()}.{time.monotonic_ns()}.partial")
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)


def _signal(process: psutil.Process, number: signal.Signals) -> None:
    try:
        process.send_signal(number)  # psutil compares the start time again
    except psutil.NoSuchProcess:
        return


def _reap(pid: int) -> None:
    try:
        os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return  # another process's child: its parent collects it
