"""Workers as processes: started by the command line, killed, frozen, thawed, and what they said."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from optionstream.streams.process import EXIT_RESTART

STOPPED = (0, 143, -signal.SIGTERM)
"""Exit codes after SIGTERM: at work, in its start (docs/cli.md), and before Python is up."""
SLEPT = "ending this process: slept"
_LOG_LINES = 40


class Process(Protocol):
    """What ``subprocess.Popen`` offers, as far as it is needed."""

    @property
    def pid(self) -> int: ...
    def poll(self) -> int | None: ...
    def wait(self, timeout: float | None = None) -> int: ...
    def send_signal(self, sig: int) -> None: ...
    def kill(self) -> None: ...


Launch = Callable[[Sequence[str], Mapping[str, str], Path], Process]
"""Starts the command line with these arguments and this environment; both outputs go to a file."""


def command(argv: Sequence[str], env: Mapping[str, str], log: Path) -> Process:
    with log.open("ab") as out:
        return subprocess.Popen(
            [sys.executable, "-m", "optionstream", *argv],
            env=env,
            stdout=out,
            stderr=subprocess.STDOUT,
        )


@dataclass
class Worker:
    """One worker process; ``ended`` are the exit codes of those before it in its place."""

    group: str
    instance: str
    argv: list[str]
    log: Path
    process: Process
    started_s: float = field(default_factory=time.monotonic)
    ended: list[int] = field(default_factory=list)
    awaited: bool = False
    """It ended because it was told to."""

    @property
    def name(self) -> str:
        return f"{self.group}-{self.instance}"

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def wait(self, timeout_s: float = 120.0) -> int:
        """The exit code, kept in ``ended``."""
        code = self.process.wait(timeout_s)
        self.awaited = True
        self.ended.append(code)
        return code

    def slept(self) -> bool:
        """Return True if it ended by itself because it had slept for half of its session."""
        if self.process.poll() != EXIT_RESTART or not self.log.exists():
            return False
        lines = self.log.read_text(errors="replace").splitlines()
        return any(SLEPT in line for line in lines[-_LOG_LINES:])

    def said(self) -> str:
        lines = self.log.read_text(errors="replace").splitlines() if self.log.exists() else []
        return "\n".join([f"--- {self.name}, ended {self.ended}", *lines[-_LOG_LINES:]])
