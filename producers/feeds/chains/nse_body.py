"""The exchange's option-chain JSON as it is served: the old endpoint, and the one of 2026 (v3).

What v3 renamed is read under both names: ``bidprice``/``askPrice`` became
``buyPrice1``/``sellPrice1``, a row's ``expiryDate`` became ``expiryDates`` (still one date). A body
may be wrapped as ``{"time": …, "data": {"records": …}}``. Pure.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Raw, Struct, field

from optionstream.producers.feeds.files.json_body import decoding
from optionstream.schemas.errors import InputError


class BodyLeg(Struct, frozen=True, gc=False):
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


class BodyRow(Struct, frozen=True):
    """One strike of one expiry."""

    strike: float = field(name="strikePrice")
    expiry_date: str | None = field(name="expiryDate", default=None)
    expiry_dates: str | None = field(name="expiryDates", default=None)
    call: BodyLeg | None = field(name="CE", default=None)
    put: BodyLeg | None = field(name="PE", default=None)

    @property
    def expiry(self) -> str | None:
        """The row's own date, else that of a leg."""
        own = self.expiry_date or self.expiry_dates
        return own or next((leg.expiry for leg in (self.call, self.put) if leg), None)


class BodyRecords(Struct, frozen=True):
    """``records``: every expiry's rows at one time; ``timestamp`` is naive Indian time."""

    data: list[BodyRow]
    timestamp: str | None = None
    underlying_price: float | None = field(name="underlyingValue", default=None)
    index: Any = None

    @property
    def index_name(self) -> str | None:
        """``NIFTY 50`` where the body has a block ``index``, as text or as an object."""
        name = self.index.get("indexSymbol") if isinstance(self.index, dict) else self.index
        return name if isinstance(name, str) and name else None


def decode_body(body: bytes, name: str) -> BodyRecords:
    """Read ``records``. Raises InputError naming ``name``: truncated or other JSON, wrong types."""
    with decoding(name):
        return msgspec.json.decode(_records(body, name), type=BodyRecords)


def _records(body: bytes, name: str) -> Raw:
    top = _object(body)
    if "records" not in top and "data" in top:
        top = _object(top["data"])
    if "records" not in top:
        raise InputError(name, "JSON, but no option chain: it has no `records`")
    return top["records"]


def _object(body: bytes | Raw) -> dict[str, Raw]:
    try:
        return msgspec.json.decode(body, type=dict[str, Raw])
    except msgspec.ValidationError:
        return {}
