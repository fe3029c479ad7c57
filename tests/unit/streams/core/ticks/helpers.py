"""Records made by hand, and a small driver of one partition."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import NamedTuple

from optionstream.schemas import codec
from optionstream.schemas.derived import Bar, Gap, Reject
from optionstream.schemas.events import CandleFrame, Heartbeat, Tick, TickFrame
from optionstream.schemas.times import to_ms
from optionstream.schemas.topics import UNDERLYING, partition_for
from optionstream.streams.core.intake import Output, Source
from optionstream.streams.core.market.calendar import nse_calendar
from optionstream.streams.core.rules import Rules
from optionstream.streams.core.ticks.partition import TickPartition

PARTITIONS = 6
LATENESS_MS = 2_000


def at(text: str) -> int:
    """Epoch ms of ``2026-01-06 09:15:00`` IST."""
    return to_ms(datetime.fromisoformat(text + "+05:30"))


MINUTE = 60_000
OPEN = at("2026-01-06 09:15:00")
CLOSE = at("2026-01-06 15:30:00")
AFTER = at("2026-01-06 16:00:00")
NEXT_OPEN = at("2026-01-07 09:15:00")


class Record(NamedTuple):
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]]


Event = TickFrame | Tick | CandleFrame | Heartbeat
Candle = tuple[int, float, float, float, float, int | None]
"""Start, open, high, low, close, volume."""


def record(event: Event, offset: int = 0) -> Record:
    return Record(offset, 0, event.product.encode(), codec.encode(event), codec.headers_for(event))


def tick(ts: int, price: float, seq: int, volume: int | None = None, **more: object) -> Tick:
    return Tick(product="NIFTY", ts_ms=ts, price=price, seq=seq, volume=volume, ts_recv=ts, **more)


def beat(ts: int) -> Heartbeat:
    return Heartbeat(product="NIFTY", source="s", ts_event=ts, ts_recv=ts)


def candles(minutes: int, *rows: Candle, **more: object) -> CandleFrame:
    """A frame of candles of one length."""
    start, open_, high, low, close, volume = (list(column) for column in zip(*rows, strict=True))
    given = {"source": "c", "session": "d", "ts_recv": max(0, *start), **more}
    return CandleFrame(
        product="NIFTY",
        interval_ms=minutes * MINUTE,
        start_ms=start,
        open=open_,
        high=high,
        low=low,
        close=close,
        volume=volume,
        **given,
    )


def flat(start: int, price: float = 1.0, volume: int | None = None) -> Candle:
    """A candle of one price."""
    return start, price, price, price, price, volume


def partition(
    live: bool = False, partial_every_ms: int = 0, lateness_ms: int = LATENESS_MS
) -> TickPartition:
    rules = Rules(nse_calendar(), lateness_ms, 60_000 if live else None)
    home = partition_for("NIFTY", PARTITIONS)
    return TickPartition(Source(UNDERLYING, home, PARTITIONS), rules, partial_every_ms)


def play(*events: Event, live: bool = False) -> tuple[TickPartition, list[Output]]:
    """Each event as a record of its own; the partition and all that went out."""
    part = partition(live)
    outputs: list[Output] = []
    for offset, event in enumerate(events):
        outputs += part.apply([record(event, offset)])
    return part, outputs


def finals(outputs: Iterable[Output]) -> list[Bar]:
    """Bars that count: revision 1 and above, without what is no part of "identical"."""
    return [
        out.record for out in outputs if isinstance(out.record, Bar) and out.record.revision > 0
    ]


def restarted(part: TickPartition, stored: dict[str, bytes]) -> TickPartition:
    """The partition that goes on from what ``part`` stores now; ``stored`` has its segments."""
    for name, data in part.take_segments().items():
        if data is None:
            stored.pop(name)
        else:
            stored[name] = data
    again = TickPartition(part.source, part.rules, part.partial_every_ms)
    again.restore(part.hot(), dict(stored))
    return again


def gaps(outputs: Iterable[Output]) -> list[Gap]:
    return [out.record for out in outputs if isinstance(out.record, Gap)]


def canonical(records: Iterable[Bar | Gap]) -> list[tuple[object, ...]]:
    """What counts of them: all but the receipt time known."""
    return [
        tuple(getattr(one, name) for name in one.__struct_fields__ if name != "known_at")
        for one in records
    ]


def rejects(outputs: Iterable[Output]) -> list[Reject]:
    return [out.record for out in outputs if isinstance(out.record, Reject)]


def frames_of(ticks: Sequence[Tick], sizes: Sequence[int]) -> list[TickFrame]:
    """The ticks cut into frames of the given sizes, over and over."""
    frames, start, turn = [], 0, 0
    while start < len(ticks):
        part = ticks[start : start + sizes[turn % len(sizes)]]
        volumes = [one.volume for one in part]
        frames.append(
            TickFrame(
                product="NIFTY",
                source=part[0].source,
                session=part[0].session,
                ts_recv=max(one.ts_ms for one in part),
                ts_ms=[one.ts_ms for one in part],
                price=[one.price for one in part],
                seq=[one.seq or 0 for one in part],
                volume=None if volumes.count(None) == len(volumes) else volumes,
            )
        )
        start, turn = start + len(part), turn + 1
    return frames
