"""Option chains in the form of Angel's market data: a row a leg. Pure.

Open interest is in shares, as brokers count. The answer says neither its time (``--timestamp``
does) nor the underlying price; the product begins each leg's symbol.
"""

from __future__ import annotations

import re
from typing import Final

from msgspec import Struct, field

from optionstream.producers.feeds.chains.legs import ChainBook, ChainKey, make_leg, option_kind
from optionstream.producers.feeds.files.json_body import decoded
from optionstream.producers.feeds.hints import FeedHints, needed_time
from optionstream.producers.feeds.products import product_named
from optionstream.producers.feeds.stamps import parse_date
from optionstream.schemas.errors import InputError
from optionstream.schemas.events import ChainSnapshot

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
    """Whether an Angel chain begins."""
    return b'"fetched"' in head and b'"tradingSymbol"' in head and b'"optionType"' in head


def angel_chains(
    body: bytes, name: str, hints: FeedHints, problems: list[str]
) -> list[ChainSnapshot]:
    """A snapshot for each expiry; open interest is in shares. Raises InputError naming ``name``."""
    rows = decoded(body, _Answer, name).data.fetched
    if not rows:
        raise InputError(name, "an Angel option chain without any leg")
    at = needed_time(hints.timestamp_ms, name)
    book = ChainBook(SOURCE, "shares", problems)
    for number, row in enumerate(rows, 1):
        try:
            key = ChainKey(at, _product(row), parse_date(row.expiry_date).isoformat())
            kind = option_kind(row.option_type)
        except ValueError as error:
            problems.append(f"row {number}: {error}")
            continue
        told = make_leg(
            oi=row.open_interest,
            oi_change=row.oi_change,
            volume=row.volume,
            last=row.last_price,
            bid=row.bid_price,
            ask=row.ask_price,
        )
        book.add_leg(number, key, row.strike_price, kind, told)
    return book.snapshots(body, name)


def _product(row: _Row) -> str:
    found = _DATED_SYMBOL.fullmatch(row.trading_symbol)
    if found is None:
        raise ValueError(f"{row.trading_symbol!r} is no option's symbol")
    return product_named(found[1])
