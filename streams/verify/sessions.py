"""Which session is current, what waits, what was seen (docs/semantics.md, Ticks, rules 6 to 8)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Generic, NamedTuple, Protocol, TypeVar

from optionstream.schemas import rejects
from optionstream.streams.core.market.calendar import Session
from optionstream.streams.kafka.records import RawRecord
from optionstream.streams.verify.ledger import Ledger
from optionstream.streams.verify.rules import Rules

MOST_WAITING = 8

Group = tuple[str, str, str]
"""Source, session label, and what identity is made of: ``seq``, ``tick_id`` or, for candles, their
length in ms and their start."""
Number = int | tuple[int, int]
"""Identity within a group: ``seq``, the minute of the session and ``tick_id``, or the start."""


class Arrival(NamedTuple):
    """The position of an event in the log, and its identity: ``number`` within ``group``."""

    record: RawRecord
    position: int
    group: Group
    number: Number


class Event(Protocol):
    """A tick, a candle or a quote."""

    @property
    def arrival(self) -> Arrival: ...


EventT = TypeVar("EventT", bound=Event)


class Sessions(Generic[EventT]):
    """The sessions of one product (of quotes: of one expiry) in the order of the log.

    ``begin`` is called when a session is about to become the current one. ``accept`` takes an event
    of the current session that was not seen before, or returns the reason to refuse it.
    ``waiting`` holds one event for each later session, by its opening instant.
    """

    def __init__(
        self,
        segment: str,
        rules: Rules,
        ledger: Ledger,
        begin: Callable[[Session], None],
        accept: Callable[[EventT], str | None],
    ) -> None:
        self.current: Session | None = None
        self.waiting: dict[int, EventT] = {}
        self._segment = segment
        self._calendar = rules.calendar
        self._ledger = ledger
        self._begin = begin
        self._accept = accept
        self._seen: dict[Group, set[Number]] = {}

    def session_at(self, ts_ms: int) -> Session | None:
        """Return the session that holds the instant; count the event as outside if none does."""
        current = self.current
        if current is not None and current.open_ms <= ts_ms < current.close_ms:
            return current
        session = self._calendar.session_at(self._segment, ts_ms)
        if session is None:
            self._ledger.count_outside(self._calendar.phase_at(self._segment, ts_ms))
        return session

    def place(self, session: Session, event: EventT) -> None:
        """Decide about an event of ``session``."""
        current = self.current
        if current is not None and session.open_ms < current.open_ms:
            self._reject(event, rejects.TOO_LATE)
        elif current is not None and session.open_ms == current.open_ms:
            self._enter(event)
        else:
            self._place_ahead(session, event)

    def reach(self, session: Session) -> bool:
        """Take a heartbeat of ``session``; return whether that is (now) the current one."""
        current = self.current
        if current is not None and session.open_ms <= current.open_ms:
            return session.open_ms == current.open_ms
        if session.open_ms not in self.waiting:
            return False
        self._confirm(session)
        return True

    def all_new(self, group: Group, numbers: Sequence[Number]) -> bool:
        """Note the numbers and return True if none was seen before, or is there twice."""
        seen = self._seen.setdefault(group, set())
        new = set(numbers)
        if len(new) < len(numbers) or not seen.isdisjoint(new):
            return False
        seen |= new
        return True

    def _place_ahead(self, session: Session, event: EventT) -> None:
        waiting = self.waiting.get(session.open_ms)
        if waiting is None and len(self.waiting) >= MOST_WAITING:
            self._reject(event, rejects.UNCONFIRMED_SESSION)
        elif waiting is None:
            self.waiting[session.open_ms] = event
        elif event.arrival[2:] == waiting.arrival[2:]:
            self._ledger.counts.duplicates += 1
        else:
            self._confirm(session)
            self._enter(event)

    def _confirm(self, session: Session) -> None:
        self._begin(session)
        self.current = session
        self._seen.clear()
        first = self.waiting.pop(session.open_ms)
        for open_ms in [at for at in self.waiting if at < session.open_ms]:
            self._reject(self.waiting.pop(open_ms), rejects.TOO_LATE, waited=True)
        self._enter(first)

    def _enter(self, event: EventT) -> None:
        arrival = event.arrival
        seen = self._seen.setdefault(arrival.group, set())
        if arrival.number in seen:
            self._ledger.counts.duplicates += 1
            return
        reason = self._accept(event)
        if reason is not None:
            self._reject(event, reason)
            return
        seen.add(arrival.number)
        self._ledger.counts.accepted += 1

    def _reject(self, event: EventT, reason: str, *, waited: bool = False) -> None:
        at = event.arrival
        self._ledger.reject_tick(at.record, reason, at.position, waited=waited)
