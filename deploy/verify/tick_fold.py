"""The fate of each tick of one product, in the order of the log (docs/semantics.md, Ticks)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from optionstream.deploy.verify.intake import TickRun
from optionstream.deploy.verify.journal import Journal
from optionstream.deploy.verify.ledger import Ledger
from optionstream.deploy.verify.records import RawRecord
from optionstream.deploy.verify.rules import Rules
from optionstream.schemas import rejects
from optionstream.schemas.errors import CalendarError
from optionstream.schemas.events import Heartbeat
from optionstream.schemas.times import ist
from optionstream.streams.core.calendar import CASH, Session

MOST_WAITING = 8
_MINUTE_MS = 60_000

Group = tuple[str, str, bool]
"""Source, session label, and whether ticks go by a hash (tick_id) instead of a number."""
Number = int | tuple[int, int]
"""Identity within a group: ``seq``, or the minute of the session and ``tick_id``."""


class _Tick(NamedTuple):
    """One tick on its way, with its identity: ``number`` within ``group``."""

    record: RawRecord
    position: int
    ts_ms: int
    price: float
    order: int
    volume: int | None
    group: Group
    number: Number

    def same_as(self, other: _Tick) -> bool:
        return self.number == other.number and self.group == other.group


class TickFold:
    """Sessions, duplicates and waiting ticks of one product; what is accepted is in ``journal``."""

    def __init__(self, rules: Rules, ledger: Ledger) -> None:
        self.journal = Journal()
        self._rules = rules
        self._ledger = ledger
        self._current: Session | None = None
        self._seen: dict[Group, set[Number]] = {}
        self._waiting: dict[int, _Tick] = {}
        """By the opening instant of the session; one tick each."""

    @property
    def held(self) -> int:
        return len(self._waiting)

    def take(self, record: RawRecord, run: TickRun) -> None:
        """Decide about every tick of one record."""
        if len(run.ts) == 1 or not self._take_at_once(run):
            self._take_each(record, run)

    def _take_at_once(self, run: TickRun) -> bool:
        """Accept a record whose ticks all lie in the current session and are all new."""
        current = self._current
        if current is None or not self._rules.flawless(run.ts, run.price, run.ts_recv):
            return False
        if min(run.ts) < current.open_ms or max(run.ts) >= current.close_ms:
            return False
        numbers: set[Number] = set(_numbers(run, current))
        seen = self._seen.setdefault(_group(run), set())
        if len(numbers) < len(run) or not seen.isdisjoint(numbers):
            return False
        seen |= numbers
        self._ledger.counts.accepted += len(run)
        self.journal.ticks(run.ts, run.price, run.order, run.volume)
        return True

    def _take_each(self, record: RawRecord, run: TickRun) -> None:
        for index, ts_ms in enumerate(run.ts):
            reason = self._rules.flaw(ts_ms, run.price[index], run.ts_recv)
            if reason is not None:
                self._ledger.reject_tick(record, reason, index)
                continue
            session = self._session_at(ts_ms)
            if session is None:
                self._ledger.counts.outside_session += 1
            else:
                self._place(session, _tick_of(record, run, index, session))

    def beat(self, heartbeat: Heartbeat) -> None:
        """Let a heartbeat confirm a session or advance time; or ignore it."""
        session = self._reached_session(heartbeat)
        if session is None or (self._current and session.open_ms < self._current.open_ms):
            return
        if session != self._current:
            if session.open_ms not in self._waiting:
                return
            self._confirm(session)
        furthest = session.close_ms + self._rules.lateness_ms
        self.journal.mark(min(heartbeat.ts_event, furthest))

    def _session_at(self, ts_ms: int) -> Session | None:
        current = self._current
        if current is not None and current.open_ms <= ts_ms < current.close_ms:
            return current
        return self._rules.calendar.session_at(CASH, ts_ms)

    def _place(self, session: Session, tick: _Tick) -> None:
        current = self._current
        if current is not None and session.open_ms < current.open_ms:
            self._ledger.reject_tick(tick.record, rejects.TOO_LATE, tick.position)
        elif current is not None and session.open_ms == current.open_ms:
            self._enter(tick)
        else:
            self._ahead(session, tick)

    def _ahead(self, session: Session, tick: _Tick) -> None:
        waiting = self._waiting.get(session.open_ms)
        if waiting is None and len(self._waiting) >= MOST_WAITING:
            self._ledger.reject_tick(tick.record, rejects.UNCONFIRMED_SESSION, tick.position)
        elif waiting is None:
            self._waiting[session.open_ms] = tick
        elif tick.same_as(waiting):
            self._ledger.counts.duplicates += 1
        else:
            self._confirm(session)
            self._enter(tick)

    def _confirm(self, session: Session) -> None:
        self.journal.begin(session)
        self._current = session
        self._seen.clear()
        first = self._waiting.pop(session.open_ms)
        for open_ms in [at for at in self._waiting if at < session.open_ms]:
            dropped = self._waiting.pop(open_ms)
            self._ledger.reject_tick(
                dropped.record, rejects.TOO_LATE, dropped.position, waited=True
            )
        self._enter(first)

    def _enter(self, tick: _Tick) -> None:
        seen = self._seen.get(tick.group)
        if seen is None:
            seen = self._seen[tick.group] = set()
        if tick.number in seen:
            self._ledger.counts.duplicates += 1
            return
        seen.add(tick.number)
        self._ledger.counts.accepted += 1
        self.journal.tick(tick.ts_ms, tick.price, tick.order, tick.volume)

    def _reached_session(self, heartbeat: Heartbeat) -> Session | None:
        """The latest session of the heartbeat's IST date that had opened by then."""
        moment = heartbeat.ts_event
        if self._rules.from_the_future(moment, heartbeat.ts_recv):
            return None
        try:
            sessions = self._rules.calendar.sessions_for(CASH, ist(moment).date())
        except (CalendarError, OverflowError):
            return None
        begun = [session for session in sessions if session.open_ms <= moment]
        return max(begun, key=lambda session: session.open_ms, default=None)


def _tick_of(record: RawRecord, run: TickRun, index: int, session: Session) -> _Tick:
    ts_ms, order = run.ts[index], run.order[index]
    number = order if run.ids is None else (_minute(ts_ms, session), run.ids[index])
    price, volume = run.price[index], run.volume[index]
    return _Tick(record, index, ts_ms, price, order, volume, _group(run), number)


def _numbers(run: TickRun, session: Session) -> Sequence[Number]:
    if run.ids is None:
        return run.order
    return [(_minute(ts_ms, session), id_) for ts_ms, id_ in zip(run.ts, run.ids, strict=True)]


def _group(run: TickRun) -> Group:
    return (run.source, run.label, run.ids is not None)


def _minute(ts_ms: int, session: Session) -> int:
    return (ts_ms - session.open_ms) // _MINUTE_MS
