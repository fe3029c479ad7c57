"""The quotes of one product and expiry: which count, and the chains they are assembled into.

Implements docs/semantics.md ("Option quotes"). Quotes wait until the watermark reaches a boundary,
so that chains do not depend on the order in which quotes arrive within the allowed lateness.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass, field
from operator import attrgetter

from optionstream.schemas import rejects
from optionstream.schemas.events import MAX_STRIKES, OptionQuoteFrame
from optionstream.streams.core.counts import Counts
from optionstream.streams.core.market.calendar import FNO, Session
from optionstream.streams.core.quotes.book import Assembled, Book
from optionstream.streams.core.quotes.rows import Quote, is_sound_frame, quotes_of
from optionstream.streams.core.quotes.seen_numbers import SeenNumbers
from optionstream.streams.core.rules import Rules
from optionstream.streams.core.sessions import SessionEvents, SessionOutcome
from optionstream.streams.core.watermark import Watermark

_time = attrgetter("ts")


@dataclass(slots=True)
class Outcome(SessionOutcome[Quote]):
    """What applying a frame gave: chains in order, and refused quotes."""

    chains: list[Assembled] = field(default_factory=list)


class ExpiryQuotes(SessionEvents[Quote, Outcome]):
    """The state of one product and expiry; ``counts`` may be shared by the product's expiries."""

    SEGMENT = FNO

    def __init__(self, product: str, expiry: str, rules: Rules, counts: Counts) -> None:
        super().__init__(rules, counts)
        self.product = product
        self.expiry = expiry
        self.watermark = Watermark(rules.lateness_ms, 0)
        self.waiting: list[Quote] = []
        """Accepted quotes that no boundary has taken yet."""
        self.seen = SeenNumbers()
        self.book = Book()
        self.changed = False
        """True if the book has changed since this was last set to False."""
        self._strikes: set[float] = set()
        self._due = 0
        """Below this watermark no boundary is reached; follows from the watermark."""

    def apply_frame(self, frame: OptionQuoteFrame, offset: int) -> Outcome:
        """Apply the quotes of a frame in order; ``offset`` is that of its record."""
        outcome = Outcome()
        is_future = self.rules.is_future(max(frame.ts_ms), frame.ts_recv)
        sound = not is_future and is_sound_frame(frame)
        for quote in quotes_of(frame, offset):
            session = self.session
            if sound and session is not None and session.open_ms <= quote.ts < session.close_ms:
                self._accept(quote, outcome)
            else:
                self.judge_event(quote, quote.position, outcome)
        return outcome

    def restore(
        self,
        session: Session,
        watermark: int,
        waiting: Iterable[Quote],
        applied: Iterable[Quote],
        last_recv: int,
    ) -> None:
        """Restore a session as it was stored: its watermark (UTC epoch ms), the quotes that no
        boundary has taken, and the quotes and last receipt of its book."""
        self.session, self.watermark.reached_ms = session, watermark
        self.book.last_recv = last_recv
        self.waiting = list(waiting)
        for quote in applied:
            self.book.apply_quote(quote)
            self._strikes.add(quote.strike)
        self._strikes.update(quote.strike for quote in self.waiting)
        self._due = self._boundary_after(watermark)

    def _change_session(self, session: Session, outcome: Outcome) -> None:
        if self.session is not None and self.waiting:
            self._assemble(self.waiting, self.session.close_ms, outcome)
        self.session = session
        self.watermark.reached_ms = self.watermark.after(session.open_ms)
        self.waiting, self.seen, self.book = [], SeenNumbers(), Book()
        self.changed = True
        self._strikes = set()
        self._due = self._boundary_after(self.watermark.reached_ms)

    def _accept(self, quote: Quote, outcome: Outcome) -> None:
        feed, strikes = quote.origin.feed, self._strikes
        if (
            quote.strike not in strikes
            and len(strikes) >= MAX_STRIKES
            and not self.seen.has_number(feed, quote.seq)
        ):
            self.refuse_event(rejects.BAD_QUOTE, quote.position, outcome)
            return
        if not self.seen.add_number(feed, quote.seq):
            self.counts.duplicates += 1
            return
        strikes.add(quote.strike)
        self.counts.accepted += 1
        self.waiting.append(quote)
        reached = self.watermark.after(quote.ts)
        if reached >= self._due:
            self._reach_boundaries(reached, outcome)
        self.watermark.raise_to(reached)

    # -- boundaries -------------------------------------------------------------------------

    def _reach_boundaries(self, watermark: int, outcome: Outcome) -> None:
        """Assemble the chains of the boundaries up to ``watermark``, before it rises."""
        self.waiting.sort()
        while (boundary := self._next_boundary()) <= watermark:
            reached = bisect_left(self.waiting, boundary, key=_time)
            self._assemble(self.waiting[:reached], boundary, outcome)
            del self.waiting[:reached]
        self._due = self._boundary_after(watermark)

    def _assemble(self, quotes: list[Quote], boundary: int, outcome: Outcome) -> None:
        for quote in quotes:
            self.book.apply_quote(quote)
        self.changed = True
        outcome.chains.append(self.book.chain(self.product, self.expiry, boundary))

    def _next_boundary(self) -> int:
        """Return the first boundary at which a waiting quote takes part: after it, and not reached
        by the watermark. ``waiting`` is sorted; its last quote is never behind the watermark."""
        waiting, reached = self.waiting, self.watermark.reached_ms
        if self.rules.quote_cadence_ms:
            return self._boundary_after(max(waiting[0].ts, reached))
        return waiting[bisect_left(waiting, reached, key=_time)].ts + 1

    def _boundary_after(self, ts: int) -> int:
        """Return the first instant after ``ts`` that can be a boundary; the watermark never reaches
        the close, at which the last one is."""
        assert self.session is not None
        opened, cadence = self.session.open_ms, self.rules.quote_cadence_ms or 1
        return opened + ((ts - opened) // cadence + 1) * cadence
