"""Ticks of Zerodha's Kite: their shape, and the JSON of its ticker and of its REST API. Pure."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta, Raw, Struct

from optionstream.producers.feeds.files.json_body import json_errors
from optionstream.producers.feeds.format import FeedInput
from optionstream.producers.feeds.times import LATEST_MS, in_india
from optionstream.schemas.times import to_ms

_HEAD: Final = re.compile(rb'[\[{].*"instrument_token"\s*:', re.DOTALL)

Quantity = Annotated[int, Meta(ge=0, le=9_007_199_254_740_991)]


class Ohlc(Struct, frozen=True):
    """The day's prices in rupees; ``close`` is that of the day before."""

    open: float
    high: float
    low: float
    close: float


class DepthLevel(Struct, frozen=True):
    """One price of the order book; price 0 where the book has no such level."""

    price: float
    quantity: int
    orders: int


class Depth(Struct, frozen=True):
    """Five levels a side, the best first."""

    buy: list[DepthLevel]
    sell: list[DepthLevel]


class KiteTick(Struct, frozen=True, kw_only=True):
    """One instrument at one moment. Prices in rupees, quantities and open interest in shares,
    ``volume`` the day's so far; what a mode leaves out is None. Times without a zone are Indian."""

    instrument_token: int
    last_price: float
    mode: Literal["ltp", "quote", "full"] | None = None
    tradable: bool | None = None
    last_quantity: int | None = None
    average_price: float | None = None
    volume: Quantity | None = None
    buy_quantity: int | None = None
    sell_quantity: int | None = None
    ohlc: Ohlc | None = None
    last_trade_time: datetime | None = None
    oi: float | None = None
    oi_day_high: float | None = None
    oi_day_low: float | None = None
    timestamp: datetime | None = None
    change: float | None = None
    depth: Depth | None = None

    @property
    def ts_ms(self) -> int | None:
        """UTC epoch ms at which the exchange sent it, else of the last trade, else None."""
        for moment in (self.timestamp, self.last_trade_time):
            ms = 0 if moment is None else to_ms(in_india(moment))
            if 0 < ms < LATEST_MS:  # 1970 and the year 1 stand for no time
                return ms
        return None

    @property
    def bid(self) -> float | None:
        """The best price to sell at; 0 where nobody buys, None where the mode has no depth."""
        return _best(self.depth.buy) if self.depth else None

    @property
    def ask(self) -> float | None:
        """The best price to buy at; 0 where nobody sells, None where the mode has no depth."""
        return _best(self.depth.sell) if self.depth else None


NamedTick = tuple[str | None, KiteTick]
"""The symbol of a REST quote (``NSE:INFY``), None for the ticker's; the tick."""


def looks_like_kite_json(head: bytes) -> bool:
    """True if it is an object or a list in which something has an ``instrument_token``."""
    return _HEAD.match(head.lstrip()) is not None


def read_kite_json(body: bytes, file: FeedInput) -> list[NamedTick]:
    """Parse ticks from one tick object, a list of them, or a REST body with quotes, OHLC or last
    prices by symbol. Raises InputError: truncated JSON, another shape."""
    with json_errors(file, "Kite"):
        return _decode(body)


def _decode(body: bytes) -> list[NamedTick]:
    if body.lstrip().startswith(b"["):
        return [(None, tick) for tick in msgspec.json.decode(body, type=list[KiteTick])]
    parts = msgspec.json.decode(body, type=dict[str, Raw])
    if "data" not in parts:
        return [(None, msgspec.json.decode(body, type=KiteTick))]
    by_symbol: Any = dict[str, KiteTick]
    return list(msgspec.json.decode(parts["data"], type=by_symbol).items())


def _best(levels: list[DepthLevel]) -> float:
    return levels[0].price if levels else 0.0
