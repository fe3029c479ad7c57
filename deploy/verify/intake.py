"""Whole records: which are read, and which are refused and why (docs/semantics.md)."""

from __future__ import annotations

from dataclasses import dataclass

from optionstream.deploy.verify.records import RawRecord
from optionstream.schemas import rejects, topics
from optionstream.schemas.checks import check_chain, check_frame
from optionstream.schemas.codec import Record, decode
from optionstream.schemas.errors import RecordError
from optionstream.schemas.events import ChainSnapshot, Heartbeat, Tick, TickFrame
from optionstream.schemas.identity import tick_id

BELONGS: dict[str, tuple[type, ...]] = {
    topics.UNDERLYING: (TickFrame, Tick, Heartbeat),
    topics.OPTION_CHAIN: (ChainSnapshot,),
}


@dataclass(frozen=True, slots=True)
class Refusal:
    """A whole record that is not taken; ``events`` is what it counts as."""

    reason: str
    events: int


@dataclass(frozen=True, slots=True)
class TickRun:
    """The ticks of one record in columns, whatever form they came in.

    ``order`` orders equal stamps; ``ids`` is the identity where it is not ``order``.
    """

    product: str
    source: str
    label: str
    ts_recv: int
    ts: list[int]
    price: list[float]
    order: list[int]
    volume: list[int | None]
    ids: list[int] | None

    def __len__(self) -> int:
        return len(self.ts)


Content = TickRun | Heartbeat | ChainSnapshot


def parse(record: RawRecord) -> Content | Refusal:
    """Decode a record and apply the rules that look at its content only (1 to 3)."""
    try:
        content = decode(record.value, record.headers)
    except RecordError as error:
        return Refusal(error.reason, 1)
    if not isinstance(content, BELONGS[record.topic]):
        return Refusal(rejects.WRONG_TOPIC, 1)
    return _checked(record, content)


def misplaced(record: RawRecord, content: Content, partitions: int) -> Refusal | None:
    """Apply the rules on key and partition (4 and 5)."""
    events = len(content) if isinstance(content, TickRun) else 1
    if record.key != _key(content).encode():
        return Refusal(rejects.KEY_MISMATCH, events)
    if record.partition != topics.partition_for(content.product, partitions):
        return Refusal(rejects.FOREIGN_PARTITION, events)
    return None


def _checked(record: RawRecord, content: Record) -> Content | Refusal:
    if isinstance(content, Tick):
        return _run_of_tick(record, content)
    if isinstance(content, TickFrame):
        try:
            check_frame(content)
        except RecordError as error:
            return Refusal(error.reason, len(content.ts_ms))
        return _run_of_frame(content)
    if isinstance(content, ChainSnapshot):
        try:
            check_chain(content)
        except RecordError as error:
            return Refusal(error.reason, 1)
        return content
    assert isinstance(content, Heartbeat)
    return content


def _run_of_frame(frame: TickFrame) -> TickRun:
    return TickRun(
        product=frame.product,
        source=frame.source,
        label=frame.session,
        ts_recv=frame.ts_recv,
        ts=frame.ts_ms,
        price=frame.price,
        order=frame.seq,
        volume=frame.volume if frame.volume is not None else [None] * len(frame.ts_ms),
        ids=frame.tick_id,
    )


def _run_of_tick(record: RawRecord, tick: Tick) -> TickRun:
    unnumbered = tick.seq is None
    number = tick_id(tick.ts_ms, tick.price, tick.volume) if tick.seq is None else tick.seq
    return TickRun(
        product=tick.product,
        source=tick.source,
        label=tick.session,
        ts_recv=record.timestamp if tick.ts_recv is None else tick.ts_recv,
        ts=[tick.ts_ms],
        price=[tick.price],
        order=[number],
        volume=[tick.volume],
        ids=[number] if unnumbered else None,
    )


def _key(content: Content) -> str:
    if isinstance(content, ChainSnapshot):
        return topics.chain_key(content.product, content.expiry)
    return content.product
