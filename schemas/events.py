"""Input events: ticks, candles, heartbeats, option quotes and option-chain snapshots.

Every event has two times, both integer UTC epoch milliseconds: ``ts_event`` (``ts_ms`` for ticks),
when it happened at the exchange, and ``ts_recv``, when the feed received it. They are equal for a
source without a receipt time. Prices are in rupees.

Identity (docs/architecture.md): a tick is (source, session, seq), or (source, session, tick_id)
when its source numbers nothing; a candle is (source, session, length, start); an option quote is
(source, session, seq); a chain snapshot is (product, expiry, exchange time, content).
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from optionstream.schemas.times import LAST_MS

PRODUCT_PATTERN = r"^[A-Z0-9][A-Z0-9&_-]{0,31}$"
Product = Annotated[str, Meta(extra_json_schema={"pattern": PRODUCT_PATTERN})]
"""An exchange's symbol. ``codec.decode`` checks the pattern once for each symbol: a pattern in the
type would be matched with every record, at four times the cost of the rest."""
Label = Annotated[str, Meta(min_length=1, max_length=64)]
IsoDate = Annotated[str, Meta(pattern=r"^\d{4}-\d{2}-\d{2}$")]
EpochMs = Annotated[int, Meta(ge=0, le=LAST_MS)]
"""UTC epoch milliseconds up to the year 9999: every store and client holds it as a date."""
Whole = Annotated[int, Meta(ge=-9_007_199_254_740_991, le=9_007_199_254_740_991)]
"""A whole number that JSON, BSON and every client hold exactly."""
OiUnit = Literal["lots", "shares"]
OptionKind = Literal["CE", "PE"]
"""The exchange's mark of a contract: call (CE) or put (PE)."""

MAX_FRAME_TICKS = 10_000
"""Maximum number of ticks, candles or quotes in one frame."""
LARGEST_FIGURE = 1e15
"""Limit of prices, strikes, open interest and the like: sums and products of them stay finite."""
MAX_STRIKES = 2_000
"""Ten times the longest chain an exchange lists; max pain grows with the square."""


class TickFrame(Struct, frozen=True, gc=False):
    """One to 10,000 ticks of one product, in columns of equal length.

    ``volume`` is the volume traded so far in the day (contracts or shares, as the source says),
    None where the source has none. ``seq`` numbers the ticks of one (source, session) and
    orders ticks of the same millisecond. ``tick_id`` (53-bit) is given by feeds whose source
    numbers nothing: a hash of the tick's content and of its occurrence within its second;
    when present it, not ``seq``, is the identity.
    """

    product: Product
    source: Label
    session: Label
    ts_recv: EpochMs
    ts_ms: list[Whole]
    price: list[float]
    seq: list[Whole]
    volume: list[Whole | None] | None = None
    tick_id: list[Whole] | None = None


class Tick(Struct, frozen=True, gc=False):
    """One tick, the form a foreign producer may send without any header ("tick v1 JSON").

    Without ``seq`` its identity is its content: the same time, price and volume again is a
    duplicate. Without ``ts_recv`` the Kafka record's timestamp counts.
    """

    product: Product
    ts_ms: Whole
    price: float
    volume: Whole | None = None
    seq: Whole | None = None
    source: Label = "foreign"
    session: Label = "-"
    ts_recv: EpochMs | None = None


class CandleFrame(Struct, frozen=True, gc=False):
    """One to 10,000 candles of one product and one length, as their source made them, in columns.

    A candle covers [start, start + ``interval_ms``), ends with its session at the latest, and its
    length is whole minutes. ``volume`` is what traded within the candle, None where the source has
    none.
    """

    product: Product
    source: Label
    session: Label
    ts_recv: EpochMs
    interval_ms: Annotated[int, Meta(ge=60_000, le=86_400_000)]
    start_ms: list[Whole]
    open: list[float]
    high: list[float]
    low: list[float]
    close: list[float]
    volume: list[Whole | None] | None = None


class Heartbeat(Struct, frozen=True, gc=False):
    """A feed's statement that its product has reached ``ts_event``, with or without a tick."""

    product: Product
    source: Label
    ts_event: EpochMs
    ts_recv: EpochMs


class Legs(Struct, frozen=True):
    """One side of a chain, in columns parallel to the chain's strikes.

    A leg that is missing has None in every column. ``oi`` and ``oi_change`` (against the
    previous day) are in the chain's ``oi_unit``; ``volume`` is the day's so far, in contracts at
    the exchange, in shares where a broker counts so (docs/feeds-chains.md); ``iv`` is the source's
    own, in percent; prices are rupees, None where the source had none.
    """

    oi: list[float | None]
    oi_change: list[float | None]
    volume: list[float | None]
    iv: list[float | None]
    last: list[float | None]
    bid: list[float | None]
    ask: list[float | None]


LEG_COLUMNS = Legs.__struct_fields__


class OptionQuoteFrame(Struct, frozen=True):
    """One to 10,000 quotes of contracts of one product and one expiry, in columns.

    Each quote is about one leg (``strike``, ``kind``) at ``ts_ms``; ``seq`` numbers the quotes of
    one (source, session) and orders those of one millisecond. The other columns are as in ``Legs``,
    open interest in ``oi_unit``; a column or a value that is None was not in this quote,
    and the leg keeps its last value. ``underlying_price`` is the spot as the source saw it then.
    """

    product: Product
    expiry: IsoDate
    source: Label
    session: Label
    ts_recv: EpochMs
    oi_unit: OiUnit
    ts_ms: list[Whole]
    seq: list[Whole]
    strike: list[float]
    kind: list[OptionKind]
    oi: list[float | None] | None = None
    oi_change: list[float | None] | None = None
    volume: list[float | None] | None = None
    iv: list[float | None] | None = None
    last: list[float | None] | None = None
    bid: list[float | None] | None = None
    ask: list[float | None] | None = None
    underlying_price: list[float | None] | None = None


class ChainSnapshot(Struct, frozen=True):
    """The option chain of one product and one expiry at one instant.

    ``strikes`` rise strictly. ``capture_id`` names the payload that several expiries came in,
    ``expiries_in_capture`` says how many. ``seq`` is the source's own number of the snapshot
    within (source, session), if it has one. ``mixed_underlying`` says that the legs of the
    payload have different underlying prices; ``underlying_price`` is then the payload's own.
    """

    product: Product
    expiry: IsoDate
    source: Label
    ts_event: EpochMs
    ts_recv: EpochMs
    oi_unit: OiUnit
    strikes: list[float]
    calls: Legs
    puts: Legs
    underlying_price: float | None = None
    capture_id: str = ""
    expiries_in_capture: int = 1
    session: str = ""
    seq: Whole | None = None
    mixed_underlying: bool = False


MarketEvent = TickFrame | CandleFrame | Heartbeat | OptionQuoteFrame | ChainSnapshot
"""What a feed adapter yields and a publisher takes."""
