"""Models of the answers, for OpenAPI. Descriptions of a chain's figures come from schemas.figures.

The bodies are written by the sinks (schemas/documents.py) and returned unchanged.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, create_model

from optionstream.schemas import figures
from optionstream.schemas.derived import Interval, IvMode
from optionstream.schemas.events import OiUnit
from optionstream.schemas.figures import FigureRow
from optionstream.schemas.replays import Action, State

_TIME = "RFC 3339, IST (+05:30)"
_KNOWN_AT = f"Receipt time of the latest input; {_TIME}"


def _figure(row: FigureRow) -> Any:
    """Return type and description of a figure, as ``create_model`` takes them."""
    return row.annotation, Field(description=row.description)


def _described(name: str) -> str:
    return figures.FIGURES[name].description


class Underlying(BaseModel):
    """The newest tick of a product."""

    product: str
    timestamp: datetime = Field(description=f"Exchange time; {_TIME}")
    price: float = Field(description="Rupees")
    volume: int | None = Field(description="Traded so far in the day; null if the source has none")
    seq: int = Field(description="Order number within (source, session)")
    source: str
    session: str = Field(description="The feed's own label of its run or day")


class Greeks(BaseModel):
    """Greeks computed from the premium; null with the leg's `iv_reason`."""

    iv: float | None = Field(description="Implied volatility, a decimal: 0.12 is 12 %")
    delta: float | None = Field(description="Change of the premium per index point")
    gamma: float | None = Field(description="Change of delta per index point")
    theta: float | None = Field(description="Rupees a calendar day")
    vega: float | None = Field(description="Rupees for 1 volatility point (0.01)")
    rho: float | None = Field(description="Rupees for 1 % of interest rate")


class Leg(BaseModel):
    """One contract of a chain. A value that the source does not give is null, never 0."""

    strike: float = Field(description="Rupees")
    oi: float | None = Field(description="Open interest, in the chain's `oi_unit`")
    oi_change: float | None = Field(description="Against the previous day, in `oi_unit`")
    oi_intraday: float | None = Field(
        description="Against the day's first snapshot, in `oi_unit`; computed"
    )
    volume: float | None = Field(description="Contracts traded so far in the day")
    source_iv: float | None = Field(description="The source's own implied volatility, percent")
    gex: float | None = Field(
        description="Gamma exposure: rupees of delta for a 1 % move; puts negative"
    )
    greeks: Greeks
    iv_reason: str | None = Field(description="Why `greeks.iv` is null")
    last: float | None = Field(description="Rupees")
    bid: float | None = Field(description="Rupees")
    ask: float | None = Field(description="Rupees")


_METADATA: dict[str, Any] = {row.document_name: _figure(row) for row in figures.METADATA}
Metadata: type[BaseModel] = create_model(
    "Metadata",
    __doc__="Figures of the chain. One that cannot be computed is null, with a reason.",
    **_METADATA,
)


class Chain(BaseModel):
    """The option chain of one expiry at one instant, with its analytics."""

    product: str
    expiry: date
    timestamp: datetime = Field(description=f"Exchange time; {_TIME}")
    received: datetime = Field(description=f"Receipt time; {_TIME}")
    source: str
    snapshot_id: str
    underlying_price: float | None = Field(description=_described("underlying_price"))
    oi_unit: OiUnit = Field(description=_described("oi_unit"))
    lot_size: int | None = Field(description=_described("lot_size"))
    strikes: list[float] = Field(description="Rupees, rising")
    calls: list[Leg] = Field(description="Legs present in the snapshot")
    puts: list[Leg] = Field(description="Legs present in the snapshot")
    metadata: Metadata  # type: ignore[valid-type]
    known_at: datetime = Field(description=_KNOWN_AT)


_RATIOS: dict[str, Any] = {row.name: _figure(row) for row in figures.PCR}
Pcr: type[BaseModel] = create_model(
    "Pcr",
    __doc__="Put-call ratios of one expiry, and the totals behind them.",
    product=(str, ...),
    expiry=(date, ...),
    timestamp=(datetime, Field(description=f"Exchange time; {_TIME}")),
    **_RATIOS,
    oi_unit=_figure(figures.FIGURES["oi_unit"]),
    null_reasons=_figure(figures.FIGURES["null_reasons"]),
    snapshot_id=(str, ...),
    known_at=(datetime, Field(description=_KNOWN_AT)),
)


class SmilePoint(BaseModel):
    """One strike of a smile, from the leg that is out of the money."""

    strike: float = Field(description="Rupees")
    log_moneyness: float = Field(description="ln(strike / forward)")
    iv: float = Field(description="Implied volatility, a decimal")


class Smile(BaseModel):
    """Volatilities of one expiry."""

    expiry: date
    timestamp: datetime = Field(description=f"Exchange time of its chain; {_TIME}")
    snapshot_id: str
    years: float = Field(description="Time to expiry, years of 365 days")
    forward: float = Field(description="Rupees")
    atm_iv: float | None = Field(description="At the forward, a decimal")
    risk_reversal_25: float | None = Field(
        description="Volatility at a call delta of 0.25 less that at a put delta of -0.25"
    )
    butterfly_25: float | None = Field(description="Mean of these two less `atm_iv`")
    null_reasons: dict[str, str] = Field(description="Field → why it is null")
    points: list[SmilePoint] = Field(description="Strikes rising")


class SurfaceGrid(BaseModel):
    """Volatilities between the smiles: a row for each tenor, a column for each log-moneyness."""

    tenors_days: list[int] = Field(description="Calendar days")
    log_moneyness: list[float] = Field(description="ln(strike / forward)")
    iv: list[list[float | None]] = Field(description="Decimals")
    reason: list[list[str | None]] = Field(description="Why a value is null")


class Surface(BaseModel):
    """The newest smile of every expiry of a product on one day, and volatilities between them."""

    product: str
    timestamp: datetime = Field(description=f"Exchange time of its newest chain; {_TIME}")
    received: datetime = Field(description=f"Receipt time of that chain; {_TIME}")
    number: int = Field(description="Counts the surfaces of the day from 1")
    expiry: date = Field(description="Expiry of the chain that joined last")
    snapshot_id: str = Field(description="Snapshot of the chain that joined last")
    iv_mode: IvMode = Field(description="`black76` on the parity forward, or `nse`")
    capture_id: str = Field(description="Payload that this chain came in")
    expiries_in_capture: int
    expiries_captured: int = Field(description="Expiries of that payload in the surface")
    smiles: list[Smile] = Field(description="In the order of expiry")
    left_out: dict[str, str] = Field(description="Expiry → why it has no smile")
    grid: SurfaceGrid
    flags: list[str] = Field(description="Quality flags of the surface")
    known_at: datetime = Field(description=_KNOWN_AT)


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
    revision: int = Field(
        description="0 while the window is open, 1 at its close, one more with each late change"
    )
    final: bool
    known_at: datetime = Field(description=_KNOWN_AT)


class Bars(BaseModel):
    """One page of bars in the order of time."""

    product: str
    interval: Interval
    bars: list[Bar]
    next_cursor: str | None = Field(
        description="Pass as `cursor` for the next page; null on the last"
    )


class Gap(BaseModel):
    """A gap in a product's ticks, in its newest revision."""

    product: str
    kind: Literal["sequence", "silence"] = Field(
        description="`sequence`: missing numbers of a feed; `silence`: a time without ticks"
    )
    session: str = Field(description="Trading session, by its IST date")
    source: str = Field(description="The feed whose numbers are missing; empty for a silence")
    label: str = Field(description="The feed's own label of its run or day")
    first: int | None = Field(description="First missing number as first reported")
    last: int | None = Field(description="Last missing number as first reported")
    missing: list[tuple[int, int]] = Field(description="Ranges still missing, both ends included")
    start: datetime = Field(description=f"Time of the tick before; {_TIME}")
    end: datetime = Field(description=f"Time of the tick after; {_TIME}")
    revision: int = Field(description="Starts at 1; each late tick that changed the gap adds 1")
    filled: bool = Field(description="True once nothing is missing any more")
    known_at: datetime = Field(description=_KNOWN_AT)


class Gaps(BaseModel):
    """The gaps of a product in the order of time."""

    product: str
    gaps: list[Gap]


class ExpiryRow(BaseModel):
    expiry: date
    timestamp: datetime = Field(description=f"Its newest snapshot; {_TIME}")


class Expiries(BaseModel):
    """Expiries with chains."""

    product: str
    nearest: date = Field(description="The default of `expiry`")
    expiries: list[ExpiryRow]


class ProductRow(BaseModel):
    product: str
    timestamp: datetime = Field(description=f"Its newest event; {_TIME}")


class Products(BaseModel):
    """Products with data."""

    namespace: str
    products: list[ProductRow]


class Replay(BaseModel):
    """A replay as the registry has it."""

    id: str
    namespace: str = Field(
        description="Namespace of its topics, groups, database and keys; same as `id`"
    )
    state: State | None = Field(description="`dead`: its process ended without recording it")
    clock: datetime | None = Field(description=f"Event time reached; {_TIME}")
    speed: Literal["max"] | float | None = Field(description="`max`, or times real time")
    records: int | None = Field(description="Records published so far by its last run")
    events: int | None = Field(description="Ticks, candles, quotes and chains in these records")
    rate: float | None = Field(description="Events published a second, over the last seconds")
    lag: dict[str, int | None] = Field(description="Group → records it has yet to read")
    settled: bool = Field(
        description="True if nothing is published without a command and all groups have caught up"
    )
    time_left_s: float | None = Field(description="Seconds until all is published")
    time_left_reason: str | None = Field(description="Why `time_left_s` is null")
    host: str | None
    pid: int | None
    error: str | None = Field(description="Why it failed")
    manifest: dict[str, Any] | None = Field(
        description="Source, range, counts, schema versions, code version, settings"
    )


class Replays(BaseModel):
    """All replays, the oldest first."""

    replays: list[Replay]


class ReplayCommand(BaseModel):
    """One command; `step`, `seek` and `speed` need one further member."""

    model_config = ConfigDict(extra="forbid")

    command: Action
    events: int | None = Field(None, ge=1, description="`step`: how many events to publish")
    to: str | int | None = Field(
        None, description="`seek`: the event time, RFC 3339 with an offset or epoch milliseconds"
    )
    speed: Literal["max", "realtime"] | float | None = Field(
        None, description="`speed`: `max`, `realtime` or times real time"
    )


class ReplayAnswer(BaseModel):
    """The replay's answer to a command."""

    id: str
    command: Action
    answer: str = Field(description="A line for people")


class Live(BaseModel):
    status: Literal["ok"]


class Ready(BaseModel):
    """The state of every store: `ok`, or `down:` and the cause."""

    status: Literal["ready"]
    checks: dict[str, str]
