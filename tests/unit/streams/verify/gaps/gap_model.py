"""Gaps by the letter of docs/semantics.md: after each event all is looked at anew.

Slow, and nothing like the batch; it knows sessions that begin with two ticks of their own only.
"""

from __future__ import annotations

from typing import Any

from optionstream.schemas.events import CandleFrame, Heartbeat, TickFrame
from optionstream.streams.core.market.calendar import CASH, Session, nse_calendar
from optionstream.streams.verify.gaps.facts import GapFacts
from tests.unit.streams.verify.world import MINUTE, PRODUCT

Name = tuple[str, str, int]
"""Source, session label (both empty for a silence) and first number or start."""


class GapModel:
    def __init__(self, lateness_ms: int, silence_ms: int) -> None:
        self.told: list[GapFacts] = []
        self._lateness_ms = lateness_ms
        self._silence_ms = silence_ms
        self._session: Session | None = None
        self._watermark = 0
        self._seen: set[Any] = set()
        self._waiting: Any = None
        self._begin()

    def _begin(self) -> None:
        self._seen = set()
        self._spans: list[tuple[int, int]] = []
        self._numbers: dict[tuple[str, str], dict[int, int]] = {}
        self._holes: dict[Name, list[Any]] = {}
        """By name: start, end, last, missing."""
        self._last: dict[Name, GapFacts] = {}

    def take(self, content: TickFrame | CandleFrame | Heartbeat) -> None:
        """One event."""
        if isinstance(content, Heartbeat):
            assert self._session is not None
            reached = min(content.ts_event, self._session.close_ms + self._lateness_ms)
            self._advance(reached)
            return
        start = content.ts_ms[0] if isinstance(content, TickFrame) else content.start_ms[0]
        session = nse_calendar().session_at(CASH, start)
        assert session is not None
        if session != self._session:
            if self._waiting is None:
                self._waiting = content
                return
            waiting, self._waiting = self._waiting, None
            if self._session is not None:
                self._tell(closed=True)
            self._session = session
            self._begin()
            self._apply(waiting, session)
        self._apply(content, session)

    def _apply(self, content: TickFrame | CandleFrame, session: Session) -> None:
        feed = (content.source, content.session)
        if isinstance(content, CandleFrame):
            start = content.start_ms[0]
            identity: Any = (feed, content.interval_ms, start)
            end = min(start + content.interval_ms, session.close_ms) - 1
        else:
            start = end = content.ts_ms[0]
            number = content.seq[0]
            if content.tick_id:
                identity = (feed, "hash", (start - session.open_ms) // MINUTE, content.tick_id[0])
            else:
                identity = (feed, "seq", number)
        if identity in self._seen:
            return
        self._seen.add(identity)
        self._spans.append((start, end))
        if isinstance(content, TickFrame) and not content.tick_id:
            self._numbers.setdefault(feed, {})[number] = start
            for name, hole in self._holes.items():
                if name[:2] == feed and number in hole[3]:
                    hole[3].remove(number)
        self._advance(end)

    def _advance(self, reached: int) -> None:
        self._watermark = max(self._watermark, reached - self._lateness_ms)
        assert self._session is not None
        self._tell(closed=self._watermark >= self._session.close_ms)

    def _tell(self, *, closed: bool) -> None:
        self._tell_silences(closed)
        for feed, numbers in self._numbers.items():
            self._tell_holes(feed, numbers, closed)

    def _tell_silences(self, closed: bool) -> None:
        session = self._session
        assert session is not None
        minutes: dict[int, tuple[int, int]] = {}
        for first, last in self._spans:
            minute = (first - session.open_ms) // MINUTE
            known = minutes.get(minute, (first, last))
            minutes[minute] = (min(first, known[0]), max(last, known[1]))
        found = {}
        before = session.open_ms
        for minute, (first, last) in sorted(minutes.items()):
            minute_end = min(session.open_ms + (minute + 1) * MINUTE, session.close_ms)
            if first - before > self._silence_ms and (closed or self._watermark >= minute_end):
                found[before] = first
            before = last
        if closed and session.close_ms - before > self._silence_ms:
            found[before] = session.close_ms
        for name, facts in list(self._last.items()):
            if facts.kind == "silence" and not facts.filled and facts.start not in found:
                self._say(name, "silence", facts.start, facts.end, None, (), filled=True)
        for start, end in found.items():
            name = ("", "", start)
            known_facts = self._last.get(name)
            if known_facts is None or known_facts.filled or known_facts.end != end:
                self._say(name, "silence", start, end, None, (), filled=False)

    def _tell_holes(self, feed: tuple[str, str], numbers: dict[int, int], closed: bool) -> None:
        told = {n for name, hole in self._holes.items() if name[:2] == feed for n in hole[4]}
        below = None
        for number in sorted(numbers):
            if below is not None and number > below + 1 and below + 1 not in told:
                end = numbers[number]
                if closed or self._watermark >= end:
                    missing = list(range(below + 1, number))
                    self._holes[(*feed, below + 1)] = [
                        numbers[below],
                        end,
                        number - 1,
                        missing,
                        tuple(missing),
                    ]
            below = number
        for name, (start, end, last, missing, _) in self._holes.items():
            if name[:2] == feed:
                ranges = _ranges(missing)
                known = self._last.get(name)
                if known is None or known.missing != ranges:
                    self._say(name, "sequence", start, end, last, ranges, filled=not ranges)

    def _say(
        self,
        name: Name,
        kind: Any,
        start: int,
        end: int,
        last: int | None,
        missing: tuple[tuple[int, int], ...],
        *,
        filled: bool,
    ) -> None:
        known = self._last.get(name)
        revision = known.revision + 1 if known else 1
        assert self._session is not None
        first = None if last is None else name[2]
        place = (PRODUCT, kind, self._session.key, start, end, revision, filled)
        facts = GapFacts(*place, *name[:2], first, last, missing)
        self._last[name] = facts
        self.told.append(facts)


def _ranges(numbers: list[int]) -> tuple[tuple[int, int], ...]:
    found: list[tuple[int, int]] = []
    for number in numbers:
        if found and found[-1][1] == number - 1:
            found[-1] = (found[-1][0], number)
        else:
            found.append((number, number))
    return tuple(found)
