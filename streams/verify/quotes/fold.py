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
from optionstream.streams.verify.sessions import Sessions

_MAY_BE_NEGATIVE = [FIGURES.index(name) for name in ("oi_change", "iv")]
_MAY_NOT_BE_ZERO = FIGURES.index("underlying_price")


class QuoteFold:
    """Quotes of any products and expiries; each expiry of a product has a state of its own."""

    def __init__(self, rules: Rules, ledger: Ledger) -> None:
        self._rules = rules
        self._ledger = ledger
        self._expiries: dict[tuple[str, str], _ExpiryFold] = {}

    @property
    def held(self) -> int:
        """How many quotes wait for a second one of their session."""
        return sum(fold.held for fold in self._expiries.values())

    def take_quotes(self, record: RawRecord, frame: OptionQuoteFrame) -> list[Made]:
        """Decide about every quote of one record; return the chains of the sessions it ended."""
        place = frame.product, frame.expiry
        fold = self._expiries.get(place)
        if fold is None:
            fold = self._expiries[place] = _ExpiryFold(*place, self._rules, self._ledger)
        return [made for quote in quotes_of(record, frame) for made in fold.take_quote(quote)]

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
        self._sessions = Sessions[Quote](FNO, rules, ledger, self._begin, self._accept)
        self._strikes: set[float] = set()
        self._log = QuoteLog()
        self._offset = 0
        """Of the record that is being taken."""
        self._made: list[Made] = []
        """The chains of the sessions that this record ended."""

    @property
    def held(self) -> int:
        """How many quotes wait for a second one of their session."""
        return len(self._sessions.waiting)

    def take_quote(self, quote: Quote) -> list[Made]:
        """Decide about one quote; return the chains of the session that it ended, if it did."""
        reason = _flaw(quote, self._rules)
        if reason is not None:
            self._ledger.reject_tick(quote.record, reason, quote.position)
            return []
        session = self._sessions.session_at(quote.ts_ms)
        if session is not None:
            self._offset = quote.record.offset
            self._sessions.place(session, quote)
        made, self._made = self._made, []
        return made

    def chains(self, *, ended_by: int | None) -> list[Made]:
        """Return the chains of the current session, which the record at ``ended_by`` ended."""
        session, settings = self._sessions.current, self._rules.settings
        if session is None:
            return []
        timing = Timing(session, settings.quote_cadence_ms, settings.allowed_lateness_ms, ended_by)
        return [
            Made(offset, recomputed(self._history.add_snapshot(chain), self._rules, oldest_leg_ms))
            for chain, oldest_leg_ms, offset in assembled(
                self._product, self._expiry, self._log, timing
            )
        ]

    def _begin(self, _session: Session) -> None:
        self._made += self.chains(ended_by=self._offset)
        self._strikes, self._log = set(), QuoteLog()

    def _accept(self, quote: Quote) -> str | None:
        if quote.strike not in self._strikes and len(self._strikes) >= MAX_STRIKES:
            return rejects.BAD_QUOTE
        self._strikes.add(quote.strike)
        self._log.add_quote(quote)
        return None


def _flaw(quote: Quote, rules: Rules) -> str | None:
    """Return why a quote is refused for its content alone, None if it is not."""
    if not possible_time(quote.ts_ms):
        return rejects.BAD_TIME
    if not 0 < quote.strike <= LARGEST_FIGURE or not _sound(quote.figures):
        return rejects.BAD_QUOTE
    return rules.misdated(quote.ts_ms, quote.frame.ts_recv)


def _sound(figures: tuple[float | None, ...]) -> bool:
    """True if each figure given is possible."""
    negative = [at for at, value in enumerate(figures) if value is not None and value < 0]
    return (
        all(at in _MAY_BE_NEGATIVE for at in negative)
        and figures[_MAY_NOT_BE_ZERO] != 0
        and all(value is None or abs(value) <= LARGEST_FIGURE for value in figures)
    )
