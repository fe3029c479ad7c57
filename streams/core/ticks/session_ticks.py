"""The current session of one product: its minutes, what was seen in it, and what it lacks.

Runs of ticks that are in order and new, the common case, are taken minute by minute, all else one
by one: same rules, same result, a fraction of the time.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass, field

from optionstream.schemas.derived import Bar, Gap
from optionstream.streams.core.market.calendar import Session
from optionstream.streams.core.rules import Rules
from optionstream.streams.core.sessions import SessionOutcome
from optionstream.streams.core.ticks.bars import SessionBars
from optionstream.streams.core.ticks.cells import cell_of_run
from optionstream.streams.core.ticks.columns import Columns, Feed
from optionstream.streams.core.ticks.holes import Holes, gap_of_hole
from optionstream.streams.core.ticks.silences import Silences, gap_of_silence
from optionstream.streams.core.ticks.singles import Single, SingleCandle
from optionstream.streams.core.watermark import Watermark

IdRow = tuple[int, str, str, list[int]]
"""(minute, source, session label, ids)."""


@dataclass(slots=True)
class Outcome(SessionOutcome[Single]):
    """What applying events gave: bars and gaps in order, and refused ticks or candles."""

    bars: list[Bar] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)


class MinuteIds:
    """Whole numbers that identify events of one minute and one feed, as far as they were seen."""

    def __init__(self) -> None:
        self._ids: dict[int, dict[Feed, set[int]]] = {}

    def add_id(self, minute: int, feed: Feed, identity: int) -> bool:
        """Note one; False if it was there."""
        known = self._ids_of(minute, feed)
        if identity in known:
            return False
        known.add(identity)
        return True

    def add_ids(self, minute: int, feed: Feed, ids: list[int]) -> bool:
        """Note all; False, and nothing noted, if one was there or occurs twice."""
        known = self._ids_of(minute, feed)
        fresh = set(ids)
        if len(fresh) < len(ids) or not known.isdisjoint(fresh):
            return False
        known |= fresh
        return True

    def rows(self, first: int, stop: int) -> list[IdRow]:
        """Return the identities of the minutes ``first..stop-1``, in order."""
        return [
            (minute, *feed, sorted(ids))
            for minute, feeds in sorted(self._ids.items())
            if first <= minute < stop
            for feed, ids in sorted(feeds.items())
        ]

    def restore(self, rows: Iterable[IdRow]) -> None:
        """Add identities seen before."""
        for minute, source, label, ids in rows:
            self._ids_of(minute, (source, label)).update(ids)

    def _ids_of(self, minute: int, feed: Feed) -> set[int]:
        return self._ids.setdefault(minute, {}).setdefault(feed, set())


class SessionTicks:
    """All that is kept of one session; ``known_at`` is what its outputs are stamped with."""

    def __init__(self, product: str, session: Session, rules: Rules) -> None:
        self.product = product
        self.session = session
        self.watermark = Watermark(rules.lateness_ms, session.open_ms)
        self.dirty: set[int] = set()
        """Minutes of which anything that had ended changed since this was last emptied."""
        self.bars = SessionBars(product, session, self.watermark, self.dirty)
        self.silences = Silences(self.bars, rules.silence_ms, self.dirty)
        self.holes = Holes(self.bars.windows, self.dirty)
        self.ids = MinuteIds()
        """Of ticks without number."""
        self.candles = MinuteIds()
        """Lengths of the candles that start in a minute."""

    # -- events -----------------------------------------------------------------------------

    def apply_run(self, columns: Columns, at: int, known_at: int, outcome: Outcome) -> int:
        """Apply the ticks of orderly columns from ``at`` to the end of their minute; return the
        position after them, or ``at`` if they have to be applied one by one."""
        ts, bars, session = columns.ts, self.bars, self.session
        if not session.open_ms <= ts[at] < session.close_ms:
            return at
        minute = bars.windows.minute_of(ts[at])
        if not bars.is_open(minute):
            return at
        stop = bisect_left(ts, bars.windows.instant(minute + 1), at)
        if not self._see_run(columns, minute, at, stop):
            return at
        cell = cell_of_run(ts, columns.order, columns.price, columns.volume, at, stop)
        bars.add_cell(minute, cell)
        self._advance_along(ts, at, stop, known_at, outcome)
        return stop

    def apply_event(self, event: Single, known_at: int, outcome: Outcome) -> bool:
        """Apply an event of the session; False if it was seen before."""
        bars = self.bars
        minute = bars.windows.minute_of(event.ts)
        if not self._see_event(event, minute):
            return False
        cell = event.cell(self.session)
        if bars.is_open(minute):
            bars.add_cell(minute, cell)
        else:
            there = bars.minutes.cells.get(minute)
            last_before = None if there is None else there.last_ts
            outcome.bars += bars.revise_minute(minute, cell, known_at)
            self.silences.note_revised(minute, last_before)
        self.advance(self.watermark.after(event.last_ts(self.session)), known_at, outcome)
        return True

    def _see_run(self, columns: Columns, minute: int, at: int, stop: int) -> bool:
        """Note the identities of a run; False, and nothing noted, if one may be known."""
        if columns.ids is not None:
            return self.ids.add_ids(minute, columns.feed, columns.ids[at:stop])
        order, ts, last = columns.order, columns.ts, stop - 1
        return self.holes.add_run(columns.feed, order[at], order[last], ts[at], ts[last])

    def _see_event(self, event: Single, minute: int) -> bool:
        if isinstance(event, SingleCandle):
            return self.candles.add_id(minute, event.feed, event.interval_ms)
        if event.id is not None:
            return self.ids.add_id(minute, event.feed, event.id)
        return self.holes.add_number(event.feed, event.order, event.ts)

    # -- time -------------------------------------------------------------------------------

    def advance(self, instant: int, known_at: int, outcome: Outcome) -> None:
        """End an event: move the watermark to ``instant`` and emit the bars and gaps it brings."""
        bars, holes, silences = self.bars, self.holes, self.silences
        if instant < bars.next_end:
            self.watermark.raise_to(instant)
        else:
            before = bars.ended
            outcome.bars += bars.advance(instant, known_at)
            silences.note_ended(before)
        if silences.doubtful or holes.revised or holes.due <= self.watermark.reached_ms:
            self._emit_gaps(known_at, outcome)

    def _emit_gaps(self, known_at: int, outcome: Outcome) -> None:
        key = self.session.key
        for silence in self.silences.take_changed():
            outcome.gaps.append(gap_of_silence(self.product, key, silence, known_at))
        for feed, hole in self.holes.take_due(self.watermark.reached_ms):
            outcome.gaps.append(gap_of_hole(self.product, key, feed, hole, known_at))

    def close(self, known_at: int, outcome: Outcome) -> None:
        """End the session: every window becomes final."""
        self.advance(self.session.close_ms, known_at, outcome)

    def _advance_along(
        self, ts: list[int], at: int, stop: int, known_at: int, outcome: Outcome
    ) -> None:
        """Advance as after each of the ticks ``at..stop-1``, skipping those that emit nothing."""
        bars, holes, watermark = self.bars, self.holes, self.watermark
        reached = watermark.after(ts[stop - 1])
        while min(bars.next_end, holes.due) <= reached or holes.due <= watermark.reached_ms:
            due = min(bars.next_end, holes.due)
            if due > watermark.reached_ms:
                at = bisect_left(ts, watermark.earliest_ts(due), at, stop)
            self.advance(watermark.after(ts[at]), known_at, outcome)
        watermark.raise_to(reached)
