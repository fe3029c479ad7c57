"""Derived records: bars, gaps, chain analytics, volatility surfaces, rejects.

Derived records carry deterministic ids and versions made from event time, content and revision,
never from offsets: writing one twice changes nothing, and readers keep the newest.
"""

from __future__ import annotations

from typing import Literal, get_args

from msgspec import Struct

from optionstream.schemas.events import Legs, OiUnit

Interval = Literal["1m", "3m", "5m", "15m", "30m", "60m", "1d"]
INTERVALS: tuple[Interval, ...] = get_args(Interval)
INTERVAL_MS: dict[str, int] = {
    "1m": 60_000,
    "3m": 180_000,
    "5m": 300_000,
    "15m": 900_000,
    "30m": 1_800_000,
    "60m": 3_600_000,
    "1d": 86_400_000,
}
"""Lengths of windows. The last window of a session ends with it; ``1d`` is the whole session."""

PARTIAL = 0
"""Revision of a bar whose window is still open."""


class Bar(Struct, frozen=True):
    """Open, high, low, close of one product over [start, end), UTC epoch ms; prices in rupees.

    ``volume`` is what traded within the window, from the source's cumulative day volume; None with
    ``volume_reason`` when it is unknown. ``revision`` is 0 while the window is open, 1 at its first
    close and one more with every late tick that changed it. ``ticks`` counts the ticks, or the
    candles it was made of. ``known_at`` is the greatest receipt time consumed when it was sent.
    """

    product: str
    interval: Interval
    session: str
    start: int
    end: int
    open: float
    high: float
    low: float
    close: float
    volume: int | None
    volume_reason: str | None
    ticks: int
    revision: int
    final: bool
    known_at: int

    @property
    def version(self) -> int:
        """Rise with every update of one bar: revision first, then ticks."""
        return (self.revision << 32) | self.ticks

    @property
    def id(self) -> str:
        return f"{self.product}|{self.interval}|{self.start}|{self.revision}"


class Gap(Struct, frozen=True):
    """A gap in the ticks of a product: missing numbers (``sequence``) or time (``silence``).

    ``sequence``: within one feed (``source``, ``label``) no accepted tick carries the numbers of
    ``missing``, inclusive ranges; ``first`` and ``last`` are the ends as first reported.
    ``silence``: no accepted tick for longer than the setting; ``source``, ``label`` and ``missing``
    are empty, ``first`` and ``last`` None. ``start`` and ``end`` are the event times around it, UTC
    epoch ms: of its neighbours, or of the session's open and close. ``revision`` is 1 at first and
    one more with every late tick that changed it; ``filled`` once nothing is missing.
    """

    product: str
    kind: Literal["sequence", "silence"]
    session: str
    source: str
    label: str
    first: int | None
    last: int | None
    missing: list[tuple[int, int]]
    start: int
    end: int
    revision: int
    filled: bool
    known_at: int

    @property
    def name(self) -> str:
        """Identify the gap across its revisions."""
        at = self.start if self.first is None else self.first
        # A source may hold the separator; a label ends before the last one.
        source = self.source.replace("\\", "\\\\").replace("|", "\\|")
        return f"{self.product}|{self.session}|{self.kind}|{source}|{self.label}|{at}"

    @property
    def id(self) -> str:
        return f"{self.name}|{self.revision}"


IvMode = Literal["black76", "nse"]
"""Method of computing implied volatility: docs/pricing.md."""


class Greeks(Struct, frozen=True):
    """Computed figures of one side of a chain, in columns parallel to the strikes.

    ``iv`` is a decimal (0.12 is 12 %); ``delta`` and ``gamma`` are per index point; ``theta`` is
    rupees a calendar day, ``vega`` rupees for 1 volatility point, ``rho`` rupees for 1 % of rate.
    ``reason`` says why ``iv`` is None. ``oi_intraday`` is the change of open interest since the
    first snapshot of the day, in the chain's ``oi_unit``; ``gex`` is gamma exposure, rupees of
    delta for a 1 % move of the underlying, puts negative.
    """

    iv: list[float | None]
    reason: list[str | None]
    delta: list[float | None]
    gamma: list[float | None]
    theta: list[float | None]
    vega: list[float | None]
    rho: list[float | None]
    oi_intraday: list[float | None]
    gex: list[float | None]


GREEK_COLUMNS = Greeks.__struct_fields__


class ChainAnalytics(Struct, frozen=True):
    """A complete enriched option chain: the snapshot's legs and the figures computed from them.

    Open interest, its changes and its totals are in ``oi_unit``: shares where the lot size is
    known (``lot_size``), else as the source had it. ``pcr_oi`` and ``pcr_volume`` are put over
    call totals, the ``_near`` ones within ``near_strikes`` strikes of the money. Prices and
    strikes are rupees, volatilities decimals, ``years`` is the time to expiry in years of 365
    days, ``rate`` a decimal. ``gex_total`` is rupees of delta for a 1 % move. ``resistance`` and
    ``support`` are the strikes of most call and put open interest, the greatest first.
    ``completeness`` is the share of legs present; ``oldest_leg_ms`` the age of the oldest quote in
    an assembled chain. A figure that cannot be computed is None; ``null_reasons`` has its reason.
    ``schemas.figures`` lists the figures.
    """

    product: str
    expiry: str
    source: str
    snapshot_id: str
    ts_event: int
    ts_recv: int
    oi_unit: OiUnit
    lot_size: int | None
    underlying_price: float | None
    strikes: list[float]
    calls: Legs
    puts: Legs
    call_greeks: Greeks
    put_greeks: Greeks
    call_oi: float | None
    put_oi: float | None
    call_oi_change: float | None
    put_oi_change: float | None
    call_oi_intraday: float | None
    put_oi_intraday: float | None
    call_volume: float | None
    put_volume: float | None
    pcr_oi: float | None
    pcr_volume: float | None
    near_strikes: int
    pcr_oi_near: float | None
    pcr_volume_near: float | None
    max_pain: float | None
    resistance: list[float]
    support: list[float]
    iv_mode: IvMode
    rate: float
    years: float | None
    forward: float | None
    atm_strike: float | None
    atm_iv: float | None
    straddle: float | None
    gex_total: float | None
    legs_with_iv: int
    iv_null_reasons: dict[str, int]
    missing_legs: int
    completeness: float
    oldest_leg_ms: int | None
    null_reasons: dict[str, str]
    flags: list[str]
    custom_indicators: dict[str, dict[str, float | None]]
    capture_id: str
    expiries_in_capture: int
    known_at: int

    @property
    def id(self) -> str:
        return f"{self.product}|{self.expiry}|{self.snapshot_id}"

    @property
    def version(self) -> str:
        """Order the snapshots of one expiry: by exchange time, then receipt, then content."""
        return f"{self.ts_event:016d}:{self.ts_recv:016d}:{self.snapshot_id}"


class Smile(Struct, frozen=True):
    """Implied volatilities of one expiry, from the legs that are out of the money.

    ``snapshot_id`` and ``ts_event`` (UTC epoch ms) are those of its chain, ``years`` the
    time to expiry in years of 365 days, ``forward`` rupees. ``strikes`` rise; parallel to them
    stand ``log_moneyness``, ln(strike / forward), and ``iv``, decimals. ``atm_iv`` is the
    volatility at the forward, ``risk_reversal_25`` that of the call of delta 0.25 less that of the
    put of delta -0.25, ``butterfly_25`` their mean less ``atm_iv``. ``null_reasons`` has the reason
    for each that is None.
    """

    expiry: str
    snapshot_id: str
    ts_event: int
    years: float
    forward: float
    atm_iv: float | None
    risk_reversal_25: float | None
    butterfly_25: float | None
    strikes: list[float]
    log_moneyness: list[float]
    iv: list[float]
    null_reasons: dict[str, str]


class VolatilitySurface(Struct, frozen=True):
    """The newest smile of every expiry of a product on one day, and volatilities between them.

    ``expiry`` and ``snapshot_id`` name the chain that joined last. ``number`` counts the surfaces
    of the day from 1; ``ts_event`` and ``ts_recv`` are the greatest of its chains, UTC epoch ms. Of
    the ``expiries_in_capture`` chains of one payload, ``expiries_captured`` are in it. ``smiles``
    come in the order of expiry; ``left_out`` has the reason for each expiry that
    has none. ``iv`` has a row for each of ``tenors_days`` and a column for each of
    ``log_moneyness``, decimals; None where ``reason`` says why.
    """

    product: str
    expiry: str
    snapshot_id: str
    number: int
    ts_event: int
    ts_recv: int
    iv_mode: IvMode
    capture_id: str
    expiries_in_capture: int
    expiries_captured: int
    smiles: list[Smile]
    left_out: dict[str, str]
    tenors_days: list[int]
    log_moneyness: list[float]
    iv: list[list[float | None]]
    reason: list[list[str | None]]
    flags: list[str]
    known_at: int

    @property
    def id(self) -> str:
        return f"{self.product}|{self.expiry}|{self.snapshot_id}|{self.number}"

    @property
    def version(self) -> str:
        """Order the surfaces of a product: by exchange time, then number."""
        return f"{self.ts_event:016d}:{self.number:08d}"


class Reject(Struct, frozen=True):
    """A rejected record, or rejected ticks of one, with its bytes.

    ``indices`` are the positions of the rejected ticks in the frame, empty for a whole record.
    ``events`` counts the rejected ticks; 1 for a record that could not be read. ``raw_key`` and
    ``raw`` are the record's bytes (base64 in JSON), ``headers`` its headers. If a tick waited for
    its session in vain, ``raw`` is a frame of that tick alone. Of a record above
    ``rejects.MAX_KEPT_BYTES`` all three are empty and ``detail`` says so.
    """

    reason: str
    detail: str
    topic: str
    partition: int
    offset: int
    record_ts: int
    events: int
    indices: list[int]
    raw_key: bytes | None
    raw: bytes | None
    headers: list[tuple[str, bytes]]

    @property
    def id(self) -> str:
        """Identify origin and reason; parts of one record differ in their first index."""
        first = f"|{self.indices[0]}" if self.indices else ""
        return f"{self.topic}|{self.partition}|{self.offset}|{self.reason}{first}"
