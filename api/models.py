"""The shapes of the answers, for OpenAPI. The bodies themselves are written by the sinks
(schemas/documents.py) and passed on as they are."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any, Literal

from pydantic import BaseModel, Field

from optionstream.schemas.derived import Interval

_TIME = "RFC 3339, IST (+05:30)"


class Underlying(BaseModel):
    """The newest tick of a product."""

    product: str
    timestamp: datetime = Field(description=f"Exchange time; {_TIME}")
    price: float = Field(description="Rupees")
    volume: int | None = Field(description="Traded so far in the day; null: the source has none")
    seq: int = Field(description="Order number within (source, session)")
    source: str
    session: str = Field(description="The feed's own label of its run or day")


class Leg(BaseModel):
    """One contract of a chain. What the source did not say is null, never 0."""

    strike: float = Field(description="Rupees")
    oi: float | None = Field(description="Open interest, in the chain's `oi_unit`")
    oi_change: float | None = Field(description="Against the previous day, in `oi_unit`")
    volume: float | None = Field(description="Contracts traded so far in the day")
    iv: float | None = Field(description="The source's own implied volatility, percent")
    last: float | None = Field(description="Rupees")
    bid: float | None = Field(description="Rupees")
    ask: float | None = Field(description="Rupees")


class Metadata(BaseModel):
    """What follows from the legs. What cannot be computed is null, with a reason."""

    pcr: float | None = Field(description="Put over call open interest")
    pcr_volume: float | None = Field(description="Put over call volume")
    max_pain: float | None = Field(description="Strike at which option buyers get least, rupees")
    call_oi: float = Field(description="Total, in `oi_unit`")
    put_oi: float = Field(description="Total, in `oi_unit`")
    call_volume: float = Field(description="Total, contracts")
    put_volume: float = Field(description="Total, contracts")
    missing_legs: int = Field(description="Strikes without a call plus strikes without a put")
    null_reasons: dict[str, str] = Field(description="Field → why it is null")
    flags: list[str]
    capture_id: str = Field(description="The one body that several expiries came in")
    expiries_in_capture: int
    custom_indicators: dict[str, Any]


class Chain(BaseModel):
    """The option chain of one expiry at one instant, with its analytics."""

    product: str
    expiry: date
    timestamp: datetime = Field(description=f"Exchange time; {_TIME}")
    received: datetime = Field(description=f"When the feed received it; {_TIME}")
    source: str
    snapshot_id: str
    underlying_price: float | None = Field(description="Rupees")
    oi_unit: Literal["lots", "shares"]
    strikes: list[float] = Field(description="Rupees, rising")
    calls: list[Leg] = Field(description="Only the legs that are there")
    puts: list[Leg] = Field(description="Only the legs that are there")
    metadata: Metadata
    known_at: datetime = Field(description=f"Receipt time of the latest input; {_TIME}")


class Pcr(BaseModel):
    """Put-call ratios of one expiry, and what they were made of."""

    product: str
    expiry: date
    timestamp: datetime = Field(description=f"Exchange time; {_TIME}")
    pcr_oi: float | None = Field(description="Put over call open interest")
    pcr_volume: float | None = Field(description="Put over call volume")
    call_oi: float = Field(description="Total, in `oi_unit`")
    put_oi: float = Field(description="Total, in `oi_unit`")
    call_volume: float = Field(description="Total, contracts")
    put_volume: float = Field(description="Total, contracts")
    oi_unit: Literal["lots", "shares"]
    null_reasons: dict[str, str] = Field(description="Field → why it is null")
    snapshot_id: str
    known_at: datetime = Field(description=f"Receipt time of the latest input; {_TIME}")


class Bar(BaseModel):
    """Open, high, low, close of one window, stamped at its start."""

    product: str
    interval: Interval
    session: str = Field(description="Trading session, by its IST date")
    start: datetime = Field(description=f"Inclusive; {_TIME}")
    end: datetime = Field(description=f"Exclusive; {_TIME}")
    open: float = Field(description="Rupees")
    high: float = Field(description="Rupees")
    low: float = Field(description="Rupees")
    close: float = Field(description="Rupees")
    volume: int | None = Field(description="Traded within the window")
    volume_reason: str | None = Field(description="Why `volume` is null")
    ticks: int
    revision: int = Field(description="0 while the window is open, then 1, 2 … with late ticks")
    final: bool
    known_at: datetime = Field(description=f"Receipt time of the latest input; {_TIME}")


class Bars(BaseModel):
    """One page of bars in the order of time."""

    product: str
    interval: Interval
    bars: list[Bar]
    next_cursor: str | None = Field(description="Give it as `cursor` for the next page")


class ExpiryRow(BaseModel):
    expiry: date
    timestamp: datetime = Field(description=f"Its newest snapshot; {_TIME}")


class Expiries(BaseModel):
    """The expiries there are chains of."""

    product: str
    nearest: date = Field(description="What routes take when `expiry` is not given")
    expiries: list[ExpiryRow]


class ProductRow(BaseModel):
    product: str
    timestamp: datetime = Field(description=f"Its newest event; {_TIME}")


class Products(BaseModel):
    """The products there is data of."""

    namespace: str
    products: list[ProductRow]


class Live(BaseModel):
    status: Literal["ok"]


class Ready(BaseModel):
    """One line a dependency: `ok`, or `down:` and why."""

    status: Literal["ready"]
    checks: dict[str, str]
