"""Records made by hand, and a small driver of one partition."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import NamedTuple

from optionstream.schemas import codec
from optionstream.schemas.derived import Bar, Reject
from optionstream.schemas.events import Heartbeat, Tick, TickFrame
from optionstream.schemas.times import to_ms
from optionstream.schemas.topics import UNDERLYING, partition_for
from optionstream.streams.core.calendar import nse_calendar
from optionstream.streams.core.intake import Output, Source
from optionstream.streams.core.tick_partition import TickPartition
from optionstream.streams.core.ticks import Rules

PARTITIONS = 6
LATENESS_MS = 2_000


def at(text: str) -> int:
    """Epoch ms of ``2026-01-06 09:15:00`` IST."""
    return to_ms(datetime.fromisoformat(text + "+05:30"))


OPEN = at("2026-01-06 09:15:00")
AFTER = at("2026-01-06 16:00:00")
NEXT_OPEN = at("2026-01-07 09:15:00")


class Record(NamedTuple):
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]]


def record(event: TickFrame | Tick | Heartbeat, offset: int = 0) -> Record:
    return Record(offset, 0, event.product.encode(), codec.encode(event), codec.headers_for(event))


def tick(ts: int, price: float, seq: int, volume: int | None = None, **more: object) -> Tick:
    return Tick(product="NIFTY", ts_ms=ts, price=price, seq=seq, volume=volume, ts_recv=ts, **more)


def partition(live: bool = False) -> TickPartition:
    rules = Rules(nse_calendar(), LATENESS_MS, 60_000 if live else None)
    home = partition_for("NIFTY", PARTITIONS)
    return TickPartition(Source(UNDERLYING, home, PARTITIONS), rules)


def finals(outputs: Iterable[Output]) -> list[Bar]:
    """Bars that count: revision 1 and above, without what is no part of "identical"."""
    return [
        out.record for out in outputs if isinstance(out.record, Bar) and out.record.revision > 0
    ]


def canonical(bars: Iterable[Bar]) -> list[tuple[object, ...]]:
    skip = {"known_at"}
    return [
        tuple(getattr(bar, name) for name in Bar.__struct_fields__ if name not in skip)
        for bar in bars
    ]


def rejects(outputs: Iterable[Output]) -> list[Reject]:
    return [out.record for out in outputs if isinstance(out.record, Reject)]


def frames_of(ticks: Sequence[Tick], sizes: Sequence[int]) -> list[TickFrame]:
    """The ticks cut into frames of the given sizes, over and over."""
    frames, start, turn = [], 0, 0
    while start < len(ticks):
        part = ticks[start : start + sizes[turn % len(sizes)]]
        frames.append(
            TickFrame(
                product="NIFTY",
                source=part[0].source,
                session=part[0].session,
                ts_recv=max(one.ts_ms for one in part),
                ts_ms=[one.ts_ms for one in part],
                price=[one.price for one in part],
                seq=[one.seq or 0 for one in part],
                volume=[one.volume for one in part],
            )
        )
        start, turn = start + len(part), turn + 1
    return frames
