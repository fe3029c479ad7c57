"""How much of a fetch is applied between two turns of the event loop."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence

from optionstream.streams.core.intake import Incoming

SLICE_S = 0.02
_FIRST_SLICE, _LARGEST_SLICE = 16, 512
"""Records; the largest bounds what a slice takes when records become dear all at once."""


class Slices:
    """Cuts fetches of one partition into slices of about so many seconds: a tick takes
    microseconds, a chain milliseconds."""

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        self._size = _FIRST_SLICE

    def cut(
        self, records: Sequence[Incoming], slice_s: float = SLICE_S
    ) -> Iterator[Sequence[Incoming]]:
        """Each slice in its turn; the next is as large as fits, by what the last one took until it
        was asked for."""
        at = 0
        while at < len(records):
            part = records[at : at + self._size]
            since = self._clock()
            yield part
            fitting = len(part) * slice_s / max(self._clock() - since, 1e-9)
            self._size = max(1, round(min(fitting, 2 * self._size, _LARGEST_SLICE)))
            at += len(part)
