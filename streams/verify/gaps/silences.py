"""Every revision of every silence (docs/semantics.md, Gaps).

What can be told depends on closed minutes only, and of each on its first and last time. So only
these are followed: what a minute held when it closed, and the later events that changed it.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator
from typing import NamedTuple

import polars as pl

from optionstream.streams.verify.gaps.facts import GapFacts
from optionstream.streams.verify.ticks.journal_frames import Timeline

_MINUTE_MS = 60_000


def silences(timeline: Timeline, silence_ms: int) -> Iterator[GapFacts]:
    """All revisions, session by session."""
    changes = _changes(timeline)
    for number, name, opened, close, closed_at in _closed_sessions(timeline).iter_rows():
        ledger = _Session(timeline.product, name, opened, close, silence_ms)
        mine = changes.filter(pl.col("session") == number).sort("at", "closing", "start")
        for at, start, first, last in mine.select("at", "start", "first", "last").iter_rows():
            ledger.close(at, closed_at)
            ledger.change(start, first, last)
        ledger.close(None, closed_at)
        yield from ledger.told


class _Told(NamedTuple):
    """The last telling of a silence."""

    end: int
    revision: int
    filled: bool


class _Session:
    """The closed minutes of one session as they come to be, and the silences between them."""

    def __init__(self, product: str, name: str, opened: int, close: int, silence_ms: int) -> None:
        self.told: list[GapFacts] = []
        self._product = product
        self._name = name
        self._open = opened
        self._close = close
        self._silence_ms = silence_ms
        self._minutes: list[int] = []
        """Starts of the closed minutes that hold events, in order."""
        self._bounds: dict[int, tuple[int, int]] = {}
        """By start, first and last time."""
        self._is_closed = False
        self._latest: dict[int, _Told] = {}
        """By start of the silence."""

    def close(self, at: int | None, closed_at: int | None) -> None:
        """The session closes if it has by ``at`` (None: the end of the log)."""
        if self._is_closed or closed_at is None or (at is not None and at <= closed_at):
            return
        self._is_closed = True
        self._tell({}, self._beside(len(self._minutes) - 1))

    def change(self, minute: int, first: int, last: int) -> None:
        """A minute closed, or a closed minute's first or last time changed."""
        place = bisect_left(self._minutes, minute)
        known = minute in self._bounds
        before = self._around(place) if known else self._beside(place - 1)
        if not known:
            insort(self._minutes, minute)
        self._bounds[minute] = (first, last)
        self._tell(before, self._around(place))

    def _around(self, place: int) -> dict[int, int]:
        """The silences before and after the minute at ``place``: start and end."""
        return self._beside(place - 1) | self._beside(place)

    def _beside(self, place: int) -> dict[int, int]:
        """The silence after the minute at ``place`` (-1: after the open), if there is one."""
        start = self._open if place < 0 else self._bounds[self._minutes[place]][1]
        if place + 1 < len(self._minutes):
            end = self._bounds[self._minutes[place + 1]][0]
        elif self._is_closed:
            end = self._close
        else:
            return {}
        return {start: end} if end - start > self._silence_ms else {}

    def _tell(self, before: dict[int, int], after: dict[int, int]) -> None:
        """Tell what of some silences changed."""
        for start in before.keys() - after.keys():
            self._revise(start, before[start], filled=True)
        for start, end in after.items():
            if before.get(start) != end:
                self._revise(start, end, filled=False)

    def _revise(self, start: int, end: int, *, filled: bool) -> None:
        known = self._latest.get(start)
        revision = known.revision + 1 if known else 1
        self._latest[start] = _Told(end, revision, filled)
        self.told.append(
            GapFacts(
                product=self._product,
                kind="silence",
                session=self._name,
                source="",
                label="",
                first=None,
                last=None,
                missing=(),
                start=start,
                end=end,
                revision=revision,
                filled=filled,
            )
        )


def _closed_sessions(timeline: Timeline) -> pl.DataFrame:
    """session, name, session_open, session_close, closed_at (null: open)."""
    ending = timeline.sessions.with_columns(end="session_close")
    return (
        timeline.closed_at(ending)
        .sort("session")
        .select("session", "name", "session_open", "session_close", "closed_at")
    )


def _changes(timeline: Timeline) -> pl.DataFrame:
    """at, session, start (of a minute), first, last, closing: what a minute held when it closed
    (``closing``) or after a late event that changed it."""
    placed = timeline.placed(_MINUTE_MS).select(
        "session", "start", "end", "session_closed_at", "at", "ts", "last_ts"
    )
    minutes = timeline.closed_at(placed.unique("start").drop("at", "ts", "last_ts"))
    grown = (
        placed.select("session", "start", "at", "ts", "last_ts")
        .with_columns(
            first=pl.col("ts").cum_min().over("start"),
            last=pl.col("last_ts").cum_max().over("start"),
            begins=pl.int_range(pl.len()).over("start") == 0,
        )
        .filter(
            pl.col("begins")
            | (pl.col("first") != pl.col("first").shift(1))
            | (pl.col("last") != pl.col("last").shift(1))
        )
        .join(minutes.select("start", "closed_at"), on="start")
        .filter(pl.col("closed_at").is_not_null())
        .select("at", "session", "start", "first", "last", "closed_at")
    )
    in_time = pl.col("at") <= pl.col("closed_at")
    closing = grown.filter(in_time).sort("at").unique("start", keep="last", maintain_order=True)
    closing = closing.with_columns(at="closed_at", closing=pl.lit(value=True))
    late = grown.filter(~in_time).with_columns(closing=pl.lit(value=False))
    return pl.concat([closing, late]).drop("closed_at")
