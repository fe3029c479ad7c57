"""What a peer is told to do, and the meter that times it.

Runs in the peers' environment: the standard library only.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

VARIABLE = "OPTIONSTREAM_BENCH_ORDER"
_LOOK_S = 0.02


@dataclass(frozen=True, slots=True)
class Order:
    """Read ``topic``, which holds ``records`` records, and write bars to ``output``.

    The figures go to the file ``result`` when ``seconds`` have passed since the warm-up, or when
    all records are read. ``name`` is free for groups and the like, ``folder`` for state.
    """

    name: str
    kafka: str
    topic: str
    output: str
    partitions: int
    records: int
    warm_up_s: float
    seconds: float
    folder: str
    result: str

    @classmethod
    def given(cls) -> Order:
        """The order in this process's environment."""
        return cls(**json.loads(os.environ[VARIABLE]))


class Meter:
    """Counts records; a thread reads the count when the measured part begins and ends."""

    def __init__(self, order: Order, stop: Callable[[], None]) -> None:
        self._order = order
        self._stop = stop
        self._records = 0
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def start(self) -> None:
        """Wait for the first record from now on."""
        self._thread.start()

    def count(self) -> None:
        """One record has been processed."""
        self._records += 1

    def _watch(self) -> None:
        while not self._records:
            time.sleep(_LOOK_S)
        time.sleep(self._order.warm_up_s)
        first, started, processor_s = self._records, time.perf_counter(), time.process_time()
        ends = started + self._order.seconds
        while self._records < self._order.records and time.perf_counter() < ends:
            time.sleep(_LOOK_S)
        told = {
            "ticks": self._records - first,
            "seconds": time.perf_counter() - started,
            "processor_s": time.process_time() - processor_s,
        }
        partial = Path(self._order.result + ".part")
        partial.write_text(json.dumps(told))
        partial.rename(self._order.result)
        self._stop()
