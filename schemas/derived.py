"""What the system derives: bars, chain analytics, rejects.

Derived records carry deterministic ids and versions made from event time, content and revision,
never from offsets, so that writing one twice changes nothing and every reader can be
newest-wins.
"""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from optionstream.schemas.events import Legs, OiUnit

Interval = Literal["1m", "5m", "15m"]
INTERVAL_MS: dict[str, int] = {"1m": 60_000, "5m": 300_000, "15m": 900_000}
INTERVALS: tuple[Interval, ...] = ("1m", "5m", "15m")

PARTIAL = 0
"""Revision of a bar whose window is still open."""


class Bar(Struct, frozen=True):
    """Open, high, low, close of one product over [start, end), UTC epoch ms; prices in rupees.

    ``volume`` is what traded within the window, from the source's cumulative day volume; None
    with ``volume_reason`` when it cannot be told. ``revision`` is 0 while the window is open,
    1 at its first close and one more with every late tick that changed it. ``known_at`` is
    the greatest receipt time consumed when the bar was sent.
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
        """Rises with every update of one bar: revision first, then the ticks it holds."""
        return (self.revision << 32) | self.ticks

    @property
    def id(self) -> str:
        return f"{self.product}|{self.interval}|{self.start}|{self.revision}"


class ChainAnalytics(Struct, frozen=True):
    """A complete enriched option chain: the snapshot's legs and what follows from them.

    Open interest and its totals are in ``oi_unit``. ``pcr_oi`` and ``pcr_volume`` are put over
    call totals. ``max_pain`` is a strike in rupees. What cannot be computed is None and its
    name stands in ``null_reasons`` with the reason.
    """

    product: str
    expiry: str
    source: str
    snapshot_id: str
    ts_event: int
    ts_recv: int
    oi_unit: OiUnit
    underlying_price: float | None
    strikes: list[float]
    calls: Legs
    puts: Legs
    call_oi: float
    put_oi: float
    call_volume: float
    put_volume: float
    pcr_oi: float | None
    pcr_volume: float | None
    max_pain: float | None
    missing_legs: int
    null_reasons: dict[str, str]
    flags: list[str]
    capture_id: str
    expiries_in_capture: int
    known_at: int

    @property
    def id(self) -> str:
        return f"{self.product}|{self.expiry}|{self.snapshot_id}"

    @property
    def version(self) -> str:
        """Orders the snapshots of one expiry: exchange time first, then receipt, then content."""
        return f"{self.ts_event:016d}:{self.ts_recv:016d}:{self.snapshot_id}"


class Reject(Struct, frozen=True):
    """A record, or some ticks of one, that was refused; nothing of it is lost.

    ``indices`` are the positions of the refused ticks in the frame, empty for a whole record.
    ``events`` counts what was refused: ticks, or 1 for a record that could not be read.
    ``raw_key`` and ``raw`` are the record's bytes (base64 in JSON), ``headers`` its headers. For
    a tick that waited for its session in vain, refused after its record was done with, ``raw`` is
    a frame of that tick alone. A record above ``rejects.MAX_KEPT_BYTES`` is not carried: all three
    are empty and ``detail`` says so.
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
        """Where it came from and why; parts of one record differ in their first index."""
        first = f"|{self.indices[0]}" if self.indices else ""
        return f"{self.topic}|{self.partition}|{self.offset}|{self.reason}{first}"
