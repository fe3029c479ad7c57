"""How long a reader of a live stream waits, so that its worker leaves room for others."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

CORE_SHARE: Final = 0.45
"""Of a core: a worker that takes more gathers more, for what a fetch costs by itself is most of
the cost of a live stream."""
LONGEST_S: Final = 0.015
_LOOK_S: Final = 0.5
_STEP_S: Final = 0.01
"""Pause added at each look for a whole core above the share."""


class Pace:
    """The pause after a fetch: none where the processor is quick enough, up to ``LONGEST_S``
    where the process takes more than ``CORE_SHARE``, as long as is needed to keep to it."""

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        used: Callable[[], float] = time.process_time,
    ) -> None:
        self._clock = clock
        self._used = used
        self._looked_s, self._used_s = clock(), used()
        self._pause_s = 0.0

    def pause_s(self) -> float:
        """Seconds to wait before the next fetch is taken."""
        passed_s = self._clock() - self._looked_s
        if passed_s >= _LOOK_S:
            used_s = self._used()
            share = (used_s - self._used_s) / passed_s
            longer_s = self._pause_s + _STEP_S * (share - CORE_SHARE)
            self._pause_s = min(LONGEST_S, max(0.0, longer_s))
            self._looked_s, self._used_s = self._clock(), used_s
        return self._pause_s
