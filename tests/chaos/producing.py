"""The parent's side of the sender: starts it, lets it go so far, kills it, starts it again."""

from __future__ import annotations

import pickle
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from optionstream.deploy.stack import Addresses
from optionstream.schemas.topics import Namespace
from tests.harness.seeded import Sent

_STEPS_A_SECOND = 20
_LONGEST_END_S = 90.0


class Producing:
    """Sends ``records`` evenly over ``over_s``, but never beyond what ``allow`` says.

    The records lie in a file for the sender; a sender that ended is followed by another.
    """

    def __init__(
        self,
        addresses: Addresses,
        namespace: Namespace,
        partitions: int,
        records: Sequence[Sent],
        over_s: float,
        folder: Path,
    ) -> None:
        self._file = folder / "input.pickle"
        self._file.write_bytes(pickle.dumps(list(records)))
        self._argv = [sys.executable, "-m", "tests.chaos.sender", str(self._file)]
        self._argv += ["--kafka", addresses.kafka, "--namespace", namespace.name]
        self._argv += ["--partitions", str(partitions), "--from"]
        self._count = len(records)
        self._a_second = len(records) / over_s
        self._most = 0
        self.acknowledged = 0
        self._guard = threading.Lock()
        self._ending = threading.Event()
        self._log = (folder / "sender.log").open("ab")
        self._begin_process()
        self._pacer = threading.Thread(target=self._pace, daemon=True)
        self._pacer.start()

    def allow(self, fraction: float) -> None:
        """So much of the input may be sent by now."""
        self._most = int(self._count * fraction)

    def kill(self, back: int = 0) -> None:
        """SIGKILL the sender and start another where acknowledgements ended, or ``back`` records
        before: all of those come twice."""
        with self._guard:
            self._end_process()
            self.acknowledged = max(0, self.acknowledged - back)
            self._begin_process()

    def finish(self) -> None:
        """Let everything out; returns when all of it is acknowledged."""
        self._a_second, self._most = float("inf"), self._count
        until_s = time.monotonic() + _LONGEST_END_S
        while self.acknowledged < self._count:
            if time.monotonic() > until_s:
                raise AssertionError(f"sender: {self.acknowledged} of {self._count} acknowledged")
            time.sleep(0.05)
        self.close()

    def close(self) -> None:
        self._ending.set()
        self._pacer.join()
        self._end_process()
        self._log.close()

    def _end_process(self) -> None:
        """Returns with every acknowledgement heard that it had told."""
        self._process.kill()
        self._process.wait(30)
        self._hearing.join()

    def _begin_process(self) -> None:
        self._process = subprocess.Popen(
            [*self._argv, str(self.acknowledged)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
        )
        self._hearing = threading.Thread(target=self._hear, args=(self._process,), daemon=True)
        self._hearing.start()

    def _hear(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            self.acknowledged = int(line)

    def _pace(self) -> None:
        due = float(self.acknowledged)
        while not self._ending.wait(1 / _STEPS_A_SECOND):
            due = min(due + self._a_second / _STEPS_A_SECOND, self._most)
            with self._guard:
                if self._process.poll() is not None and self.acknowledged < self._count:
                    self._end_process()  # it gave up while the broker was away
                    self._begin_process()
                self._tell(int(due))

    def _tell(self, allowed: int) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(f"{allowed}\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            return  # it has just ended; the next look starts another
