"""The legs of one expiry as its quotes give them, and the chain they are at an instant."""

from __future__ import annotations

from typing import Final, NamedTuple

from optionstream.schemas.events import LEG_COLUMNS, ChainSnapshot, Legs, OiUnit, OptionKind
from optionstream.streams.core.quotes.rows import Quote

_OI: Final = (LEG_COLUMNS.index("oi"), LEG_COLUMNS.index("oi_change"))
_PRICES: Final = ("last", "bid", "ask")
_MISSING: Final[tuple[float | None, ...]] = (None,) * len(LEG_COLUMNS)
_CALL: Final = "CE"
_PUT: Final = "PE"


class Assembled(NamedTuple):
    """A chain, and the age of its oldest leg at its time, ms."""

    chain: ChainSnapshot
    oldest_leg_ms: int


class _Leg:
    """One contract: each figure from the newest quote that has it, and that quote."""

    __slots__ = ("figures", "newest", "sources")

    def __init__(self, quote: Quote) -> None:
        self.newest = quote
        self.figures: list[float | None] = list(_MISSING)
        self.sources: list[Quote | None] = [None] * len(_MISSING)

    def apply_quote(self, quote: Quote) -> None:
        """Take each figure of the quote that no later quote has set."""
        if self.newest <= quote:
            self.newest = quote
            if None not in quote.figures:
                self.figures = list(quote.figures)
                self.sources = [quote] * len(_MISSING)
                return
        for at, value in enumerate(quote.figures):
            if value is not None:
                source = self.sources[at]
                if source is None or source < quote:
                    self.figures[at], self.sources[at] = value, quote

    def shown(self, unit: OiUnit) -> list[float | None]:
        """Return the figures, without open interest in another unit."""
        shown = self.figures.copy()
        for at in _OI:
            source = self.sources[at]
            if source is not None and source.origin.oi_unit != unit:
                shown[at] = None
        return shown


class Book:
    """The legs of one expiry in one session, as the applied quotes give them."""

    def __init__(self) -> None:
        self.last_recv = 0
        """The greatest receipt time of an applied quote."""
        self._sides: dict[OptionKind, dict[float, _Leg]] = {_CALL: {}, _PUT: {}}
        self._newest: Quote | None = None
        self._priced: Quote | None = None
        """The newest quote that has the underlying price."""

    def apply_quote(self, quote: Quote) -> None:
        """Apply one quote of the session."""
        side = self._sides[quote.kind]
        leg = side.get(quote.strike)
        if leg is None:
            leg = side[quote.strike] = _Leg(quote)
        leg.apply_quote(quote)
        if quote.origin.ts_recv > self.last_recv:
            self.last_recv = quote.origin.ts_recv
        if self._newest is None or self._newest < quote:
            self._newest = quote
        if quote.underlying_price is not None and (self._priced is None or self._priced < quote):
            self._priced = quote

    def chain(self, product: str, expiry: str, boundary: int) -> Assembled:
        """Return the chain at a boundary (UTC epoch ms); at least one quote was applied."""
        newest = self._newest
        assert newest is not None
        unit = newest.origin.oi_unit
        calls, puts = self._sides[_CALL], self._sides[_PUT]
        strikes = sorted(calls.keys() | puts.keys())
        chain = ChainSnapshot(
            product=product,
            expiry=expiry,
            source=newest.origin.feed[0],
            ts_event=boundary,
            ts_recv=self.last_recv,
            oi_unit=unit,
            strikes=strikes,
            calls=_side(calls, strikes, unit),
            puts=_side(puts, strikes, unit),
            underlying_price=None if self._priced is None else self._priced.underlying_price,
        )
        oldest = min(leg.newest.ts for side in (calls, puts) for leg in side.values())
        return Assembled(chain, boundary - oldest)

    def quotes(self) -> list[Quote]:
        """Return the quotes from which a figure is taken, in their order: applied again they make
        this book, but for ``last_recv``."""
        used = {id(self._priced): self._priced}
        for side in self._sides.values():
            for leg in side.values():
                used[id(leg.newest)] = leg.newest
                used.update((id(quote), quote) for quote in leg.sources)
        return sorted(quote for quote in used.values() if quote is not None)


def _side(legs: dict[float, _Leg], strikes: list[float], unit: OiUnit) -> Legs:
    """Return the columns of one side; a price of 0 means none."""
    rows = [legs[strike].shown(unit) if strike in legs else _MISSING for strike in strikes]
    columns = dict(zip(LEG_COLUMNS, map(list, zip(*rows, strict=True)), strict=True))
    for name in _PRICES:
        columns[name] = [price or None for price in columns[name]]
    return Legs(**columns)
