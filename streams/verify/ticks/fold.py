"""The fate of each tick and candle of one product, in the order of the log (docs/semantics.md)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

from optionstream.schemas import rejects
from optionstream.schemas.errors import CalendarError
from optionstream.schemas.events import CandleFrame, Heartbeat
from optionstream.schemas.times import ist
from optionstream.streams.core.market.calendar import CASH, Session
from optionstream.streams.kafka.records import RawRecord
from optionstream.streams.verify.intake import TickRun
from optionstream.streams.verify.ledger import Ledger
from optionstream.streams.verify.rules import Rules, possible_time
from optionstream.streams.verify.sessions import Arrival, Group, Number, Sessions
from optionstream.streams.verify.ticks.journal import UNNUMBERED, Journal

_MINUTE_MS = 60_000
_NUMBERED, _HASHED = "seq", "tick_id"


class _Event(NamedTuple):
    """A tick or candle; ``enter`` writes it to the journal."""

    arrival: Arrival
    enter: Callable[[], None]


class TickFold:
    """The ticks, candles and heartbeats of one product; what is accepted is in ``journal``."""

    def __init__(self, rules: Rules, ledger: Ledger) -> None:
        self.journal = Journal()
        self._rules = rules
        self._ledger = ledger
        self._sessions = Sessions[_Event](
            CASH, rules, ledger, self.journal.begin, lambda event: event.enter()
        )

    @property
    def held(self) -> int:
        """How many events wait for a second one of their session."""
        return len(self._sessions.waiting)

    def take_ticks(self, record: RawRecord, run: TickRun) -> None:
        """Decide about every tick of one record."""
        if len(run.ts) == 1 or not self._take_at_once(run):
            self._take_each(record, run)

    def take_candles(self, record: RawRecord, frame: CandleFrame) -> None:
        """Decide about every candle of one record."""
        for index, start_ms in enumerate(frame.start_ms):
            reason = _candle_flaw(frame, index, self._rules)
            if reason is not None:
                self._ledger.reject_tick(record, reason, index)
                continue
            session = self._sessions.session_at(start_ms)
            if session is None:
                continue
            if (start_ms - session.open_ms) % frame.interval_ms:
                self._ledger.reject_tick(record, rejects.MISALIGNED_CANDLE, index)
            else:
                self._sessions.place(session, self._candle_of(record, frame, index, session))

    def take_heartbeat(self, heartbeat: Heartbeat) -> None:
        """Let a heartbeat confirm a session or advance time; or ignore it."""
        session = self._reached_session(heartbeat)
        if session is not None and self._sessions.reach(session):
            furthest = session.close_ms + self._rules.settings.allowed_lateness_ms
            self.journal.add_mark(min(heartbeat.ts_event, furthest))

    def _take_at_once(self, run: TickRun) -> bool:
        """Accept a record whose ticks all lie in the current session and are all new."""
        current = self._sessions.current
        if current is None or not self._rules.flawless(run.ts, run.price, run.ts_recv):
            return False
        if min(run.ts) < current.open_ms or max(run.ts) >= current.close_ms:
            return False
        if not self._sessions.all_new(_group(run), _numbers(run, current)):
            return False
        self._ledger.counts.accepted += len(run)
        self.journal.add_ticks(run.ts, run.price, run.order, run.volume, self._feed(run))
        return True

    def _take_each(self, record: RawRecord, run: TickRun) -> None:
        for index, ts_ms in enumerate(run.ts):
            reason = self._rules.flaw(ts_ms, run.price[index], run.ts_recv)
            if reason is not None:
                self._ledger.reject_tick(record, reason, index)
                continue
            session = self._sessions.session_at(ts_ms)
            if session is not None:
                self._sessions.place(session, self._tick_of(record, run, index, session))

    def _tick_of(self, record: RawRecord, run: TickRun, index: int, session: Session) -> _Event:
        ts_ms, order = run.ts[index], run.order[index]
        number = order if run.ids is None else (_minute(ts_ms, session), run.ids[index])
        figures = run.price[index], order, run.volume[index], self._feed(run)
        arrival = Arrival(record, index, _group(run), number)
        return _Event(arrival, partial(self.journal.add_tick, ts_ms, *figures))

    def _candle_of(
        self, record: RawRecord, frame: CandleFrame, index: int, session: Session
    ) -> _Event:
        start, length = frame.start_ms[index], frame.interval_ms
        prices = (frame.open[index], frame.high[index], frame.low[index], frame.close[index])
        traded = None if frame.volume is None else frame.volume[index]
        arrival = Arrival(record, index, (frame.source, frame.session, str(length)), start)
        end = min(start + length, session.close_ms)
        return _Event(arrival, partial(self.journal.add_candle, start, end, length, prices, traded))

    def _feed(self, run: TickRun) -> int:
        return UNNUMBERED if run.ids is not None else self.journal.feed_of(run.source, run.label)

    def _reached_session(self, heartbeat: Heartbeat) -> Session | None:
        """Return the latest session of the heartbeat's IST date that had opened by then."""
        moment = heartbeat.ts_event
        if self._rules.from_the_future(moment, heartbeat.ts_recv):
            return None
        try:
            sessions = self._rules.calendar.sessions_for(CASH, ist(moment).date())
        except (CalendarError, OverflowError):
            return None
        opened = [session for session in sessions if session.open_ms <= moment]
        return max(opened, key=lambda session: session.open_ms, default=None)


def _candle_flaw(frame: CandleFrame, index: int, rules: Rules) -> str | None:
    """Return why a candle is refused for its content alone (rules 1 to 4), None if it is not."""
    start_ms = frame.start_ms[index]
    if not possible_time(start_ms):
        return rejects.BAD_TIME
    low, high = frame.low[index], frame.high[index]
    inner = (frame.open[index], frame.close[index])
    traded = 0 if frame.volume is None else frame.volume[index] or 0
    if not (0 < low <= min(inner) and max(inner) <= high < float("inf")) or traded < 0:
        return rejects.BAD_CANDLE
    return rules.misdated(start_ms, frame.ts_recv)


def _numbers(run: TickRun, session: Session) -> Sequence[Number]:
    if run.ids is None:
        return run.order
    return [(_minute(ts_ms, session), id_) for ts_ms, id_ in zip(run.ts, run.ids, strict=True)]


def _group(run: TickRun) -> Group:
    return (run.source, run.label, _NUMBERED if run.ids is None else _HASHED)


def _minute(ts_ms: int, session: Session) -> int:
    return (ts_ms - session.open_ms) // _MINUTE_MS
