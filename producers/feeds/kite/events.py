"""Kite's ticks as market events: options become quotes, everything else ticks. Pure.

Open interest and volume come in shares; the volume of an option's quote is turned into contracts.
Kite numbers nothing. A tick is known by its content, a quote by the file it came in (its label
has the file's hash) and its place there. A price of 0 in a quote is passed on: it says that there
is none now, where None says nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Final, NamedTuple

from optionstream.producers.feeds.hints import FeedHints
from optionstream.producers.feeds.kite.instruments import INDEX_TOKENS, Option
from optionstream.producers.feeds.kite.quotes_json import NamedTick
from optionstream.producers.feeds.kite.tick import KiteTick
from optionstream.producers.feeds.products import product_named
from optionstream.producers.feeds.ticks.tick_rows import TickRow, Unnumbered, tick_frame
from optionstream.producers.feeds.times import dated_frames
from optionstream.schemas.errors import InputError
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


def kite_events(
    told: Sequence[NamedTick],
    name: str,
    capture: str,
    hints: FeedHints,
    frame_ticks: int,
    problems: list[str],
) -> Iterator[TickFrame | OptionQuoteFrame]:
    """The events of one file: frames of ticks by product, then of quotes by product and expiry.

    ``capture`` is the file's hash. Ticks without a time take ``hints.timestamp_ms``; a token that
    neither a symbol nor ``hints.instruments`` nor INDEX_TOKENS names takes ``hints.product`` when
    it is the only such one. What lacks either is told in ``problems``; InputError when nothing
    is left.
    """
    found = _sorted(told, _named(told, hints), hints, problems)
    if not found.ticks and not found.quotes:
        raise InputError(name, problems[0] if problems else "no ticks")
    for product, ticks in found.ticks.items():
        yield from dated_frames(ticks, frame_ticks, partial(tick_frame, product, SOURCE))
    for (product, expiry), quotes in found.quotes.items():
        make = partial(_quote_frame, product, expiry, capture)
        yield from dated_frames(quotes, frame_ticks, make)


def _named(told: Sequence[NamedTick], hints: FeedHints) -> dict[int, str]:
    """Products by token, of what is no option."""
    products: dict[int, str] = {}
    unknown: set[int] = set()
    for symbol, tick in told:
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
    """``NIFTY`` of ``NSE:NIFTY 50``; None for text that is no symbol."""
    try:
        return product_named(symbol.split(":", 1)[-1])
    except ValueError:
        return None


def _sorted(
    told: Sequence[NamedTick],
    products: Mapping[int, str],
    hints: FeedHints,
    problems: list[str],
) -> _Sorted:
    found = _Sorted({}, {})
    numbered: dict[str, Unnumbered] = {}
    for number, (_, tick) in enumerate(told, 1):
        token = tick.instrument_token
        ts_ms = hints.timestamp_ms if tick.ts_ms is None else tick.ts_ms
        instrument = hints.instruments.get(token)
        if ts_ms is None:
            problems.append(f"tick {number}: token {token} does not say its time: add --timestamp")
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
            why = "--product names the only token that nothing else names"
            problems.append(f"tick {number}: token {token} is no known product; {why}")
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
        oi=_told([row.oi for row in rows]),
        volume=_told([row.volume for row in rows]),
        last=_told([row.last for row in rows]),
        bid=_told([row.bid for row in rows]),
        ask=_told([row.ask for row in rows]),
    )


def _told(column: list[float | None]) -> list[float | None] | None:
    return None if column.count(None) == len(column) else column
