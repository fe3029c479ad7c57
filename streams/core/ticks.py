"""The ticks of one product: which count, which repeat, which are refused, and their bars.

Implements the rules of docs/semantics.md ("Ticks", "Heartbeats"), one tick after the other. Runs of
ticks that are in order and new, the common case, are taken minute by minute instead: same
rules, same result, a fraction of the time.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass, field
from math import inf
from typing import Final

from msgspec import Struct

from optionstream.schemas import rejects
from optionstream.schemas.derived import Bar
from optionstream.schemas.errors import CalendarError
from optionstream.schemas.times import DAY_MS, IST_OFFSET_MS
from optionstream.streams.core.bars import SessionBars
from optionstream.streams.core.calendar import CASH, Calendar, Session
from optionstream.streams.core.cells import BLOCK_MS, CELL_MS, cell_of_run
from optionstream.streams.core.columns import Columns, Feed
from optionstream.streams.core.ranges import RangeSet

EARLIEST_MS: Final = 946_684_800_000
LATEST_MS: Final = 4_102_444_800_000
MAX_WAITING: Final = 8
_SHORT_RUN: Final = 4

Place = Callable[[int], tuple[int, int]]
"""From a position in columns to (offset of the record, position in it)."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What the rules depend on: the calendar and the settings."""

    calendar: Calendar
    lateness_ms: int
    future_limit_ms: int | None
    """None where events may lie ahead of their receipt (replays)."""


class Waiting(Struct, array_like=True):
    """The first tick of a session that no second event has confirmed yet."""

    feed: Feed
    ts: int
    price: float
    order: int
    volume: int | None
    id: int | None
    ts_recv: int
    partition_offset: int
    """Offset of the record it came in, for the reject if it is refused in the end."""
    position: int
    """Position in that record."""


class Counts(Struct):
    """What became of the ticks of one product. ``held`` ones wait for a second event."""

    accepted: int = 0
    outside_session: int = 0
    duplicates: int = 0
    held: int = 0
    heartbeats: int = 0
    rejects: dict[str, int] = {}


@dataclass(slots=True)
class Outcome:
    """What applying events gave: bars in order, and refused ticks by reason.

    ``refused`` maps a reason to positions in the columns; ``late_waiting`` are ticks of earlier
    columns that were refused only now.
    """

    bars: list[Bar] = field(default_factory=list)
    refused: dict[str, list[int]] = field(default_factory=dict)
    late_waiting: list[Waiting] = field(default_factory=list)


def _same_place(at: int) -> tuple[int, int]:
    return 0, at


class ProductTicks:
    """The state of one product."""

    def __init__(self, product: str, rules: Rules) -> None:
        self.product = product
        self.rules = rules
        self.counts = Counts(rejects={})
        self.bars: SessionBars | None = None
        self.seen: dict[Feed, RangeSet] = {}
        self.seen_ids: dict[int, dict[Feed, set[int]]] = {}
        """By minute of the session."""
        self.waiting: dict[int, Waiting] = {}
        """By opening time of the session."""
        self.known_at = 0
        self.changed_blocks: set[int] = set()
        """Blocks of the session in which a closed bar was made or revised; see core.snapshot."""

    # -- events -----------------------------------------------------------------------------

    def apply(self, columns: Columns, place: Place = _same_place) -> Outcome:
        """Apply ticks in order; ``place`` tells where the tick at a position came from."""
        outcome = Outcome()
        self.known_at = max(self.known_at, columns.last_recv)
        count = len(columns.ts)
        runs = count >= _SHORT_RUN and self._is_orderly(columns)
        at = 0
        while at < count:
            after = self._apply_run(columns, at, outcome) if runs else at
            if after == at:
                self._apply_tick(columns, at, place, outcome)
                after = at + 1
            at = after
        return outcome

    def heartbeat(self, ts: int, ts_recv: int) -> Outcome:
        """Apply the feed's word that time has reached ``ts``."""
        outcome = Outcome()
        self.counts.heartbeats += 1
        limit = self.rules.future_limit_ms
        if limit is not None and ts > ts_recv + limit:
            return outcome
        session = self._session_before(ts)
        if session is None:
            return outcome
        self.known_at = max(self.known_at, ts_recv)
        current = self.bars.session if self.bars else None
        if current is None or session.open_ms > current.open_ms:
            first = self.waiting.get(session.open_ms)
            if first is None:
                return outcome
            self._begin(session, outcome)
            self._accept(first, outcome)
        elif session.open_ms < current.open_ms:
            return outcome
        lateness = self.rules.lateness_ms
        self._advance(min(ts, session.close_ms + lateness) - lateness, outcome)
        return outcome

    # -- runs -------------------------------------------------------------------------------

    def _is_orderly(self, columns: Columns) -> bool:
        """Rising times and numbers, good prices and volumes, none from the future."""
        ts, order, volume = columns.ts, columns.order, columns.volume
        first = order[0]
        limit = self.rules.future_limit_ms
        return (
            ts[0] >= EARLIEST_MS
            and ts[-1] < LATEST_MS
            and (limit is None or ts[-1] <= columns.first_recv + limit)
            and order[-1] - first == len(order) - 1
            and order == list(range(first, first + len(order)))
            and ts == sorted(ts)
            and min(columns.price) > 0
            and max(columns.price) < inf
            and (volume is None or None not in volume)
        )

    def _apply_run(self, columns: Columns, at: int, outcome: Outcome) -> int:
        """Take the ticks from ``at`` to the end of their minute; ``at`` when they need the long
        way."""
        bars = self.bars
        ts = columns.ts
        if bars is None or not bars.session.open_ms <= ts[at] < bars.session.close_ms:
            return at
        minute = bars.minute_of(ts[at])
        if not bars.is_open(minute):
            return at
        end = min(bars.session.open_ms + (minute + 1) * CELL_MS, bars.session.close_ms)
        stop = bisect_left(ts, end, at)
        if not self._see_run(columns, minute, at, stop):
            return at
        cell = cell_of_run(ts, columns.order, columns.price, columns.volume, at, stop)
        bars.add_cell(minute, cell)
        self.counts.accepted += stop - at
        self._advance(ts[stop - 1] - self.rules.lateness_ms, outcome)
        return stop

    def _see_run(self, columns: Columns, minute: int, at: int, stop: int) -> bool:
        """Note the identities of a run; False, and nothing noted, when one was seen before."""
        if columns.ids is None:
            seen = self.seen.get(columns.feed)
            if seen is None:
                seen = self.seen[columns.feed] = RangeSet()
            return seen.add_range(columns.order[at], columns.order[stop - 1])
        ids = columns.ids[at:stop]
        known = self._ids_of(minute, columns.feed)
        fresh = set(ids)
        if len(fresh) < len(ids) or not known.isdisjoint(fresh):
            return False
        known |= fresh
        return True

    def _ids_of(self, minute: int, feed: Feed) -> set[int]:
        return self.seen_ids.setdefault(minute, {}).setdefault(feed, set())

    # -- single ticks -----------------------------------------------------------------------

    def _apply_tick(
        self,
        columns: Columns,
        at: int,
        place: Place,
        outcome: Outcome,
    ) -> None:
        ts, price = columns.ts[at], columns.price[at]
        recv = columns.recv_of(at)
        reason = self._fault(ts, price, recv)
        if reason is not None:
            self._refuse(reason, at, outcome)
            return
        bars = self.bars
        if bars is not None and bars.session.open_ms <= ts < bars.session.close_ms:
            session: Session | None = bars.session
        else:
            try:
                session = self.rules.calendar.session_at(CASH, ts)
            except CalendarError:
                self._refuse(rejects.NO_CALENDAR, at, outcome)
                return
        if session is None:
            self.counts.outside_session += 1
            return
        tick = Waiting(
            columns.feed,
            ts,
            price,
            columns.order[at],
            None if columns.volume is None else columns.volume[at],
            None if columns.ids is None else columns.ids[at],
            recv,
            *place(at),
        )
        if bars is None or session.open_ms != bars.session.open_ms:
            if bars is not None and session.open_ms < bars.session.open_ms:
                self._refuse(rejects.TOO_LATE, at, outcome)
                return
            if not self._confirm(session, tick, at, outcome):
                return
        self._accept(tick, outcome)

    def _fault(self, ts: int, price: float, recv: int) -> str | None:
        if not EARLIEST_MS <= ts < LATEST_MS:
            return rejects.BAD_TIME
        if not 0 < price < inf:
            return rejects.BAD_PRICE
        limit = self.rules.future_limit_ms
        if limit is not None and ts > recv + limit:
            return rejects.FUTURE_EVENT
        return None

    def _confirm(self, session: Session, tick: Waiting, at: int, outcome: Outcome) -> bool:
        """A tick of a later session: True when it confirms that session, which then begins."""
        first = self.waiting.get(session.open_ms)
        if first is None:
            if len(self.waiting) >= MAX_WAITING:
                self._refuse(rejects.UNCONFIRMED_SESSION, at, outcome)
            else:
                self.waiting[session.open_ms] = tick
                self.counts.held += 1
            return False
        if self._identity(session, first) == self._identity(session, tick):
            self.counts.duplicates += 1
            return False
        self._begin(session, outcome)
        self._accept(first, outcome)
        return True

    @staticmethod
    def _identity(session: Session, tick: Waiting) -> tuple[Feed, int, int | None]:
        if tick.id is None:
            return tick.feed, tick.order, None
        return tick.feed, (tick.ts - session.open_ms) // CELL_MS, tick.id

    def _accept(self, tick: Waiting, outcome: Outcome) -> None:
        """A tick of the current session: count it once."""
        bars = self.bars
        assert bars is not None
        minute = bars.minute_of(tick.ts)
        if not self._see(tick, minute):
            self.counts.duplicates += 1
            return
        self.counts.accepted += 1
        revised = bars.add_tick(tick.ts, tick.order, tick.price, tick.volume, self.known_at)
        self._emit(revised, outcome)
        self._advance(tick.ts - self.rules.lateness_ms, outcome)

    def _see(self, tick: Waiting, minute: int) -> bool:
        if tick.id is None:
            return self.seen.setdefault(tick.feed, RangeSet()).add(tick.order)
        known = self._ids_of(minute, tick.feed)
        if tick.id in known:
            return False
        known.add(tick.id)
        return True

    def _refuse(self, reason: str, at: int, outcome: Outcome) -> None:
        outcome.refused.setdefault(reason, []).append(at)
        self.count_reject(reason)

    def count_reject(self, reason: str, events: int = 1) -> None:
        """Count refused events."""
        self.counts.rejects[reason] = self.counts.rejects.get(reason, 0) + events

    # -- sessions ---------------------------------------------------------------------------

    def _begin(self, session: Session, outcome: Outcome) -> None:
        """Close the current session and begin ``session``, whose waiting tick the caller takes."""
        if self.bars is not None:
            outcome.bars += self.bars.close(self.known_at)
        self.bars = SessionBars(self.product, session)
        self.seen, self.seen_ids = {}, {}
        self.changed_blocks = set()
        for opened in sorted(self.waiting):
            if opened < session.open_ms:
                self.counts.held -= 1
                self.count_reject(rejects.TOO_LATE)
                outcome.late_waiting.append(self.waiting.pop(opened))
        del self.waiting[session.open_ms]
        self.counts.held -= 1

    def _advance(self, watermark: int, outcome: Outcome) -> None:
        bars = self.bars
        assert bars is not None
        self._emit(bars.advance(watermark, self.known_at), outcome)

    def _emit(self, bars: list[Bar], outcome: Outcome) -> None:
        """Send closed or revised bars of the current session."""
        if bars:
            assert self.bars is not None
            opened = self.bars.session.open_ms
            outcome.bars += bars
            self.changed_blocks.update((bar.start - opened) // BLOCK_MS for bar in bars)

    def _session_before(self, ts: int) -> Session | None:
        """The session open at ``ts``, or the last one of its IST date that has ended by then."""
        if not EARLIEST_MS <= ts < LATEST_MS:
            return None
        bars = self.bars
        if bars is not None and bars.session.open_ms <= ts < bars.session.close_ms:
            return bars.session
        try:
            sessions = self.rules.calendar.sessions_on(CASH, (ts + IST_OFFSET_MS) // DAY_MS)
        except CalendarError:
            return None
        begun = [session for session in sessions if session.open_ms <= ts]
        return begun[-1] if begun else None
