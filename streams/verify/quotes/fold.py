"""The fate of each option quote, in the order of the log (docs/semantics.md, Option quotes)."""

from __future__ import annotations

from optionstream.schemas import rejects
from optionstream.schemas.events import LARGEST_FIGURE, MAX_STRIKES, OptionQuoteFrame
from optionstream.streams.core.market.calendar import FNO, Session
from optionstream.streams.kafka.records import RawRecord
from optionstream.streams.verify.chains.facts import Made
from optionstream.streams.verify.chains.history import ChainHistory
from optionstream.streams.verify.chains.recomputed import recomputed
from optionstream.streams.verify.ledger import Ledger
from optionstream.streams.verify.quotes.assembled import Timing, assembled
from optionstream.streams.verify.quotes.log import FIGURES, Quote, QuoteLog, quotes_of
from optionstream.streams.verify.rules import Rules, possible_time

MOST_WAITING = 8
_MAY_BE_NEGATIVE = [FIGURES.index(name) for name in ("oi_change", "iv")]
_MAY_NOT_BE_ZERO = FIGURES.index("underlying_price")


class QuoteFold:
    """Quotes of any products and expiries; each expiry of a product is a world of its own."""

    def __init__(self, rules: Rules, ledger: Ledger) -> None:
        self._rules = rules
        self._ledger = ledger
        self._expiries: dict[tuple[str, str], _ExpiryFold] = {}

    @property
    def held(self) -> int:
        """Quotes that wait for a second one of their session."""
        return sum(fold.held for fold in self._expiries.values())

    def take(self, record: RawRecord, frame: OptionQuoteFrame) -> list[Made]:
        """Decide about every quote of one record; return the chains of the sessions it ended."""
        place = frame.product, frame.expiry
        fold = self._expiries.get(place)
        if fold is None:
            fold = self._expiries[place] = _ExpiryFold(*place, self._rules, self._ledger)
        return [made for quote in quotes_of(record, frame) for made in fold.take(quote)]

    def finish(self) -> list[Made]:
        """Return the chains of the sessions that have not ended when there are no more records."""
        return [made for fold in self._expiries.values() for made in fold.chains(ended_by=None)]


class _ExpiryFold:
    """Sessions, duplicates and waiting quotes of one expiry, and the chains they make."""

    def __init__(self, product: str, expiry: str, rules: Rules, ledger: Ledger) -> None:
        self._product = product
        self._expiry = expiry
        self._rules = rules
        self._ledger = ledger
        self._history = ChainHistory()
        self._current: Session | None = None
        self._seen: dict[tuple[str, str], set[int]] = {}
        self._strikes: set[float] = set()
        self._log = QuoteLog()
        self._waiting: dict[int, Quote] = {}
        """By the opening instant of the session; one quote each."""

    @property
    def held(self) -> int:
        return len(self._waiting)

    def take(self, quote: Quote) -> list[Made]:
        """Decide about one quote; return the chains of the session that it ended, if it did."""
        reason = _flaw(quote, self._rules)
        if reason is not None:
            self._reject(quote, reason)
            return []
        session = self._session_at(quote.ts_ms)
        if session is None:
            self._ledger.outside(self._rules.calendar.phase_at(FNO, quote.ts_ms))
            return []
        return self._place(session, quote)

    def chains(self, *, ended_by: int | None) -> list[Made]:
        """Return the chains of the current session, which the record at ``ended_by`` ended."""
        if self._current is None:
            return []
        rules = self._rules
        timing = Timing(self._current, rules.quote_cadence_ms, rules.lateness_ms, ended_by)
        return [
            Made(offset, recomputed(self._history.add(chain), rules, oldest_leg_ms))
            for chain, oldest_leg_ms, offset in assembled(
                self._product, self._expiry, self._log, timing
            )
        ]

    def _session_at(self, ts_ms: int) -> Session | None:
        current = self._current
        if current is not None and current.open_ms <= ts_ms < current.close_ms:
            return current
        return self._rules.calendar.session_at(FNO, ts_ms)

    def _place(self, session: Session, quote: Quote) -> list[Made]:
        current = self._current
        if current is not None and session.open_ms < current.open_ms:
            self._reject(quote, rejects.TOO_LATE)
        elif current is not None and session.open_ms == current.open_ms:
            self._enter(quote)
        else:
            return self._ahead(session, quote)
        return []

    def _ahead(self, session: Session, quote: Quote) -> list[Made]:
        waiting = self._waiting.get(session.open_ms)
        if waiting is None and len(self._waiting) >= MOST_WAITING:
            self._reject(quote, rejects.UNCONFIRMED_SESSION)
        elif waiting is None:
            self._waiting[session.open_ms] = quote
        elif quote.same_as(waiting):
            self._ledger.counts.duplicates += 1
        else:
            chains = self.chains(ended_by=quote.record.offset)
            self._begin(session)
            self._enter(quote)
            return chains
        return []

    def _begin(self, session: Session) -> None:
        self._current = session
        self._seen = {}
        self._strikes = set()
        self._log = QuoteLog()
        first = self._waiting.pop(session.open_ms)
        for open_ms in [at for at in self._waiting if at < session.open_ms]:
            self._reject(self._waiting.pop(open_ms), rejects.TOO_LATE, waited=True)
        self._enter(first)

    def _enter(self, quote: Quote) -> None:
        seen = self._seen.setdefault(quote.feed, set())
        if quote.seq in seen:
            self._ledger.counts.duplicates += 1
        elif quote.strike not in self._strikes and len(self._strikes) >= MAX_STRIKES:
            self._reject(quote, rejects.BAD_QUOTE)
        else:
            seen.add(quote.seq)
            self._strikes.add(quote.strike)
            self._ledger.counts.accepted += 1
            self._log.add(quote)

    def _reject(self, quote: Quote, reason: str, *, waited: bool = False) -> None:
        self._ledger.reject_tick(quote.record, reason, quote.position, waited=waited)


def _flaw(quote: Quote, rules: Rules) -> str | None:
    """Why a quote is refused for its content alone; None when it is not."""
    if not possible_time(quote.ts_ms):
        return rejects.BAD_TIME
    if not 0 < quote.strike <= LARGEST_FIGURE or not _sound(quote.figures):
        return rejects.BAD_QUOTE
    return rules.misdated(quote.ts_ms, quote.frame.ts_recv)


def _sound(figures: tuple[float | None, ...]) -> bool:
    """Whether each figure that is told can be."""
    negative = [at for at, value in enumerate(figures) if value is not None and value < 0]
    return (
        all(at in _MAY_BE_NEGATIVE for at in negative)
        and figures[_MAY_NOT_BE_ZERO] != 0
        and all(value is None or abs(value) <= LARGEST_FIGURE for value in figures)
    )
