"""Which session an event belongs to, and when a later one starts (docs/semantics.md, rules 1 to 6
of "Ticks", "Candles" and "Option quotes").

A session starts with its second event: a single event with a wrong time closes no day.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Any, ClassVar, Generic, Protocol, TypeVar

from optionstream.schemas import rejects
from optionstream.streams.core.counts import Counts
from optionstream.streams.core.market.calendar import Session
from optionstream.streams.core.rules import MAX_WAITING, Rules


class Event(Protocol):
    """A single tick, candle or quote; times are UTC epoch ms."""

    @property
    def ts(self) -> int:
        """Event time."""

    @property
    def ts_recv(self) -> int:
        """Receipt time."""

    def figures_fault(self) -> str | None:
        """Return the reason for which its figures are refused, None for sound ones."""

    def start_fault(self, session: Session) -> str | None:
        """Return the reason for which it cannot start where it does, None if it can."""

    def identity(self, session: Session) -> Any:
        """Return what two equal events of the session have in common."""


E = TypeVar("E", bound=Event)


@dataclass(slots=True)
class SessionOutcome(Generic[E]):
    """What was refused: positions in the columns or the frame by reason, and events of earlier
    records that were held for a session and are too late now."""

    refused: dict[str, list[int]] = field(default_factory=dict)
    late_held: list[E] = field(default_factory=list)


O = TypeVar("O", bound=SessionOutcome[Any])  # noqa: E741


class SessionEvents(ABC, Generic[E, O]):
    """Events judged one by one against the sessions of ``SEGMENT``; ``counts`` may be shared."""

    SEGMENT: ClassVar[str]

    def __init__(self, rules: Rules, counts: Counts) -> None:
        self.rules = rules
        self.counts = counts
        self.session: Session | None = None
        """The current session."""
        self.held: dict[int, E] = {}
        """The first event of a session that no second one has confirmed, by the session's open."""

    @abstractmethod
    def _accept(self, event: E, outcome: O) -> None:
        """Take an event of the current session, if it is new."""

    @abstractmethod
    def _change_session(self, session: Session, outcome: O) -> None:
        """End the current session and make ``session`` the current one."""

    def judge_event(self, event: E, at: int, outcome: O) -> None:
        """Apply all rules to the event at a position of its columns or frame."""
        reason = self.rules.fault(event.ts, event.ts_recv, event.figures_fault())
        if reason is not None:
            self.refuse_event(reason, at, outcome)
            return
        session = self._session_at(event.ts)
        if session is None:
            self.counts.add_outside(self.rules.calendar.phase_at(self.SEGMENT, event.ts))
            return
        reason = event.start_fault(session)
        if reason is not None:
            self.refuse_event(reason, at, outcome)
            return
        current = self.session
        if current is None or session.open_ms > current.open_ms:
            if self._confirms(event, session, at, outcome):
                self.start_session(session, outcome)
                self._accept(event, outcome)
        elif session.open_ms < current.open_ms:
            self.refuse_event(rejects.TOO_LATE, at, outcome)
        else:
            self._accept(event, outcome)

    def start_session(self, session: Session, outcome: O) -> None:
        """End the current session and start ``session`` with the event that is held for it; those
        held for sessions before it are too late."""
        first = self.held.pop(session.open_ms)
        self.counts.held -= 1
        self._change_session(session, outcome)
        for opened in [opened for opened in sorted(self.held) if opened < session.open_ms]:
            self.counts.held -= 1
            self.counts.add_reject(rejects.TOO_LATE)
            outcome.late_held.append(self.held.pop(opened))
        self._accept(first, outcome)

    def refuse_event(self, reason: str, at: int, outcome: O) -> None:
        """Count the event at a position as refused."""
        outcome.refused.setdefault(reason, []).append(at)
        self.counts.add_reject(reason)

    def _confirms(self, event: E, session: Session, at: int, outcome: O) -> bool:
        """True if an event of a later session confirms that it has started; otherwise the event is
        held for a second one, refused, or a duplicate of the one that is held."""
        first = self.held.get(session.open_ms)
        if first is not None:
            confirms: bool = first.identity(session) != event.identity(session)
            self.counts.duplicates += not confirms
            return confirms
        if len(self.held) >= MAX_WAITING:
            self.refuse_event(rejects.UNCONFIRMED_SESSION, at, outcome)
        else:
            self.held[session.open_ms] = event
            self.counts.held += 1
        return False

    def _session_at(self, ts: int) -> Session | None:
        """Return the session that holds ``ts``, an instant that the calendar covers."""
        current = self.session
        if current is not None and current.open_ms <= ts < current.close_ms:
            return current
        return self.rules.calendar.session_at(self.SEGMENT, ts)
