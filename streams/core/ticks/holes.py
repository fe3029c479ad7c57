"""Numbers that the ticks of a feed lack: holes between the numbers seen (docs/semantics.md,
"Gaps"), which are at the same time the memory of what was seen.

A number is seen when it lies between the least and the greatest and in no hole. Before a hole is
told, ticks may split it; once told it keeps its ends, and ticks inside shrink what is missing.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from heapq import heappop, heappush
from typing import Final

from msgspec import Struct

from optionstream.streams.core.ranges import cut
from optionstream.streams.core.ticks.bars import BLOCK_MINUTES, NEVER
from optionstream.streams.core.ticks.columns import Feed
from optionstream.streams.core.ticks.windows import Windows

_MAX_FRESH: Final = 40
"""Missing ranges of told holes that go into the hot part of the state; more go into blocks."""


class Hole(Struct, array_like=True):
    """Numbers ``first..last``, none of which was seen when it was told; ``missing`` are the
    inclusive ranges that still lack. ``start`` and ``end`` are the times of the ticks just below
    and above, UTC epoch ms. Until it is told, ``revision`` is 0, ``missing`` empty, and all lack.
    """

    first: int
    last: int
    start: int
    end: int
    revision: int = 0
    missing: list[tuple[int, int]] = []


class Numbers(Struct, array_like=True):
    """What was seen of one feed: the ends, their times, and the holes between, by first."""

    least: int
    least_ts: int
    greatest: int
    greatest_ts: int
    holes: list[Hole] = []


class Holes:
    """The holes of all numbered feeds of one session. ``due`` is the least watermark at which one
    has to be told."""

    def __init__(self, windows: Windows, changed_blocks: set[int]) -> None:
        self.feeds: dict[Feed, Numbers] = {}
        self.due = NEVER
        self._windows = windows
        self._changed_blocks = changed_blocks
        self._untold: list[tuple[int, int, Feed, Hole]] = []
        """A heap by end; the second number makes entries unequal. A hole that has become another
        meanwhile has no numbers."""
        self._pushed = 0
        self.revised: list[tuple[Feed, Hole]] = []
        """Told holes that shrank since the last ``take``."""
        self._fresh: dict[tuple[Feed, int], Hole] = {}
        """Told holes that no block has yet, by feed and first."""

    # -- numbers ----------------------------------------------------------------------------

    def add(self, feed: Feed, number: int, ts: int) -> bool:
        """Note the number of a tick; False when it was seen before."""
        numbers = self.feeds.get(feed)
        if numbers is None or number > numbers.greatest:
            return self.add_run(feed, number, number, ts, ts)
        if number < numbers.least:
            self._open(feed, numbers, 0, (number + 1, numbers.least - 1, ts, numbers.least_ts))
            numbers.least, numbers.least_ts = number, ts
            return True
        at = bisect_right(numbers.holes, number, key=_first) - 1
        if at < 0 or number > numbers.holes[at].last:
            return False
        if numbers.holes[at].revision:
            return self._shrink(feed, numbers, at, number)
        self._split(feed, numbers, at, number, ts)
        return True

    def add_run(self, feed: Feed, low: int, high: int, low_ts: int, high_ts: int) -> bool:
        """Note ``low..high``, all above what was seen of the feed; else False, and nothing is
        noted. The times are those of the first and the last tick."""
        numbers = self.feeds.get(feed)
        if numbers is None:
            self.feeds[feed] = Numbers(low, low_ts, high, high_ts)
            return True
        above = numbers.greatest + 1
        if low < above:
            return False
        if low > above:
            hole = (above, low - 1, numbers.greatest_ts, low_ts)
            self._open(feed, numbers, len(numbers.holes), hole)
        numbers.greatest, numbers.greatest_ts = high, high_ts
        return True

    def _open(self, feed: Feed, numbers: Numbers, at: int, ends: tuple[int, int, int, int]) -> None:
        """Put a new hole (first, last, start, end) at a position, if it has a number."""
        first, last, start, end = ends
        if first <= last:
            hole = Hole(first, last, start, end)
            numbers.holes.insert(at, hole)
            self._await(feed, hole)

    def _await(self, feed: Feed, hole: Hole) -> None:
        heappush(self._untold, (hole.end, self._pushed, feed, hole))
        self._pushed += 1
        self.due = self._untold[0][0]

    def _split(self, feed: Feed, numbers: Numbers, at: int, number: int, ts: int) -> None:
        """A tick in a hole that was not told yet: the hole becomes the part above it, which ends
        when it did; the part below is new."""
        hole = numbers.holes[at]
        below = (hole.first, number - 1, hole.start, ts)
        hole.first, hole.start = number + 1, ts
        if hole.first > hole.last:
            del numbers.holes[at]
        self._open(feed, numbers, at, below)

    def _shrink(self, feed: Feed, numbers: Numbers, at: int, number: int) -> bool:
        hole = numbers.holes[at]
        if not cut(hole.missing, number):
            return False
        hole.revision += 1
        self.revised.append((feed, hole))
        key = (feed, hole.first)
        if key not in self._fresh:
            self._changed_blocks.add(self._block(hole))
        if not hole.missing:
            del numbers.holes[at]
            self._fresh.pop(key, None)
        return True

    # -- telling ----------------------------------------------------------------------------

    def take(self, watermark: int) -> list[tuple[Feed, Hole]]:
        """The holes to tell at a watermark: the new ones, and told ones that shrank since the last
        call; in order of (start, first, feed)."""
        told, self.revised = self.revised, []
        while self._untold and self._untold[0][0] <= watermark:
            _, _, feed, hole = heappop(self._untold)
            if hole.first <= hole.last:
                hole.revision, hole.missing = 1, [(hole.first, hole.last)]
                self._fresh[feed, hole.first] = hole
                told.append((feed, hole))
        self.due = self._untold[0][0] if self._untold else NEVER
        told.sort(key=lambda one: (one[1].start, one[1].first, one[0]))
        return told

    # -- state ------------------------------------------------------------------------------

    def full_blocks(self) -> set[int]:
        """The blocks to store because the hot part would grow too large."""
        ranges = sum(len(hole.missing) for hole in self._fresh.values())
        return (
            {self._block(hole) for hole in self._fresh.values()} if ranges > _MAX_FRESH else set()
        )

    def take_block(self, block: int) -> list[tuple[Feed, Hole]]:
        """The told holes that start in a block, which is being stored."""
        found = [
            (feed, hole)
            for feed, numbers in sorted(self.feeds.items())
            for hole in numbers.holes
            if hole.revision and self._block(hole) == block
        ]
        for feed, hole in found:
            self._fresh.pop((feed, hole.first), None)
        return found

    def hot(self) -> list[tuple[Feed, Numbers]]:
        """The feeds with the holes that no block has."""
        return [
            (
                feed,
                Numbers(
                    *_ends(numbers), [hole for hole in numbers.holes if self._is_hot(feed, hole)]
                ),
            )
            for feed, numbers in sorted(self.feeds.items())
        ]

    def restore(
        self, hot: Iterable[tuple[Feed, Numbers]], stored: Iterable[tuple[Feed, Hole]]
    ) -> None:
        """Become what ``hot`` and the blocks were taken from."""
        self.feeds = dict(hot)
        for feed, numbers in self.feeds.items():
            for hole in numbers.holes:
                if hole.revision:
                    self._fresh[feed, hole.first] = hole
                else:
                    self._await(feed, hole)
        for feed, hole in stored:
            self.feeds[feed].holes.append(hole)
        for numbers in self.feeds.values():
            numbers.holes.sort(key=_first)

    def _is_hot(self, feed: Feed, hole: Hole) -> bool:
        return not hole.revision or (feed, hole.first) in self._fresh

    def _block(self, hole: Hole) -> int:
        return self._windows.minute_of(hole.start) // BLOCK_MINUTES


def _first(hole: Hole) -> int:
    return hole.first


def _ends(numbers: Numbers) -> tuple[int, int, int, int]:
    return numbers.least, numbers.least_ts, numbers.greatest, numbers.greatest_ts
