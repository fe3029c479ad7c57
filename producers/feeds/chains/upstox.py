"""Option chains as Upstox answers ``/v2/option/chain``: a row a strike. Pure.

Open interest and volume are in shares, as brokers count. The answer does not say its time: a
recording may (``recorded_at`` beside ``response``), else ``--timestamp`` does; a date in the name
is not asked, for there it is the expiry.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from msgspec import Struct

from optionstream.producers.feeds.chains.legs import ChainBook, ChainKey, Leg, make_leg
from optionstream.producers.feeds.files.json_body import decoded
from optionstream.producers.feeds.hints import FeedHints, first_told, needed_product, needed_time
from optionstream.producers.feeds.products import product_named
from optionstream.producers.feeds.stamps import parse_date
from optionstream.schemas.errors import InputError
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
    """Whether an Upstox chain begins."""
    return b'"call_options"' in head and b'"strike_price"' in head


def upstox_chains(
    body: bytes, name: str, hints: FeedHints, problems: list[str]
) -> list[ChainSnapshot]:
    """A snapshot for each expiry; open interest is in shares. Raises InputError naming ``name``."""
    file = decoded(body, _File, name)
    rows = file.data if file.data is not None else file.response and file.response.data
    if not rows:
        raise InputError(name, "an Upstox option chain without any strikes")
    at = needed_time(first_told(_recorded_ms(file.recorded_at, name), hints.timestamp_ms), name)
    book = ChainBook(SOURCE, "shares", problems)
    for number, row in enumerate(rows, 1):
        try:
            product = needed_product(first_told(_underlying(row), hints.product), name)
            key = ChainKey(at, product, parse_date(row.expiry).isoformat())
        except ValueError as error:
            problems.append(f"row {number}: {error}")
            continue
        call, put = _leg(row.call_options), _leg(row.put_options)
        book.add_row(number, key, row.strike_price, call, put, (row.underlying_spot_price,))
    return book.snapshots(body, name)


def _leg(told: _Leg | None) -> Leg | None:
    if told is None:
        return None
    market = told.market_data
    return make_leg(
        oi=market.oi,
        oi_change=_change(market.oi, market.prev_oi),
        volume=market.volume,
        iv=told.option_greeks.iv,
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


def _recorded_ms(at: datetime | None, name: str) -> int | None:
    if at is None:
        return None
    if at.tzinfo is None or to_ms(at) < 0:
        raise InputError(name, f"recorded_at {at}: no time zone, or before 1970")
    return to_ms(at)
