"""Which session is current, what waits, what was seen: docs/semantics.md, Ticks, rules 6 to 8."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from optionstream.schemas import rejects
from optionstream.streams.core.market.calendar import Session
from optionstream.streams.kafka.records import RawRecord
from optionstream.streams.verify.ledger import Ledger
from optionstream.streams.verify.ticks.journal import Journal

Group = tuple[str, str, str]
"""Source, session label, and what identity is made of: ``seq``, ``tick_id`` or, for candles, their
length in ms and their start."""
Number = int | tuple[int, int]
"""Identity within a group: ``seq``, the minute of the session and ``tick_id``, or the start."""


class Arrival(NamedTuple):
    """Where an event lies in the log, and its identity: ``number`` within ``group``."""

    record: RawRecord
    position: int
    group: Group
    number: Number

    def same_as(self, other: Arrival) -> bool:
        return self.number == other.number and self.group == other.group


class TickArrival(NamedTuple):
    """One tick; ``feed`` as in `Journal.feed_of`."""

    arrival: Arrival
    ts_ms: int
    price: float
    order: int
    volume: int | None
    feed: int

    def enter(self, journal: Journal) -> None:
        journal.tick(self.ts_ms, self.price, self.order, self.volume, self.feed)


class CandleArrival(NamedTuple):
    """One candle, prices in the order open, high, low, close."""

    arrival: Arrival
    start: int
    end: int
    length: int
    prices: tuple[float, float, float, float]
    traded: int | None

    def enter(self, journal: Journal) -> None:
        journal.candle(self.start, self.end, self.length, self.prices, self.traded)


MOST_WAITING = 8

Event = TickArrival | CandleArrival


class Sessions:
    """The sessions of one product in the order of the log; accepted events go to ``journal``.

    ``waiting`` holds, by the opening instant of its session, one event each.
    """

    def __init__(self, journal: Journal, ledger: Ledger) -> None:
        self.current: Session | None = None
        self.waiting: dict[int, Event] = {}
        self._journal = journal
        self._ledger = ledger
        self._seen: dict[Group, set[Number]] = {}

    def place(self, session: Session, event: Event) -> None:
        """Decide about an event of ``session``."""
        current = self.current
        if current is not None and session.open_ms < current.open_ms:
            self._reject(event, rejects.TOO_LATE)
        elif current is not None and session.open_ms == current.open_ms:
            self._enter(event)
        else:
            self._ahead(session, event)

    def reach(self, session: Session) -> bool:
        """A heartbeat has come to ``session``: whether that is (now) the current one."""
        current = self.current
        if current is not None and session.open_ms <= current.open_ms:
            return session.open_ms == current.open_ms
        if session.open_ms not in self.waiting:
            return False
        self._confirm(session)
        return True

    def all_new(self, group: Group, numbers: Sequence[Number]) -> bool:
        """Whether none of the numbers was seen, nor is there twice; then they are from now on."""
        seen = self._seen.setdefault(group, set())
        new = set(numbers)
        if len(new) < len(numbers) or not seen.isdisjoint(new):
            return False
        seen |= new
        return True

    def _ahead(self, session: Session, event: Event) -> None:
        waiting = self.waiting.get(session.open_ms)
        if waiting is None and len(self.waiting) >= MOST_WAITING:
            self._reject(event, rejects.UNCONFIRMED_SESSION)
        elif waiting is None:
            self.waiting[session.open_ms] = event
        elif event.arrival.same_as(waiting.arrival):
            self._ledger.counts.duplicates += 1
        else:
            self._confirm(session)
            self._enter(event)

    def _confirm(self, session: Session) -> None:
        self._journal.begin(session)
        self.current = session
        self._seen.clear()
        first = self.waiting.pop(session.open_ms)
        for open_ms in [at for at in self.waiting if at < session.open_ms]:
            self._reject(self.waiting.pop(open_ms), rejects.TOO_LATE, waited=True)
        self._enter(first)

    def _enter(self, event: Event) -> None:
        arrival = event.arrival
        seen = self._seen.setdefault(arrival.group, set())
        if arrival.number in seen:
            self._ledger.counts.duplicates += 1
            return
        seen.add(arrival.number)
        self._ledger.counts.accepted += 1
        event.enter(self._journal)

    def _reject(self, event: Event, reason: str, *, waited: bool = False) -> None:
        at = event.arrival
        self._ledger.reject_tick(at.record, reason, at.position, waited=waited)
