"""Kite's ticks as market events: options become quotes, everything else ticks. Pure.

Open interest and volume come in shares; the volume of an option's quote is converted to contracts.
Kite numbers nothing. A tick is identified by its content, a quote by its file (the session label
has the file's hash) and its place there. A price of 0 in a quote is passed on: it says that there
is no price now, while None leaves the price as it was.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Final, NamedTuple

from optionstream.producers.feeds.files.content import content_id
from optionstream.producers.feeds.format import FeedInput, Reader
from optionstream.producers.feeds.frames import dated_frames, none_if_empty
from optionstream.producers.feeds.hints import FeedHints
from optionstream.producers.feeds.kite.instruments import INDEX_TOKENS, Option
from optionstream.producers.feeds.kite.ticks import KiteTick, NamedTick, read_kite_json
from optionstream.producers.feeds.products import product_named
from optionstream.producers.feeds.ticks.tick_rows import TickRow, Unnumbered, tick_frame
from optionstream.schemas.events import OptionKind, OptionQuoteFrame, TickFrame
from optionstream.schemas.times import ist_date

SOURCE: Final = "kite"


class QuoteRow(NamedTuple):
    """One quote of an option; see ``schemas.events.OptionQuoteFrame``."""

    date: str
    ts_ms: int
    seq: int
    strike: float
    kind: OptionKind
    oi: float | None
    volume: float | None
    last: float | None
    bid: float | None
    ask: float | None


class _Sorted(NamedTuple):
    ticks: dict[str, list[TickRow]]
    """By product."""
    quotes: dict[tuple[str, str], list[QuoteRow]]
    """By product and expiry."""


def kite_json_events(file: FeedInput) -> Iterator[TickFrame | OptionQuoteFrame]:
    """Yield the events of a JSON body, as ``kite_events``."""
    body = file.source.body()
    yield from kite_events(read_kite_json(body, file), content_id(body), file)


def kite_packet_events(parse: Callable[[bytes], list[KiteTick]]) -> Reader:
    """Return a reader of packets; ``parse`` splits a body into ticks or raises ValueError."""

    def read(file: FeedInput) -> Iterator[TickFrame | OptionQuoteFrame]:
        body = file.source.body()
        try:
            ticks = parse(body)
        except ValueError as error:
            raise file.error(f"damaged Kite packets: {error}") from None
        yield from kite_events([(None, tick) for tick in ticks], content_id(body), file)

    return read


def kite_events(
    ticks: Sequence[NamedTick], capture: str, file: FeedInput
) -> Iterator[TickFrame | OptionQuoteFrame]:
    """Yield the events of one file: frames of ticks by product, then of quotes by product, expiry.

    ``capture`` is the file's hash. Ticks without a time take ``hints.timestamp_ms``. A token that
    neither a symbol nor ``hints.instruments`` nor INDEX_TOKENS names takes ``hints.product`` when
    it is the only such token. Ticks that still lack either are reported as problems. Raises
    InputError when nothing is left.
    """
    found = _sorted(ticks, _named(ticks, file.hints), file)
    if not found.ticks and not found.quotes:
        raise file.error(file.problems[0] if file.problems else "no ticks")
    for product, rows in found.ticks.items():
        yield from dated_frames(rows, file.frame_ticks, partial(tick_frame, product, SOURCE))
    for (product, expiry), quotes in found.quotes.items():
        make = partial(_quote_frame, product, expiry, capture)
        yield from dated_frames(quotes, file.frame_ticks, make)


def _named(ticks: Sequence[NamedTick], hints: FeedHints) -> dict[int, str]:
    """Return products by token, without options."""
    products: dict[int, str] = {}
    unknown: set[int] = set()
    for symbol, tick in ticks:
        token = tick.instrument_token
        listed = hints.instruments.get(token)
        symbol = symbol or (listed.symbol if listed else None)
        product = INDEX_TOKENS.get(token) if symbol is None else _product_of(symbol)
        if product is None:
            unknown.add(token)
        else:
            products[token] = product
    if len(unknown) == 1 and hints.product is not None:
        products[unknown.pop()] = hints.product
    return products


def _product_of(symbol: str) -> str | None:
    """Return ``NIFTY`` for ``NSE:NIFTY 50``; None for text that is not a symbol."""
    try:
        return product_named(symbol.split(":", 1)[-1])
    except ValueError:
        return None


def _sorted(ticks: Sequence[NamedTick], products: Mapping[int, str], file: FeedInput) -> _Sorted:
    hints, problems = file.hints, file.problems
    found = _Sorted({}, {})
    numbered: dict[str, Unnumbered] = {}
    for number, (_, tick) in enumerate(ticks, 1):
        token = tick.instrument_token
        ts_ms = hints.timestamp_ms if tick.ts_ms is None else tick.ts_ms
        instrument = hints.instruments.get(token)
        if ts_ms is None:
            problems.append(f"tick {number}: no time for token {token}; pass --timestamp")
        elif instrument is not None and instrument.option is not None:
            key = instrument.option.product, instrument.option.expiry
            row = _quote(tick, ts_ms, number, instrument.option)
            found.quotes.setdefault(key, []).append(row)
        elif token in products:
            product = products[token]
            row_of = numbered.setdefault(product, Unnumbered()).row
            found.ticks.setdefault(product, []).append(
                row_of(ist_date(ts_ms), ts_ms, tick.last_price, tick.volume)
            )
        else:
            why = "--product names a token only if it is the only unknown one"
            problems.append(f"tick {number}: no known product for token {token}; {why}")
    return found


def _quote(tick: KiteTick, ts_ms: int, seq: int, option: Option) -> QuoteRow:
    volume = None if tick.volume is None else tick.volume / option.lot_size
    return QuoteRow(
        date=ist_date(ts_ms),
        ts_ms=ts_ms,
        seq=seq,
        strike=option.strike,
        kind=option.kind,
        oi=tick.oi,
        volume=volume,
        last=tick.last_price,
        bid=tick.bid,
        ask=tick.ask,
    )


def _quote_frame(
    product: str, expiry: str, capture: str, date: str, rows: list[QuoteRow]
) -> OptionQuoteFrame:
    return OptionQuoteFrame(
        product=product,
        expiry=expiry,
        source=SOURCE,
        session=f"{date}/{capture}",
        ts_recv=max(row.ts_ms for row in rows),
        oi_unit="shares",
        ts_ms=[row.ts_ms for row in rows],
        seq=[row.seq for row in rows],
        strike=[row.strike for row in rows],
        kind=[row.kind for row in rows],
        oi=none_if_empty([row.oi for row in rows]),
        volume=none_if_empty([row.volume for row in rows]),
        last=none_if_empty([row.last for row in rows]),
        bid=none_if_empty([row.bid for row in rows]),
        ask=none_if_empty([row.ask for row in rows]),
    )
