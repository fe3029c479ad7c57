"""Option chains as Upstox answers ``/v2/option/chain``: a row a strike. Pure.

Open interest and volume are in shares, as brokers count. The answer has no time: a recording may
have one (``recorded_at`` beside ``response``), else ``--timestamp`` gives it. A date in the file's
name is the expiry and never the time.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from msgspec import Struct

from optionstream.producers.feeds.chains.legs import ChainBook, ChainKey, Leg, make_leg
from optionstream.producers.feeds.files.json_body import decode_json
from optionstream.producers.feeds.format import FeedInput
from optionstream.producers.feeds.hints import first_given
from optionstream.producers.feeds.products import product_named
from optionstream.producers.feeds.times import parse_date
from optionstream.schemas.events import ChainSnapshot
from optionstream.schemas.times import to_ms

SOURCE: Final = "upstox"


class _MarketData(Struct, frozen=True, gc=False):
    ltp: float | None = None
    volume: float | None = None
    oi: float | None = None
    prev_oi: float | None = None
    bid_price: float | None = None
    ask_price: float | None = None


class _Greeks(Struct, frozen=True, gc=False):
    iv: float | None = None
    """Percent; 0 for none."""


class _Leg(Struct, frozen=True, gc=False):
    market_data: _MarketData = _MarketData()
    option_greeks: _Greeks = _Greeks()


class _Row(Struct, frozen=True, gc=False):
    expiry: str
    strike_price: float
    underlying_key: str | None = None
    underlying_spot_price: float | None = None
    call_options: _Leg | None = None
    put_options: _Leg | None = None


class _Answer(Struct, frozen=True):
    data: list[_Row]


class _File(Struct, frozen=True):
    """The answer itself, or a recording of it."""

    data: list[_Row] | None = None
    response: _Answer | None = None
    recorded_at: datetime | None = None


def looks_like_upstox(head: bytes) -> bool:
    """True if the head starts an Upstox chain."""
    return b'"call_options"' in head and b'"strike_price"' in head


def upstox_chains(file: FeedInput) -> list[ChainSnapshot]:
    """Return a snapshot for each expiry; open interest is in shares. Raises InputError."""
    body = file.source.body()
    answer = decode_json(body, _File, file)
    rows = answer.data if answer.data is not None else answer.response and answer.response.data
    if not rows:
        raise file.error("an Upstox option chain without any strikes")
    at = file.need_time(first_given(_recorded_ms(answer, file), file.hints.timestamp_ms))

    def parse(row: _Row) -> tuple[ChainKey, _Row]:
        product = file.need_product(first_given(_underlying(row), file.hints.product))
        return ChainKey(at, product, parse_date(row.expiry).isoformat()), row

    book = ChainBook(SOURCE, "shares", file)
    for number, (key, row) in file.parse_rows(enumerate(rows, 1), parse):
        call, put = _leg(row.call_options), _leg(row.put_options)
        book.add_row(number, key, row.strike_price, call, put, (row.underlying_spot_price,))
    return book.snapshots(body)


def _leg(served: _Leg | None) -> Leg | None:
    if served is None:
        return None
    market = served.market_data
    return make_leg(
        oi=market.oi,
        oi_change=_change(market.oi, market.prev_oi),
        volume=market.volume,
        iv=served.option_greeks.iv,
        last=market.ltp,
        bid=market.bid_price,
        ask=market.ask_price,
    )


def _change(now: float | None, before: float | None) -> float | None:
    return None if now is None or before is None else now - before


def _underlying(row: _Row) -> str | None:
    """``NSE_INDEX|Nifty 50`` → NIFTY."""
    if row.underlying_key is None:
        return None
    return product_named(row.underlying_key.rpartition("|")[2])


def _recorded_ms(answer: _File, file: FeedInput) -> int | None:
    at = answer.recorded_at
    if at is None:
        return None
    if at.tzinfo is None or to_ms(at) < 0:
        raise file.error(f"recorded_at {at}: no time zone, or before 1970")
    return to_ms(at)
