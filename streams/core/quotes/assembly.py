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
from optionstream.streams.core.quotes.rows import Quote, is_sound, is_sound_quote, quotes_of
from optionstream.streams.core.quotes.seen_numbers import SeenNumbers
from optionstream.streams.core.rules import MAX_WAITING, Rules

_time = attrgetter("ts")


@dataclass(slots=True)
class Outcome:
    """What applying a frame gave: chains in order, and refused quotes by reason.

    ``refused`` maps a reason to positions in the frame; ``late_waiting`` are quotes of earlier
    frames that were refused only now.
    """

    chains: list[Assembled] = field(default_factory=list)
    refused: dict[str, list[int]] = field(default_factory=dict)
    late_waiting: list[Quote] = field(default_factory=list)


class ExpiryQuotes:
    """The state of one product and expiry; ``counts`` may be shared by the product's expiries."""

    def __init__(self, product: str, expiry: str, rules: Rules, counts: Counts) -> None:
        self.product = product
        self.expiry = expiry
        self.rules = rules
        self.counts = counts
        self.session: Session | None = None
        self.watermark = 0
        self.waiting: list[Quote] = []
        """Accepted quotes that no boundary has taken yet."""
        self.held: dict[int, Quote] = {}
        """By opening time of the session, the quote that no second one has confirmed yet."""
        self.seen = SeenNumbers()
        self.book = Book()
        self.changed = False
        """Whether the book has changed since this was last set to False."""
        self._strikes: set[float] = set()
        self._due = 0
        """Below this watermark no boundary is reached; follows from the watermark."""

    def apply(self, frame: OptionQuoteFrame, offset: int) -> Outcome:
        """Apply the quotes of a frame in order; ``offset`` is that of its record."""
        outcome = Outcome()
        sound = not self.rules.is_future(max(frame.ts_ms), frame.ts_recv) and is_sound(frame)
        for quote in quotes_of(frame, offset):
            session = self.session
            if sound and session is not None and session.open_ms <= quote.ts < session.close_ms:
                self._accept(quote, outcome)
            else:
                self._judge(quote, outcome)
        return outcome

    def restore(
        self,
        session: Session,
        watermark: int,
        waiting: Iterable[Quote],
        applied: Iterable[Quote],
        last_recv: int,
    ) -> None:
        """Become what had these; ``applied`` and ``last_recv`` are those of the book."""
        self.session, self.watermark = session, watermark
        self.book.last_recv = last_recv
        self.waiting = list(waiting)
        for quote in applied:
            self.book.take(quote)
            self._strikes.add(quote.strike)
        self._strikes.update(quote.strike for quote in self.waiting)
        self._due = self._boundary_after(watermark)

    def _judge(self, quote: Quote, outcome: Outcome) -> None:
        """All rules, for a quote that is not known to be sound and of the current session."""
        figures = None if is_sound_quote(quote) else rejects.BAD_QUOTE
        reason = self.rules.fault(quote.ts, quote.origin.ts_recv, figures)
        if reason is not None:
            self._refuse(reason, quote, outcome)
            return
        session = self.rules.calendar.session_at(FNO, quote.ts)
        current = self.session
        if session is None:
            self.counts.add_outside(self.rules.calendar.phase_at(FNO, quote.ts))
        elif current is None or session.open_ms > current.open_ms:
            self._confirm(session, quote, outcome)
        elif session.open_ms < current.open_ms:
            self._refuse(rejects.TOO_LATE, quote, outcome)
        else:
            self._accept(quote, outcome)

    def _refuse(self, reason: str, quote: Quote, outcome: Outcome) -> None:
        outcome.refused.setdefault(reason, []).append(quote.position)
        self.counts.add_reject(reason)

    # -- sessions ---------------------------------------------------------------------------

    def _confirm(self, session: Session, quote: Quote, outcome: Outcome) -> None:
        """A quote of a later session, which begins with a second one."""
        first = self.held.get(session.open_ms)
        if first is None:
            if len(self.held) >= MAX_WAITING:
                self._refuse(rejects.UNCONFIRMED_SESSION, quote, outcome)
            else:
                self.held[session.open_ms] = quote
                self.counts.held += 1
        elif (first.origin.feed, first.seq) == (quote.origin.feed, quote.seq):
            self.counts.duplicates += 1
        else:
            self._begin(session, outcome)
            self._accept(first, outcome)
            self._accept(quote, outcome)

    def _begin(self, session: Session, outcome: Outcome) -> None:
        """End the current session and begin ``session``, whose held quote the caller takes."""
        if self.session is not None and self.waiting:
            self._assemble(self.waiting, self.session.close_ms, outcome)
        self.session = session
        self.watermark = session.open_ms - self.rules.lateness_ms
        self.waiting, self.seen, self.book = [], SeenNumbers(), Book()
        self.changed = True
        self._strikes = set()
        self._due = self._boundary_after(self.watermark)
        del self.held[session.open_ms]
        self.counts.held -= 1
        for opened in [opened for opened in sorted(self.held) if opened < session.open_ms]:
            self.counts.held -= 1
            self.counts.add_reject(rejects.TOO_LATE)
            outcome.late_waiting.append(self.held.pop(opened))

    def _accept(self, quote: Quote, outcome: Outcome) -> None:
        """A quote of the current session: take it once."""
        feed, strikes = quote.origin.feed, self._strikes
        if (
            quote.strike not in strikes
            and len(strikes) >= MAX_STRIKES
            and not self.seen.has(feed, quote.seq)
        ):
            self._refuse(rejects.BAD_QUOTE, quote, outcome)
            return
        if not self.seen.add(feed, quote.seq):
            self.counts.duplicates += 1
            return
        strikes.add(quote.strike)
        self.counts.accepted += 1
        self.waiting.append(quote)
        watermark = quote.ts - self.rules.lateness_ms
        if watermark > self.watermark:
            if watermark >= self._due:
                self._advance(watermark, outcome)
            self.watermark = watermark

    # -- boundaries -------------------------------------------------------------------------

    def _advance(self, watermark: int, outcome: Outcome) -> None:
        """Let the watermark reach boundaries up to ``watermark``."""
        self.waiting.sort()
        while (boundary := self._next_boundary()) <= watermark:
            reached = bisect_left(self.waiting, boundary, key=_time)
            self._assemble(self.waiting[:reached], boundary, outcome)
            del self.waiting[:reached]
        self._due = self._boundary_after(watermark)

    def _assemble(self, quotes: list[Quote], boundary: int, outcome: Outcome) -> None:
        for quote in quotes:
            self.book.take(quote)
        self.changed = True
        outcome.chains.append(self.book.chain(self.product, self.expiry, boundary))

    def _next_boundary(self) -> int:
        """The first boundary at which a waiting quote takes part: after it, and not reached by
        the watermark. ``waiting`` is sorted; its last quote is never behind the watermark."""
        waiting = self.waiting
        if self.rules.quote_cadence_ms:
            return self._boundary_after(max(waiting[0].ts, self.watermark))
        return waiting[bisect_left(waiting, self.watermark, key=_time)].ts + 1

    def _boundary_after(self, ts: int) -> int:
        """The first instant after ``ts`` that can be a boundary; the watermark never reaches the
        close, at which the last one is."""
        assert self.session is not None
        opened, cadence = self.session.open_ms, self.rules.quote_cadence_ms or 1
        return opened + ((ts - opened) // cadence + 1) * cadence
