"""Every revision of every hole in the numbers of a feed (docs/semantics.md, Gaps).

A tick that carries the next number changes nothing. The others are followed one by one: those that
leave numbers out, and those that bring what was left out.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import polars as pl

from optionstream.streams.verify.gaps.facts import GapFacts, Missing
from optionstream.streams.verify.ticks.journal import Feed
from optionstream.streams.verify.ticks.journal_frames import Timeline

_NEVER = (1 << 63) - 1
_MOST_NAMED = 1_000
"""Ranges that a gap names."""


class _Step(NamedTuple):
    """A tick that is not just the next of its feed.

    ``top`` and ``bottom`` are the greatest and the least number before it, with their times;
    ``due`` and ``bottom_due`` are when time comes to it and to the least.
    """

    at: int
    number: int
    ts: int
    top: int
    top_ts: int
    bottom: int
    bottom_ts: int
    due: int
    bottom_due: int


def holes(timeline: Timeline) -> Iterator[GapFacts]:
    """Yield all revisions, feed by feed."""
    names = dict(timeline.sessions.select("session", "name").iter_rows())
    feeds = dict(enumerate(timeline.feeds))
    for (session, feed), steps in _steps(timeline).group_by("session", "feed"):
        numbers = _Numbers()
        for step in steps.sort("at").select(_Step._fields).iter_rows():
            numbers.take_step(_Step._make(step))
        for hole in numbers.reported():
            yield from _revisions(hole, timeline.product, names[session], feeds[feed])


@dataclass(slots=True)
class _Hole:
    """Numbers ``first`` to ``last``, none of them there when the hole came to be at ``since``.

    ``due`` is when time has come to ``end``. Once reported a hole keeps its ends; ``missing`` is
    what of it is missing then and after each later tick, as far as a gap names it.
    """

    first: int
    last: int
    start: int
    end: int
    since: int
    due: int
    missing: list[Missing] = field(init=False)
    _left: list[tuple[int, int]] = field(init=False)
    """All that is missing now, in order."""

    def __post_init__(self) -> None:
        self._left = [(self.first, self.last)]
        self.missing = [tuple(self._left)]

    @property
    def reported_at(self) -> int:
        return max(self.since, self.due)

    def fill(self, number: int) -> None:
        """Take a number that was missing."""
        at = bisect_right(self._left, (number, _NEVER)) - 1
        first, last = self._left[at]
        parts = ((first, number - 1), (number + 1, last))
        self._left[at : at + 1] = [part for part in parts if part[0] <= part[1]]
        self.missing.append(tuple(self._left[:_MOST_NAMED]))


class _Numbers:
    """The holes of one feed in one session."""

    def __init__(self) -> None:
        self._firsts: list[int] = []
        self._holes: dict[int, _Hole] = {}
        """By first number."""

    def reported(self) -> Iterator[_Hole]:
        """Yield the holes for which time has come."""
        return (hole for hole in self._holes.values() if hole.reported_at < _NEVER)

    def take_step(self, step: _Step) -> None:
        """Note the hole that a tick leaves, or fill one with it."""
        if step.number > step.top:
            self._add(_Hole(step.top + 1, step.number - 1, step.top_ts, step.ts, step.at, step.due))
        elif step.number < step.bottom:
            ends = step.number + 1, step.bottom - 1, step.ts, step.bottom_ts
            self._add(_Hole(*ends, step.at, step.bottom_due))
        else:
            self._fill(step)

    def _fill(self, step: _Step) -> None:
        place = bisect_right(self._firsts, step.number) - 1
        hole = self._holes[self._firsts[place]]
        if hole.reported_at < step.at:
            hole.fill(step.number)
            return
        del self._holes[self._firsts.pop(place)]
        self._add(_Hole(hole.first, step.number - 1, hole.start, step.ts, step.at, step.due))
        self._add(_Hole(step.number + 1, hole.last, step.ts, hole.end, step.at, hole.due))

    def _add(self, hole: _Hole) -> None:
        if hole.first <= hole.last:
            insort(self._firsts, hole.first)
            self._holes[hole.first] = hole


def _revisions(hole: _Hole, product: str, session: str, feed: Feed) -> Iterator[GapFacts]:
    for revision, missing in enumerate(hole.missing, 1):
        yield GapFacts(
            product=product,
            kind="sequence",
            session=session,
            source=feed.source,
            label=feed.label,
            first=hole.first,
            last=hole.last,
            missing=missing,
            start=hole.start,
            end=hole.end,
            revision=revision,
            filled=not missing,
        )


def _steps(timeline: Timeline) -> pl.DataFrame:
    """Return the ticks that are not just the next of their feed: session, feed and `_Step`."""
    feed = ["session", "feed"]
    number, ts = pl.col("number"), pl.col("ts")
    greatest, least = number.cum_max().over(feed), number.cum_min().over(feed)
    known = (
        timeline.events.filter(pl.col("feed").is_not_null())
        .select("session", "feed", "at", "number", "ts")
        .with_columns(greatest=greatest, least=least)
        .with_columns(
            top=pl.col("greatest").shift(1).over(feed),
            bottom=pl.col("least").shift(1).over(feed),
            top_ts=pl.when(number == pl.col("greatest")).then(ts).forward_fill().over(feed),
            bottom_ts=pl.when(number == pl.col("least")).then(ts).forward_fill().over(feed),
        )
        .with_columns(
            top_ts=pl.col("top_ts").shift(1).over(feed),
            bottom_ts=pl.col("bottom_ts").shift(1).over(feed),
        )
        .filter((number < pl.col("top")) | (number > pl.col("top") + 1))
    )
    closed = timeline.sessions.select("session", "session_closed_at")
    steps = timeline.reached(known.join(closed, on="session", how="left"), "ts", "due")
    steps = timeline.reached(steps, "bottom_ts", "bottom_due")
    return steps.with_columns(pl.col("due", "bottom_due").fill_null(_NEVER))
