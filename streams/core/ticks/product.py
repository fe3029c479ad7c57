"""The ticks and candles of one product: which count, which repeat, which are refused.

Implements docs/semantics.md ("Ticks", "Candles", "Heartbeats") together with ``core.sessions``;
what happens within a session is in ``session_ticks``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from optionstream.schemas.events import CandleFrame
from optionstream.schemas.times import DAY_MS, IST_OFFSET_MS
from optionstream.streams.core.counts import Counts
from optionstream.streams.core.market.calendar import CASH, Session
from optionstream.streams.core.rules import EARLIEST_MS, LATEST_MS, Rules
from optionstream.streams.core.sessions import SessionEvents
from optionstream.streams.core.ticks.columns import Columns
from optionstream.streams.core.ticks.session_ticks import Outcome, SessionTicks
from optionstream.streams.core.ticks.singles import Single, candle_at, tick_at

_SHORT_RUN: Final = 4

Place = Callable[[int], tuple[int, int]]
"""From a position in columns to (offset of the record, position in it)."""


def _same_place(at: int) -> tuple[int, int]:
    return 0, at


class ProductTicks(SessionEvents[Single, Outcome]):
    """The state of one product."""

    SEGMENT = CASH

    def __init__(self, product: str, rules: Rules) -> None:
        super().__init__(rules, Counts())
        self.product = product
        self.current: SessionTicks | None = None
        self.known_at = 0
        """The greatest receipt time so far, UTC epoch ms."""

    def apply_ticks(self, columns: Columns, place: Place = _same_place) -> Outcome:
        """Apply ticks in order; ``place`` says where the tick at a position came from."""
        outcome = Outcome()
        self.known_at = max(self.known_at, columns.last_recv)
        count = len(columns.ts)
        runs = count >= _SHORT_RUN and self._is_orderly(columns)
        at = 0
        while at < count:
            after = at
            if runs and self.current is not None:
                after = self.current.apply_run(columns, at, self.known_at, outcome)
                self.counts.accepted += after - at
            if after == at:
                self.judge_event(tick_at(columns, at, *place(at)), at, outcome)
                after = at + 1
            at = after
        return outcome

    def apply_candles(self, frame: CandleFrame, offset: int = 0) -> Outcome:
        """Apply the candles of a frame, which came in the record at ``offset``, in order."""
        outcome = Outcome()
        self.known_at = max(self.known_at, frame.ts_recv)
        for at in range(len(frame.start_ms)):
            self.judge_event(candle_at(frame, at, offset), at, outcome)
        return outcome

    def apply_heartbeat(self, ts: int, ts_recv: int) -> Outcome:
        """Apply the feed's word that time has reached ``ts``."""
        outcome = Outcome()
        self.counts.heartbeats += 1
        session = None if self.rules.is_future(ts, ts_recv) else self._session_before(ts)
        if session is None:
            return outcome
        self.known_at = max(self.known_at, ts_recv)
        current = self.session
        if (current is None or session.open_ms > current.open_ms) and session.open_ms in self.held:
            self.start_session(session, outcome)
        if self.current is not None and self.current.session.open_ms == session.open_ms:
            reached = min(self.current.watermark.after(ts), session.close_ms)
            self.current.advance(reached, self.known_at, outcome)
        return outcome

    def close_session(self) -> Outcome:
        """End the current session, if there is one: its windows become final."""
        outcome = Outcome()
        if self.current is not None:
            self.current.close(self.known_at, outcome)
        return outcome

    def resume_session(self, current: SessionTicks) -> None:
        """Make a restored session the current one."""
        self.current, self.session = current, current.session

    def _change_session(self, session: Session, outcome: Outcome) -> None:
        if self.current is not None:
            self.current.close(self.known_at, outcome)
        self.resume_session(SessionTicks(self.product, session, self.rules))

    def _accept(self, event: Single, outcome: Outcome) -> None:
        assert self.current is not None
        if self.current.apply_event(event, self.known_at, outcome):
            self.counts.accepted += 1
        else:
            self.counts.duplicates += 1

    def _is_orderly(self, columns: Columns) -> bool:
        """True if times and numbers rise, all ticks are sound, and all or none have a volume."""
        ts, order, volume = columns.ts, columns.order, columns.volume
        first = order[0]
        return (
            order[-1] - first == len(order) - 1
            and order == list(range(first, first + len(order)))
            and ts == sorted(ts)
            and self.rules.are_sound(ts[0], ts[-1], columns.price, columns.first_recv)
            and (volume is None or None not in volume)
        )

    def _session_before(self, ts: int) -> Session | None:
        """Return the session open at ``ts``, or the last one of its IST date that ended by then."""
        if not (EARLIEST_MS <= ts < LATEST_MS and self.rules.calendar.covers(ts)):
            return None
        current = self.session
        if current is not None and current.open_ms <= ts < current.close_ms:
            return current
        sessions = self.rules.calendar.sessions_on(CASH, (ts + IST_OFFSET_MS) // DAY_MS)
        begun = [session for session in sessions if session.open_ms <= ts]
        return begun[-1] if begun else None
