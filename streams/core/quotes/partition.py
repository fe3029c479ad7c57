"""One partition of ``market.option_quote``: quotes in, analytics of assembled chains out.

What changes with every quote is the hot part: waiting quotes, watermarks, the page of numbers that
is being filled. Legs and what is remembered of chains change only at boundaries: a segment for each
product and expiry. A full page of numbers is a segment that never changes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import msgspec
from msgspec import Struct

from optionstream.schemas.events import OptionQuoteFrame
from optionstream.schemas.topics import chain_key
from optionstream.streams.core.chains.analyse import Accepted, ExpiryChains, analyse
from optionstream.streams.core.counts import Counts
from optionstream.streams.core.indicators import NO_INDICATORS, Indicators
from optionstream.streams.core.intake import (
    Incoming,
    Output,
    Source,
    reject_events,
    reject_held,
)
from optionstream.streams.core.market.calendar import Session
from optionstream.streams.core.partition import Partition
from optionstream.streams.core.quotes.assembly import ExpiryQuotes
from optionstream.streams.core.quotes.rows import Quote
from optionstream.streams.core.quotes.seen_numbers import Page
from optionstream.streams.core.rules import Rules
from optionstream.streams.core.surface.surfaces import Moment, ProductSurfaces, chain_outputs

_CHAINS: Final = "chains"
_SEEN: Final = "seen"
_SMILES: Final = "smiles"


class _HotExpiry(Struct, array_like=True):
    expiry: str
    session: Session | None
    watermark: int
    waiting: list[Quote]
    held: list[tuple[int, Quote]]
    page: Page


class _HotProduct(Struct, array_like=True):
    product: str
    counts: Counts
    known_at: int
    expiries: list[_HotExpiry]
    surfaces: Moment = msgspec.field(default_factory=Moment)


class _Hot(Struct, array_like=True):
    unread: Counts
    products: list[_HotProduct]


class _Applied(Struct, array_like=True):
    """The segment of an expiry: its book, and what is remembered of its chains."""

    last_recv: int
    quotes: list[Quote]
    chains: bytes


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Hot).decode
_decode_applied = msgspec.msgpack.Decoder(_Applied).decode
_decode_page = msgspec.msgpack.Decoder(Page).decode


@dataclass(slots=True)
class _Expiry:
    quotes: ExpiryQuotes
    chains: ExpiryChains = field(default_factory=ExpiryChains)
    pages: list[str] = field(default_factory=list)
    """Names of the stored pages, all of one session."""


@dataclass(slots=True)
class _Product:
    counts: Counts = field(default_factory=Counts)
    known_at: int = 0
    expiries: dict[str, _Expiry] = field(default_factory=dict)
    surfaces: ProductSurfaces = field(default_factory=ProductSurfaces)


class QuotePartition(Partition):
    """The products of one partition."""

    def __init__(
        self, source: Source, rules: Rules, indicators: Indicators = NO_INDICATORS
    ) -> None:
        super().__init__(source, rules)
        self.indicators = indicators
        self.products: dict[str, _Product] = {}

    def apply(self, records: Sequence[Incoming]) -> list[Output]:
        """Apply records in log order; return what goes out."""
        outputs = []
        for incoming in records:
            record = self.read_record(incoming)
            if isinstance(record, OptionQuoteFrame):
                outputs += self._apply_frame(record, incoming)
            else:
                assert isinstance(record, Output)
                outputs.append(record)
        return outputs

    def _apply_frame(self, frame: OptionQuoteFrame, incoming: Incoming) -> list[Output]:
        product = self.products.setdefault(frame.product, _Product())
        expiry = self._expiry_of(frame.product, frame.expiry)
        product.known_at = max(product.known_at, frame.ts_recv)
        outcome = expiry.quotes.apply_frame(frame, incoming.offset)
        made = [
            Accepted(expiry.chains, chain, product.known_at, oldest_leg_ms)
            for chain, oldest_leg_ms in outcome.chains
        ]
        outputs = []
        for record in analyse(made, self.rules, self.indicators):
            outputs += chain_outputs(record, product.surfaces)
        for reason, indices in outcome.refused.items():
            outputs.append(reject_events(incoming, self.source, reason, indices))
        key = chain_key(frame.product, frame.expiry).encode()
        for quote in outcome.late_held:
            alone = quote.frame(frame.product, frame.expiry)
            outputs.append(reject_held(quote, alone, key, self.source))
        return outputs

    def _expiry_of(self, product: str, expiry: str) -> _Expiry:
        state = self.products[product]
        found = state.expiries.get(expiry)
        if found is None:
            quotes = ExpiryQuotes(product, expiry, self.rules, state.counts)
            found = state.expiries[expiry] = _Expiry(quotes)
        return found

    # -- state ------------------------------------------------------------------------------

    def hot(self) -> bytes:
        """Return the part of the state that changes with every checkpoint."""
        return _encode(
            _Hot(
                self.unread,
                [
                    _HotProduct(
                        name,
                        state.counts,
                        state.known_at,
                        [_hot_expiry(each.quotes) for each in state.expiries.values()],
                        state.surfaces.moment,
                    )
                    for name, state in self.products.items()
                ],
            )
        )

    def take_segments(self) -> dict[str, bytes | None]:
        """Return the segments changed since the last call, by name; None for those to delete."""
        changed: dict[str, bytes | None] = {}
        for name, state in self.products.items():
            for date, smile in state.surfaces.take_segments().items():
                changed[f"{_SMILES}|{name}|{date}"] = smile
            for expiry in state.expiries.values():
                changed.update(_take_pages(expiry))
                quotes, book = expiry.quotes, expiry.quotes.book
                if quotes.changed:
                    part = _Applied(book.last_recv, book.quotes(), expiry.chains.pack())
                    changed[_chains_name(quotes)] = _encode(part)
                    quotes.changed = False
        return changed

    def restore(self, hot: bytes, segments: Mapping[str, bytes]) -> None:
        """Restore the state saved as ``hot`` and ``segments``."""
        stored = _decode(hot)
        self.unread = stored.unread
        self.products = {}
        for part in stored.products:
            surfaces = ProductSurfaces(part.surfaces)
            self.products[part.product] = _Product(part.counts, part.known_at, {}, surfaces)
            for each in part.expiries:
                expiry = self._expiry_of(part.product, each.expiry)
                expiry.quotes.held = dict(each.held)
                if each.session is not None:
                    _restore_session(expiry, each, each.session, segments)
        self._restore_smiles(segments)

    def _restore_smiles(self, segments: Mapping[str, bytes]) -> None:
        for name, data in segments.items():
            part, product, expiry, *_ = name.split("|")
            if part == _SMILES:
                self.products[product].surfaces.restore(expiry, data)


def _hot_expiry(quotes: ExpiryQuotes) -> _HotExpiry:
    return _HotExpiry(
        expiry=quotes.expiry,
        session=quotes.session,
        watermark=quotes.watermark.reached_ms,
        waiting=quotes.waiting,
        held=sorted(quotes.held.items()),
        page=quotes.seen.page,
    )


def _restore_session(
    expiry: _Expiry, hot: _HotExpiry, session: Session, segments: Mapping[str, bytes]
) -> None:
    quotes = expiry.quotes
    part = _decode_applied(segments[_chains_name(quotes)])
    expiry.chains = ExpiryChains.unpack(part.chains)
    quotes.restore(session, hot.watermark, hot.waiting, part.quotes, part.last_recv)
    while (name := _page_name(quotes, session, len(expiry.pages))) in segments:
        quotes.seen.add_page(_decode_page(segments[name]))
        expiry.pages.append(name)
    quotes.seen.add_page(hot.page)


def _take_pages(expiry: _Expiry) -> dict[str, bytes | None]:
    """Return the new full pages of seen numbers by name; None for those of an earlier session."""
    quotes, pages = expiry.quotes, expiry.pages
    session = quotes.session
    changed: dict[str, bytes | None] = {}
    if session is None:
        return changed
    if pages and pages[0] != _page_name(quotes, session, 0):
        changed.update(dict.fromkeys(pages))
        pages.clear()
    for page in quotes.seen.take_full():
        name = _page_name(quotes, session, len(pages))
        changed[name] = _encode(page)
        pages.append(name)
    return changed


def _chains_name(quotes: ExpiryQuotes) -> str:
    return f"{_CHAINS}|{quotes.product}|{quotes.expiry}"


def _page_name(quotes: ExpiryQuotes, session: Session, number: int) -> str:
    return f"{_SEEN}|{quotes.product}|{quotes.expiry}|{session.open_ms}|{number}"
