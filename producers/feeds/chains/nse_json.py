"""The exchange's option-chain JSON as chain snapshots, one for each expiry. Pure.

Both endpoints are read: the old one, and v3 of 2026. v3 renamed ``bidprice``/``askPrice`` to
``buyPrice1``/``sellPrice1`` and a row's ``expiryDate`` to ``expiryDates`` (still one date). A body
may be wrapped as ``{"time": …, "data": {"records": …}}``.

Open interest stays in lots and may be fractional. Open interest, its change and volume may be 0; a
price or an implied volatility of 0 is None. A missing leg is None in every column. Receipt time is
the exchange's time, because a body has no other. The underlying price is the body's own; if legs of
one expiry have different ones, 0 left aside, it is mixed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgspec
from msgspec import Raw, Struct, field

from optionstream.producers.feeds.chains.legs import ChainBook, ChainKey, Leg, make_leg
from optionstream.producers.feeds.files.json_body import json_errors
from optionstream.producers.feeds.format import FeedInput
from optionstream.producers.feeds.products import INDEX_PRODUCT
from optionstream.producers.feeds.times import parse_date, parse_stamp
from optionstream.schemas.events import ChainSnapshot

SOURCE: Final = "nse"


class _BodyLeg(Struct, frozen=True, gc=False):
    """One contract as served: prices in rupees, open interest in lots, volume in contracts,
    implied volatility in percent; 0 stands for none in prices and volatility."""

    underlying: str | None = None
    expiry: str | None = field(name="expiryDate", default=None)
    oi: float | None = field(name="openInterest", default=None)
    oi_change: float | None = field(name="changeinOpenInterest", default=None)
    volume: float | None = field(name="totalTradedVolume", default=None)
    iv: float | None = field(name="impliedVolatility", default=None)
    last: float | None = field(name="lastPrice", default=None)
    bidprice: float | None = None
    ask_price: float | None = field(name="askPrice", default=None)
    buy_price_1: float | None = field(name="buyPrice1", default=None)
    sell_price_1: float | None = field(name="sellPrice1", default=None)
    underlying_price: float | None = field(name="underlyingValue", default=None)

    @property
    def bid(self) -> float | None:
        return self.buy_price_1 if self.bidprice is None else self.bidprice

    @property
    def ask(self) -> float | None:
        return self.sell_price_1 if self.ask_price is None else self.ask_price


class _BodyRow(Struct, frozen=True):
    """One strike of one expiry."""

    strike: float = field(name="strikePrice")
    expiry_date: str | None = field(name="expiryDate", default=None)
    expiry_dates: str | None = field(name="expiryDates", default=None)
    call: _BodyLeg | None = field(name="CE", default=None)
    put: _BodyLeg | None = field(name="PE", default=None)

    @property
    def expiry(self) -> str | None:
        """The row's own date, else that of a leg."""
        own = self.expiry_date or self.expiry_dates
        return own or next((leg.expiry for leg in (self.call, self.put) if leg), None)


class _BodyRecords(Struct, frozen=True):
    """``records``: every expiry's rows at one time; ``timestamp`` is naive Indian time."""

    data: list[_BodyRow]
    timestamp: str | None = None
    underlying_price: float | None = field(name="underlyingValue", default=None)
    index: Any = None

    @property
    def index_name(self) -> str | None:
        """``NIFTY 50`` where the body has a block ``index``, as text or as an object."""
        name = self.index.get("indexSymbol") if isinstance(self.index, dict) else self.index
        return name if isinstance(name, str) and name else None


def looks_like_nse(head: bytes) -> bool:
    """True if the head is JSON with ``records``. They may come after the head: ``chain_snapshots``
    raises InputError for JSON without any."""
    return is_json(head) and b'"records"' in head


def is_json(head: bytes) -> bool:
    """True if the head starts an object or a list."""
    return head.lstrip().startswith((b"{", b"["))


def chain_snapshots(file: FeedInput) -> list[ChainSnapshot]:
    """Return the snapshots of one body, by expiry.

    Rows and expiries that cannot be used are reported as problems. Raises InputError: no option
    chain, wrong types, no strikes, no product, no time.
    """
    body = file.source.body()
    with json_errors(file):
        records = msgspec.json.decode(_records(body, file), type=_BodyRecords)
    if not records.data:
        raise file.error("an option chain without any strikes")
    product = _product(records, file)
    ts_event = _timestamp(records, file)
    book = ChainBook(SOURCE, "lots", file, lambda _: records.underlying_price or None)
    for number, (row, expiry) in file.parse_rows(enumerate(records.data, 1), _expiries(file)):
        key = ChainKey(ts_event, product, expiry)
        spots = [leg.underlying_price for leg in (row.call, row.put) if leg is not None]
        book.add_row(number, key, row.strike, _leg(row.call), _leg(row.put), spots)
    return book.snapshots(body)


def _product(records: _BodyRecords, file: FeedInput) -> str:
    legs = (leg for row in records.data for leg in (row.call, row.put))
    named = {leg.underlying for leg in legs if leg is not None and leg.underlying}
    if len(named) > 1:
        raise file.error(f"legs of several underlyings: {', '.join(sorted(named))}")
    index = records.index_name
    product = next(iter(named), None) or INDEX_PRODUCT.get(index or "", index)
    return file.need_product(product or file.hints.product)


def _timestamp(records: _BodyRecords, file: FeedInput) -> int:
    if not records.timestamp:
        return file.need_time(file.hints.timestamp_ms)
    try:
        return parse_stamp(records.timestamp)
    except ValueError as error:
        raise file.error(f"records.timestamp: {error}") from None


def _expiries(file: FeedInput) -> Callable[[_BodyRow], tuple[_BodyRow, str]]:
    """Return a function that adds its ISO expiry to a row. That raises ValueError."""
    dates: dict[str, str] = {}

    def dated(row: _BodyRow) -> tuple[_BodyRow, str]:
        text = row.expiry or file.hints.expiry
        if text is None:
            raise ValueError("no expiry; pass --expiry-date YYYY-MM-DD")
        if text not in dates:
            try:
                dates[text] = parse_date(text).isoformat()
            except ValueError as error:
                raise ValueError(f"expiry: {error}") from None
        return row, dates[text]

    return dated


def _leg(leg: _BodyLeg | None) -> Leg | None:
    if leg is None:
        return None
    return make_leg(leg.oi, leg.oi_change, leg.volume, leg.iv, leg.last, leg.bid, leg.ask)


def _records(body: bytes, file: FeedInput) -> Raw:
    top = _object(body)
    if "records" not in top and "data" in top:
        top = _object(top["data"])
    if "records" not in top:
        raise file.error("JSON, but no option chain: it has no `records`")
    return top["records"]


def _object(body: bytes | Raw) -> dict[str, Raw]:
    try:
        return msgspec.json.decode(body, type=dict[str, Raw])
    except msgspec.ValidationError:
        return {}
