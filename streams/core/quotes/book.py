"""The legs of one expiry as its quotes tell them, and the chain they are at an instant."""

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
    """A chain, and the age of its oldest quote at its time."""

    chain: ChainSnapshot
    oldest_leg_ms: int


class _Leg:
    """One contract: each figure as the newest quote that told it, and that quote."""

    __slots__ = ("figures", "newest", "tellers")

    def __init__(self, quote: Quote) -> None:
        self.newest = quote
        self.figures: list[float | None] = list(_MISSING)
        self.tellers: list[Quote | None] = [None] * len(_MISSING)

    def take(self, quote: Quote) -> None:
        if self.newest <= quote:
            self.newest = quote
            if None not in quote.figures:
                self.figures = list(quote.figures)
                self.tellers = [quote] * len(_MISSING)
                return
        for at, value in enumerate(quote.figures):
            if value is not None:
                teller = self.tellers[at]
                if teller is None or teller < quote:
                    self.figures[at], self.tellers[at] = value, quote

    def shown(self, unit: OiUnit) -> list[float | None]:
        """The figures, without open interest told in another unit."""
        shown = self.figures.copy()
        for at in _OI:
            teller = self.tellers[at]
            if teller is not None and teller.origin.oi_unit != unit:
                shown[at] = None
        return shown


class Book:
    """The legs of one expiry in one session, as the applied quotes tell them."""

    def __init__(self) -> None:
        self.last_recv = 0
        """The greatest receipt time of an applied quote."""
        self._sides: dict[OptionKind, dict[float, _Leg]] = {_CALL: {}, _PUT: {}}
        self._newest: Quote | None = None
        self._priced: Quote | None = None
        """The newest quote that tells the underlying price."""

    def take(self, quote: Quote) -> None:
        """Apply one quote."""
        side = self._sides[quote.kind]
        leg = side.get(quote.strike)
        if leg is None:
            leg = side[quote.strike] = _Leg(quote)
        leg.take(quote)
        if quote.origin.ts_recv > self.last_recv:
            self.last_recv = quote.origin.ts_recv
        if self._newest is None or self._newest < quote:
            self._newest = quote
        if quote.underlying_price is not None and (self._priced is None or self._priced < quote):
            self._priced = quote

    def chain(self, product: str, expiry: str, boundary: int) -> Assembled:
        """The chain of that instant; at least one quote was applied."""
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
        """The quotes that still tell something, in their order: applied again they make this
        book, but for ``last_recv``."""
        telling = {id(self._priced): self._priced}
        for side in self._sides.values():
            for leg in side.values():
                telling[id(leg.newest)] = leg.newest
                telling.update((id(quote), quote) for quote in leg.tellers)
        return sorted(quote for quote in telling.values() if quote is not None)


def _side(legs: dict[float, _Leg], strikes: list[float], unit: OiUnit) -> Legs:
    """The columns of one side; a price of 0 means none."""
    rows = [legs[strike].shown(unit) if strike in legs else _MISSING for strike in strikes]
    columns = dict(zip(LEG_COLUMNS, map(list, zip(*rows, strict=True)), strict=True))
    for name in _PRICES:
        columns[name] = [price or None for price in columns[name]]
    return Legs(**columns)
