"""Ticks packed into columns: however they came, as frames or one by one, in records of any size.

How ticks are packed never changes a result, and columns are many times cheaper than single ticks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import repeat
from typing import Any

from optionstream.schemas.events import CandleFrame, Tick, TickFrame
from optionstream.schemas.identity import tick_id
from optionstream.streams.core.intake import Incoming

Feed = tuple[str, str]
"""(source, session label) of a frame."""


@dataclass(slots=True)
class Columns:
    """Ticks of one product and one feed, in log order; columns of equal length.

    ``order`` ranks ticks of one millisecond and is their identity, unless ``ids`` is given.
    ``recv`` has the receipt time of each tick; None when it is ``first_recv`` for all.
    ``first_recv`` is the least of them, ``last_recv`` the greatest.
    """

    product: str
    feed: Feed
    ts: list[int]
    price: list[float]
    order: list[int]
    volume: list[int | None] | None
    ids: list[int] | None
    recv: list[int] | None
    first_recv: int
    last_recv: int

    def recv_of(self, at: int) -> int:
        """Return the receipt time of the tick at a position, UTC epoch ms."""
        return self.first_recv if self.recv is None else self.recv[at]


@dataclass(slots=True)
class Run:
    """Records of one product and feed in a row, to be applied as one set of columns.

    ``events`` are all of one kind, one for each of ``records``. Candles are no columns: a run of
    them is one frame, and says where they came from.
    """

    kind: type[Tick] | type[TickFrame] | type[CandleFrame]
    source: str
    session: str
    with_ids: bool
    events: list[Any] = field(default_factory=list)
    records: list[Incoming] = field(default_factory=list)
    origin: list[tuple[int, int]] | None = None
    """(index in ``records``, position in that record) of each tick; made when needed."""

    def place(self, at: int) -> tuple[int, int]:
        """Return the offset of the record that holds the tick at ``at``, and its position there."""
        index, position = self.find(at)
        return self.records[index].offset, position

    def find(self, at: int) -> tuple[int, int]:
        """Return the index of the record that holds the tick at ``at``, and its position there."""
        if self.kind is Tick:
            return at, 0
        if len(self.events) == 1:
            return 0, at
        if self.origin is None:
            self.origin = [
                (index, position)
                for index, frame in enumerate(self.events)
                for position in range(len(frame.ts_ms))
            ]
        return self.origin[at]

    def columns(self) -> Columns:
        """Return all ticks of the run."""
        if self.kind is Tick:
            return columns_of_ticks(self.events, self.records, self.with_ids)
        if len(self.events) == 1:
            return columns_of(self.events[0])
        return columns_of_frames(self.events)


def columns_of(frame: TickFrame) -> Columns:
    """Return the ticks of a frame as columns."""
    return Columns(
        product=frame.product,
        feed=(frame.source, frame.session),
        ts=frame.ts_ms,
        price=frame.price,
        order=frame.seq,
        volume=frame.volume,
        ids=frame.tick_id,
        recv=None,
        first_recv=frame.ts_recv,
        last_recv=frame.ts_recv,
    )


def columns_of_frames(frames: list[TickFrame]) -> Columns:
    """Return the ticks of frames of one product and feed, with ``tick_id`` in all or in none."""
    first = frames[0]
    volume = [
        value for frame in frames for value in (frame.volume or repeat(None, len(frame.ts_ms)))
    ]
    recv = [frame.ts_recv for frame in frames for _ in frame.ts_ms]
    return Columns(
        product=first.product,
        feed=(first.source, first.session),
        ts=[value for frame in frames for value in frame.ts_ms],
        price=[value for frame in frames for value in frame.price],
        order=[value for frame in frames for value in frame.seq],
        volume=_known(volume),
        ids=None
        if first.tick_id is None
        else [value for frame in frames for value in frame.tick_id or ()],
        recv=recv,
        first_recv=min(recv),
        last_recv=max(recv),
    )


def columns_of_ticks(ticks: list[Tick], records: Sequence[Incoming], with_ids: bool) -> Columns:
    """Return ticks of one product and feed, with ``seq`` in all or (``with_ids``) in none."""
    first = ticks[0]
    recv = [
        record.timestamp if tick.ts_recv is None else tick.ts_recv
        for tick, record in zip(ticks, records, strict=True)
    ]
    if with_ids:
        order = [tick_id(tick.ts_ms, tick.price, tick.volume) for tick in ticks]
    else:
        order = [tick.seq or 0 for tick in ticks]
    return Columns(
        product=first.product,
        feed=(first.source, first.session),
        ts=[tick.ts_ms for tick in ticks],
        price=[tick.price for tick in ticks],
        order=order,
        volume=_known([tick.volume for tick in ticks]),
        ids=order if with_ids else None,
        recv=recv,
        first_recv=min(recv),
        last_recv=max(recv),
    )


def _known(volume: list[int | None]) -> list[int | None] | None:
    """Return the volumes, None if no tick has one."""
    return None if volume.count(None) == len(volume) else volume
