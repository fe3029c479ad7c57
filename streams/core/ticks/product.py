"""The ticks and candles of one product: which count, which repeat, which are refused.

Implements the rules of docs/semantics.md ("Ticks", "Candles", "Heartbeats") about single events
and sessions; what happens within a session is in ``session_ticks``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from optionstream.schemas import rejects
from optionstream.schemas.events import CandleFrame
from optionstream.schemas.times import DAY_MS, IST_OFFSET_MS
from optionstream.streams.core.counts import Counts
from optionstream.streams.core.market.calendar import CASH, Session
from optionstream.streams.core.rules import EARLIEST_MS, LATEST_MS, MAX_WAITING, Rules
from optionstream.streams.core.ticks.columns import Columns
from optionstream.streams.core.ticks.session_ticks import Outcome, SessionTicks
from optionstream.streams.core.ticks.singles import Single, candle_at, tick_at

_SHORT_RUN: Final = 4

Place = Callable[[int], tuple[int, int]]
"""From a position in columns to (offset of the record, position in it)."""


def _same_place(at: int) -> tuple[int, int]:
    return 0, at


class ProductTicks:
    """The state of one product."""

    def __init__(self, product: str, rules: Rules) -> None:
        self.product = product
        self.rules = rules
        self.counts = Counts()
        self.current: SessionTicks | None = None
        self.waiting: dict[int, Single] = {}
        """The first event of a session that no second one has confirmed, by the session's open."""
        self.known_at = 0

    # -- events -----------------------------------------------------------------------------

    def apply(self, columns: Columns, place: Place = _same_place) -> Outcome:
        """Apply ticks in order; ``place`` tells where the tick at a position came from."""
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
                self._apply_single(tick_at(columns, at, *place(at)), at, outcome)
                after = at + 1
            at = after
        return outcome

    def apply_candles(self, frame: CandleFrame, offset: int = 0) -> Outcome:
        """Apply the candles of a frame, which came in the record at ``offset``, in order."""
        outcome = Outcome()
        self.known_at = max(self.known_at, frame.ts_recv)
        for at in range(len(frame.start_ms)):
            self._apply_single(candle_at(frame, at, offset), at, outcome)
        return outcome

    def heartbeat(self, ts: int, ts_recv: int) -> Outcome:
        """Apply the feed's word that time has reached ``ts``."""
        outcome = Outcome()
        self.counts.heartbeats += 1
        if self.rules.is_future(ts, ts_recv):
            return outcome
        session = self._session_before(ts)
        if session is None:
            return outcome
        self.known_at = max(self.known_at, ts_recv)
        current = self.current
        if current is None or session.open_ms > current.session.open_ms:
            first = self.waiting.get(session.open_ms)
            if first is None:
                return outcome
            current = self._begin(session, outcome)
            self._accept(first, current, outcome)
        elif session.open_ms < current.session.open_ms:
            return outcome
        lateness = self.rules.lateness_ms
        reached = min(ts, session.close_ms + lateness) - lateness
        current.advance(reached, self.known_at, outcome)
        return outcome

    def close(self) -> Outcome:
        """End the current session, if there is one: its windows become final."""
        outcome = Outcome()
        if self.current is not None:
            self.current.close(self.known_at, outcome)
        return outcome

    # -- single events ----------------------------------------------------------------------

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

    def _apply_single(self, event: Single, at: int, outcome: Outcome) -> None:
        reason = self.rules.fault(event.ts, event.ts_recv, event.figures_fault())
        if reason is not None:
            self._refuse(reason, at, outcome)
            return
        session = self._session_at(event.ts)
        if session is None:
            self.counts.add_outside(self.rules.calendar.phase_at(CASH, event.ts))
        elif not event.fits(session):
            self._refuse(rejects.MISALIGNED_CANDLE, at, outcome)
        else:
            self._place(event, session, at, outcome)

    def _place(self, event: Single, session: Session, at: int, outcome: Outcome) -> None:
        """An event of ``session``: it counts, waits, or comes too late."""
        current = self.current
        if current is None or session.open_ms > current.session.open_ms:
            begun = self._confirm(session, event, at, outcome)
            if begun is not None:
                self._accept(event, begun, outcome)
        elif session.open_ms < current.session.open_ms:
            self._refuse(rejects.TOO_LATE, at, outcome)
        else:
            self._accept(event, current, outcome)

    def _confirm(
        self, session: Session, event: Single, at: int, outcome: Outcome
    ) -> SessionTicks | None:
        """An event of a later session: that session, when the event confirms and begins it."""
        first = self.waiting.get(session.open_ms)
        if first is None:
            if len(self.waiting) >= MAX_WAITING:
                self._refuse(rejects.UNCONFIRMED_SESSION, at, outcome)
            else:
                self.waiting[session.open_ms] = event
                self.counts.held += 1
            return None
        if first.identity(session) == event.identity(session):
            self.counts.duplicates += 1
            return None
        begun = self._begin(session, outcome)
        self._accept(first, begun, outcome)
        return begun

    def _accept(self, event: Single, current: SessionTicks, outcome: Outcome) -> None:
        """An event of the current session: count it once."""
        if current.apply(event, self.known_at, outcome):
            self.counts.accepted += 1
        else:
            self.counts.duplicates += 1

    def _refuse(self, reason: str, at: int, outcome: Outcome) -> None:
        outcome.refused.setdefault(reason, []).append(at)
        self.counts.add_reject(reason)

    # -- sessions ---------------------------------------------------------------------------

    def _begin(self, session: Session, outcome: Outcome) -> SessionTicks:
        """Close the current session and begin ``session``, whose waiting event the caller takes."""
        if self.current is not None:
            self.current.close(self.known_at, outcome)
        self.current = SessionTicks(self.product, session, self.rules)
        for opened in sorted(self.waiting):
            if opened < session.open_ms:
                self.counts.held -= 1
                self.counts.add_reject(rejects.TOO_LATE)
                outcome.late_waiting.append(self.waiting.pop(opened))
        del self.waiting[session.open_ms]
        self.counts.held -= 1
        return self.current

    def _session_at(self, ts: int) -> Session | None:
        """Return the session that holds ``ts``, an instant that the calendar covers."""
        current = self.current
        if current is not None and current.session.open_ms <= ts < current.session.close_ms:
            return current.session
        return self.rules.calendar.session_at(CASH, ts)

    def _session_before(self, ts: int) -> Session | None:
        """The session open at ``ts``, or the last one of its IST date that has ended by then."""
        if not (EARLIEST_MS <= ts < LATEST_MS and self.rules.calendar.covers(ts)):
            return None
        current = self.current
        if current is not None and current.session.open_ms <= ts < current.session.close_ms:
            return current.session
        sessions = self.rules.calendar.sessions_on(CASH, (ts + IST_OFFSET_MS) // DAY_MS)
        begun = [session for session in sessions if session.open_ms <= ts]
        return begun[-1] if begun else None
