"""Option chains in the form of Angel's market data: a row a leg. Pure.

Open interest is in shares, as brokers count. The answer has neither a time (``--timestamp``
gives it) nor an underlying price; each leg's symbol starts with the product.
"""

from __future__ import annotations

import re
from typing import Final

from msgspec import Struct, field

from optionstream.producers.feeds.chains.legs import ChainBook, ChainKey, make_leg, option_kind
from optionstream.producers.feeds.files.json_body import decode_json
from optionstream.producers.feeds.format import FeedInput
from optionstream.producers.feeds.products import product_named
from optionstream.producers.feeds.times import parse_date
from optionstream.schemas.events import ChainSnapshot, OptionKind

SOURCE: Final = "angel"

_DATED_SYMBOL: Final = re.compile(r"([A-Z0-9&-]+?)\d{2}[A-Z]{3}\d+(?:\.\d+)?(?:CE|PE)")
"""``BANKNIFTY23NOV47000CE``: product, day and month, strike, kind."""


class _Row(Struct, frozen=True, rename="camel", gc=False):
    trading_symbol: str
    expiry_date: str
    strike_price: float
    option_type: str
    last_price: float | None = None
    volume: float | None = None
    open_interest: float | None = None
    oi_change: float | None = field(name="changeinOpenInterest", default=None)
    bid_price: float | None = None
    ask_price: float | None = None


class _Data(Struct, frozen=True):
    fetched: list[_Row]


class _Answer(Struct, frozen=True):
    data: _Data


def looks_like_angel(head: bytes) -> bool:
    """True if the head starts an Angel chain."""
    return b'"fetched"' in head and b'"tradingSymbol"' in head and b'"optionType"' in head


def angel_chains(file: FeedInput) -> list[ChainSnapshot]:
    """Return a snapshot for each expiry; open interest is in shares. Raises InputError."""
    body = file.source.body()
    rows = decode_json(body, _Answer, file).data.fetched
    if not rows:
        raise file.error("an Angel option chain without any leg")
    at = file.need_time(file.hints.timestamp_ms)

    def parse(row: _Row) -> tuple[ChainKey, OptionKind, _Row]:
        key = ChainKey(at, _product(row), parse_date(row.expiry_date).isoformat())
        return key, option_kind(row.option_type), row

    book = ChainBook(SOURCE, "shares", file)
    for number, (key, kind, row) in file.parse_rows(enumerate(rows, 1), parse):
        leg = make_leg(
            oi=row.open_interest,
            oi_change=row.oi_change,
            volume=row.volume,
            last=row.last_price,
            bid=row.bid_price,
            ask=row.ask_price,
        )
        book.add_leg(number, key, row.strike_price, kind, leg)
    return book.snapshots(body)


def _product(row: _Row) -> str:
    found = _DATED_SYMBOL.fullmatch(row.trading_symbol)
    if found is None:
        raise ValueError(f"{row.trading_symbol!r} is not an option's symbol")
    return product_named(found[1])
