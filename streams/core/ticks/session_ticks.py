"""The current session of one product: its minutes, what was seen in it, and what it lacks.

Runs of ticks that are in order and new, the common case, are taken minute by minute, all else one
by one: same rules, same result, a fraction of the time.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, field

from optionstream.schemas.derived import Bar, Gap
from optionstream.streams.core.market.calendar import Session
from optionstream.streams.core.rules import Rules
from optionstream.streams.core.ticks.bars import SessionBars
from optionstream.streams.core.ticks.cells import cell_of_run
from optionstream.streams.core.ticks.columns import Columns
from optionstream.streams.core.ticks.holes import Holes
from optionstream.streams.core.ticks.minute_ids import MinuteIds
from optionstream.streams.core.ticks.silences import Silences, gap_of_hole, gap_of_silence
from optionstream.streams.core.ticks.singles import Single, SingleCandle


@dataclass(slots=True)
class Outcome:
    """What applying events gave: bars and gaps in order, and refused ticks or candles.

    ``refused`` maps a reason to positions in the columns; ``late_waiting`` are events of earlier
    records that were refused only now.
    """

    bars: list[Bar] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)
    refused: dict[str, list[int]] = field(default_factory=dict)
    late_waiting: list[Single] = field(default_factory=list)


class SessionTicks:
    """All that is kept of one session; ``known_at`` is what its outputs are stamped with."""

    def __init__(self, product: str, session: Session, rules: Rules) -> None:
        self.product = product
        self.session = session
        self.changed_blocks: set[int] = set()
        """Blocks of the session to be stored anew; see core.snapshot."""
        self.bars = SessionBars(product, session, self.changed_blocks)
        self.silences = Silences(self.bars, rules.silence_ms, self.changed_blocks)
        self.holes = Holes(self.bars.windows, self.changed_blocks)
        self.ids = MinuteIds()
        """Of ticks without number."""
        self.candles = MinuteIds()
        """Lengths of the candles that start in a minute."""
        self._lateness_ms = rules.lateness_ms

    # -- events -----------------------------------------------------------------------------

    def apply_run(self, columns: Columns, at: int, known_at: int, outcome: Outcome) -> int:
        """Take the ticks of orderly columns from ``at`` to the end of their minute; returns the
        position after them, or ``at`` when they need the long way."""
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
        bars.add(minute, cell)
        self._advance_along(ts, at, stop, known_at, outcome)
        return stop

    def apply(self, event: Single, known_at: int, outcome: Outcome) -> bool:
        """Take an event of the session; False when it was seen before."""
        bars = self.bars
        minute = bars.windows.minute_of(event.ts)
        if not self._see(event, minute):
            return False
        cell = event.cell(self.session)
        if bars.is_open(minute):
            bars.add(minute, cell)
        else:
            there = bars.minutes.cells.get(minute)
            last_before = None if there is None else there.last_ts
            outcome.bars += bars.revise(minute, cell, known_at)
            self.silences.minute_revised(minute, last_before)
        self.advance(event.last_ts(self.session) - self._lateness_ms, known_at, outcome)
        return True

    def _see_run(self, columns: Columns, minute: int, at: int, stop: int) -> bool:
        """Note the identities of a run; False, and nothing noted, when it needs the long way."""
        if columns.ids is not None:
            return self.ids.add_all(minute, columns.feed, columns.ids[at:stop])
        order, ts, last = columns.order, columns.ts, stop - 1
        return self.holes.add_run(columns.feed, order[at], order[last], ts[at], ts[last])

    def _see(self, event: Single, minute: int) -> bool:
        if isinstance(event, SingleCandle):
            return self.candles.add(minute, event.feed, event.interval_ms)
        if event.id is not None:
            return self.ids.add(minute, event.feed, event.id)
        return self.holes.add(event.feed, event.order, event.ts)

    # -- time -------------------------------------------------------------------------------

    def advance(self, watermark: int, known_at: int, outcome: Outcome) -> None:
        """End an event: move the watermark forward, and tell what it brings."""
        bars, holes, silences = self.bars, self.holes, self.silences
        if watermark < bars.next_end:
            bars.advance(watermark, known_at)
        else:
            before = bars.ended
            outcome.bars += bars.advance(watermark, known_at)
            silences.minutes_ended(before)
        if silences.doubtful or holes.revised or holes.due <= bars.watermark:
            self._tell(known_at, outcome)

    def _tell(self, known_at: int, outcome: Outcome) -> None:
        key = self.session.key
        for silence in self.silences.take():
            outcome.gaps.append(gap_of_silence(self.product, key, silence, known_at))
        for feed, hole in self.holes.take(self.bars.watermark):
            outcome.gaps.append(gap_of_hole(self.product, key, feed, hole, known_at))

    def close(self, known_at: int, outcome: Outcome) -> None:
        """End the session: every window becomes final."""
        self.advance(self.session.close_ms, known_at, outcome)

    def _advance_along(
        self, ts: list[int], at: int, stop: int, known_at: int, outcome: Outcome
    ) -> None:
        """As ``advance`` after each of the ticks ``at..stop-1``; only those that bring something
        are looked at."""
        bars, holes, lateness = self.bars, self.holes, self._lateness_ms
        reached = ts[stop - 1] - lateness
        while bars.next_end <= reached or holes.due <= reached or holes.due <= bars.watermark:
            due = min(bars.next_end, holes.due)
            if due > bars.watermark:
                at = bisect_left(ts, due + lateness, at, stop)
            self.advance(ts[at] - lateness, known_at, outcome)
        bars.advance(reached, known_at)
