"""Every revision of every silence (docs/semantics.md, Gaps).

A silence depends on closed minutes only, and of each on its first and last time. So only these are
followed: what a minute held when it closed, and the later events that changed it.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator

import polars as pl

from optionstream.streams.verify.gaps.facts import GapFacts
from optionstream.streams.verify.ticks.journal_frames import Timeline

_MINUTE_MS = 60_000


def silences(timeline: Timeline, silence_ms: int) -> Iterator[GapFacts]:
    """Yield all revisions, session by session."""
    changes = _changes(timeline)
    for number, name, opened, close, closed_at in _closed_sessions(timeline).iter_rows():
        ledger = _Session(timeline.product, name, opened, close, silence_ms)
        mine = changes.filter(pl.col("session") == number).sort("at", "closing", "start")
        for at, start, first, last in mine.select("at", "start", "first", "last").iter_rows():
            ledger.close_by(at, closed_at)
            ledger.change_minute(start, first, last)
        ledger.close_by(None, closed_at)
        yield from ledger.found


class _Session:
    """The minutes of one session as they close, and the silences between them."""

    def __init__(self, product: str, name: str, opened: int, close: int, silence_ms: int) -> None:
        self.found: list[GapFacts] = []
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
        self._latest: dict[int, GapFacts] = {}
        """By start of the silence."""

    def close_by(self, at: int | None, closed_at: int | None) -> None:
        """Close the session if it has closed by ``at`` (None: the end of the log)."""
        if self._is_closed or closed_at is None or (at is not None and at <= closed_at):
            return
        self._is_closed = True
        self._note_changes({}, self._beside(len(self._minutes) - 1))

    def change_minute(self, minute: int, first: int, last: int) -> None:
        """Take a minute that closed, or a closed one whose first or last time changed."""
        place = bisect_left(self._minutes, minute)
        known = minute in self._bounds
        before = self._around(place) if known else self._beside(place - 1)
        if not known:
            insort(self._minutes, minute)
        self._bounds[minute] = (first, last)
        self._note_changes(before, self._around(place))

    def _around(self, place: int) -> dict[int, int]:
        """Return start and end of the silences before and after the minute at ``place``."""
        return self._beside(place - 1) | self._beside(place)

    def _beside(self, place: int) -> dict[int, int]:
        """Return the silence after the minute at ``place`` (-1: after the open), if any."""
        start = self._open if place < 0 else self._bounds[self._minutes[place]][1]
        if place + 1 < len(self._minutes):
            end = self._bounds[self._minutes[place + 1]][0]
        elif self._is_closed:
            end = self._close
        else:
            return {}
        return {start: end} if end - start > self._silence_ms else {}

    def _note_changes(self, before: dict[int, int], after: dict[int, int]) -> None:
        """Note the silences that changed, with their next revision."""
        for start in before.keys() - after.keys():
            self._revise(start, before[start], filled=True)
        for start, end in after.items():
            if before.get(start) != end:
                self._revise(start, end, filled=False)

    def _revise(self, start: int, end: int, *, filled: bool) -> None:
        known = self._latest.get(start)
        revision = known.revision + 1 if known else 1
        self._latest[start] = facts = GapFacts(
            self._product, "silence", self._name, start, end, revision, filled
        )
        self.found.append(facts)


def _closed_sessions(timeline: Timeline) -> pl.DataFrame:
    """Return session, name, session_open, session_close, closed_at (null: open)."""
    ending = timeline.sessions.with_columns(end="session_close")
    return (
        timeline.reached(ending, "end", "closed_at")
        .sort("session")
        .select("session", "name", "session_open", "session_close", "closed_at")
    )


def _changes(timeline: Timeline) -> pl.DataFrame:
    """Return what a minute held when it closed (``closing``) or after a late event changed it.

    Columns at, session, start (of the minute), first, last, closing.
    """
    placed = timeline.placed(_MINUTE_MS).select(
        "session", "start", "end", "session_closed_at", "at", "ts", "last_ts"
    )
    minutes = timeline.reached(placed.unique("start"), "end", "closed_at")
    grown = (
        placed.select("session", "start", "at", "ts", "last_ts")
        .with_columns(
            first=pl.col("ts").cum_min().over("start"),
            last=pl.col("last_ts").cum_max().over("start"),
            is_first=pl.int_range(pl.len()).over("start") == 0,
        )
        .filter(
            pl.col("is_first")
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
