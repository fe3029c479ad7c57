"""How much of a fetch is applied between two turns of the event loop."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from optionstream.streams.core.intake import Incoming

SLICE_S = 0.02
_FIRST_SLICE, _LARGEST_SLICE = 16, 512
"""Records; the largest bounds what a slice takes when records become expensive all at once."""


class Slices:
    """Splits a partition's fetches into slices that take about ``slice_s`` each.

    Record cost varies (µs a tick, ms a chain), so the size follows the last measured cost."""

    def __init__(self) -> None:
        self._size = _FIRST_SLICE

    def cut(self, records: Sequence[Incoming]) -> Iterator[Sequence[Incoming]]:
        """Each slice in its turn, as large as fits by what the one before it ``took``."""
        at = 0
        while at < len(records):
            part = records[at : at + self._size]
            yield part
            at += len(part)

    def took(self, records: int, seconds: float, slice_s: float) -> None:
        """A slice of so many records took so long: by itself, for whatever the loop does between
        two slices would make the next one smaller."""
        fitting = records * slice_s / max(seconds, 1e-9)
        self._size = max(1, round(min(fitting, 2 * self._size, _LARGEST_SLICE)))
