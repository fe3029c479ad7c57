"""Numbers that the ticks of a feed lack: holes between the numbers seen (docs/semantics.md,
"Gaps"), which are at the same time the memory of what was seen.

A number was seen if it is between the least and the greatest and in no hole. Before a hole is
emitted, ticks may split it; afterwards it keeps its ends, and ticks inside shrink what is missing.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from heapq import heappop, heappush
from typing import Final

from msgspec import Struct

from optionstream.schemas.derived import Gap
from optionstream.streams.core.ranges import cut_number
from optionstream.streams.core.ticks.bars import NEVER
from optionstream.streams.core.ticks.columns import Feed
from optionstream.streams.core.ticks.minutes import Windows

MAX_RANGES: Final = 1_000
"""Missing ranges that one gap lists, so that no record grows beyond what every store takes."""
_MAX_FRESH: Final = 40
"""Missing ranges of emitted holes that go into the hot part of the state; more are stored by
minute."""


class Hole(Struct, array_like=True):
    """Numbers ``first..last``, none of which was seen when it was emitted; ``missing`` are the
    inclusive ranges still missing. ``start`` and ``end`` are the times of the ticks just below
    and above, UTC epoch ms. Until it is emitted, ``revision`` is 0 and ``missing`` empty.
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
    """The holes of all numbered feeds of one session.

    ``due``: the lowest watermark at which a hole must be emitted. The minutes in which stored
    holes start that shrank are added to ``dirty``.
    """

    def __init__(self, windows: Windows, dirty: set[int]) -> None:
        self.feeds: dict[Feed, Numbers] = {}
        self.due = NEVER
        self._windows = windows
        self._dirty = dirty
        self._unemitted: list[tuple[int, int, Feed, Hole]] = []
        """A heap by end; the second number makes entries unequal. A hole that was split to nothing
        meanwhile has no numbers."""
        self._pushed = 0
        self.revised: list[tuple[Feed, Hole]] = []
        """Emitted holes that shrank since the last ``take_due``."""
        self._fresh: dict[tuple[Feed, int], Hole] = {}
        """Emitted holes that were not yet taken by minute, by feed and first."""

    # -- numbers ----------------------------------------------------------------------------

    def add_number(self, feed: Feed, number: int, ts: int) -> bool:
        """Note the number of a tick; False if it was seen before."""
        numbers = self.feeds.get(feed)
        if numbers is None or number > numbers.greatest:
            return self.add_run(feed, number, number, ts, ts)
        if number < numbers.least:
            self._open_hole(feed, numbers, 0, (number + 1, numbers.least - 1, ts, numbers.least_ts))
            numbers.least, numbers.least_ts = number, ts
            return True
        at = bisect_right(numbers.holes, number, key=_first) - 1
        if at < 0 or number > numbers.holes[at].last:
            return False
        if numbers.holes[at].revision:
            return self._shrink_hole(feed, numbers, at, number)
        self._split_hole(feed, numbers, at, number, ts)
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
            self._open_hole(feed, numbers, len(numbers.holes), hole)
        numbers.greatest, numbers.greatest_ts = high, high_ts
        return True

    def _open_hole(
        self, feed: Feed, numbers: Numbers, at: int, ends: tuple[int, int, int, int]
    ) -> None:
        """Insert a new hole (first, last, start, end) at a position, if it has a number."""
        first, last, start, end = ends
        if first <= last:
            hole = Hole(first, last, start, end)
            numbers.holes.insert(at, hole)
            self._schedule_hole(feed, hole)

    def _schedule_hole(self, feed: Feed, hole: Hole) -> None:
        heappush(self._unemitted, (hole.end, self._pushed, feed, hole))
        self._pushed += 1
        self.due = self._unemitted[0][0]

    def _split_hole(self, feed: Feed, numbers: Numbers, at: int, number: int, ts: int) -> None:
        """Split a hole that was not emitted yet at a tick's number: it becomes the part above, the
        part below is new."""
        hole = numbers.holes[at]
        below = (hole.first, number - 1, hole.start, ts)
        hole.first, hole.start = number + 1, ts
        if hole.first > hole.last:
            del numbers.holes[at]
        self._open_hole(feed, numbers, at, below)

    def _shrink_hole(self, feed: Feed, numbers: Numbers, at: int, number: int) -> bool:
        hole = numbers.holes[at]
        if not cut_number(hole.missing, number):
            return False
        hole.revision += 1
        self.revised.append((feed, hole))
        key = (feed, hole.first)
        if key not in self._fresh:
            self._dirty.add(self._windows.minute_of(hole.start))
        if not hole.missing:
            del numbers.holes[at]
            self._fresh.pop(key, None)
        return True

    # -- output -----------------------------------------------------------------------------

    def take_due(self, watermark: int) -> list[tuple[Feed, Hole]]:
        """Return the holes to emit at a watermark (UTC epoch ms): the new ones, and emitted ones
        that shrank since the last call; in order of (start, first, feed)."""
        due, self.revised = self.revised, []
        while self._unemitted and self._unemitted[0][0] <= watermark:
            _, _, feed, hole = heappop(self._unemitted)
            if hole.first <= hole.last:
                hole.revision, hole.missing = 1, [(hole.first, hole.last)]
                self._fresh[feed, hole.first] = hole
                due.append((feed, hole))
        self.due = self._unemitted[0][0] if self._unemitted else NEVER
        due.sort(key=lambda one: (one[1].start, one[1].first, one[0]))
        return due

    # -- state ------------------------------------------------------------------------------

    def overflowing_minutes(self) -> set[int]:
        """Return the minutes to store because the hot part would grow too large; mostly none."""
        ranges = sum(len(hole.missing) for hole in self._fresh.values())
        if ranges <= _MAX_FRESH:
            return set()
        return {self._windows.minute_of(hole.start) for hole in self._fresh.values()}

    def take_minutes(self, first: int, stop: int) -> list[tuple[Feed, Hole]]:
        """Return the emitted holes that start in the minutes ``first..stop-1``, which the caller
        stores: the hot part does without them from now on."""
        found = [
            (feed, hole)
            for feed, numbers in sorted(self.feeds.items())
            for hole in numbers.holes
            if hole.revision and first <= self._windows.minute_of(hole.start) < stop
        ]
        for feed, hole in found:
            self._fresh.pop((feed, hole.first), None)
        return found

    def hot(self) -> list[tuple[Feed, Numbers]]:
        """Return the feeds with the holes that ``take_minutes`` did not return."""
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
        """Restore the state saved as ``hot`` and by minutes."""
        self.feeds = dict(hot)
        for feed, numbers in self.feeds.items():
            for hole in numbers.holes:
                if hole.revision:
                    self._fresh[feed, hole.first] = hole
                else:
                    self._schedule_hole(feed, hole)
        for feed, hole in stored:
            self.feeds[feed].holes.append(hole)
        for numbers in self.feeds.values():
            numbers.holes.sort(key=_first)

    def _is_hot(self, feed: Feed, hole: Hole) -> bool:
        return not hole.revision or (feed, hole.first) in self._fresh


def _first(hole: Hole) -> int:
    return hole.first


def _ends(numbers: Numbers) -> tuple[int, int, int, int]:
    return numbers.least, numbers.least_ts, numbers.greatest, numbers.greatest_ts


def gap_of_hole(product: str, session: str, feed: Feed, hole: Hole, known_at: int) -> Gap:
    """Return the record of a hole in the numbers of ``feed``; ``session`` is the session's key."""
    source, label = feed
    return Gap(
        product=product,
        kind="sequence",
        session=session,
        source=source,
        label=label,
        first=hole.first,
        last=hole.last,
        missing=hole.missing[:MAX_RANGES],
        start=hole.start,
        end=hole.end,
        revision=hole.revision,
        filled=not hole.missing,
        known_at=known_at,
    )
