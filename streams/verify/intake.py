"""Whole records: which are read, and which are refused and why (docs/semantics.md)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from optionstream.schemas import rejects, topics
from optionstream.schemas.checks import check_candles, check_chain, check_frame, check_quotes
from optionstream.schemas.codec import Record, decode
from optionstream.schemas.errors import RecordError
from optionstream.schemas.events import (
    CandleFrame,
    ChainSnapshot,
    Heartbeat,
    OptionQuoteFrame,
    Tick,
    TickFrame,
)
from optionstream.schemas.identity import tick_id
from optionstream.streams.kafka.records import RawRecord

BELONGS: dict[str, tuple[type, ...]] = {
    topics.UNDERLYING: (TickFrame, Tick, CandleFrame, Heartbeat),
    topics.OPTION_CHAIN: (ChainSnapshot,),
    topics.OPTION_QUOTE: (OptionQuoteFrame,),
}
_CHECKS: dict[type, tuple[Callable[[Any], None], str | None]] = {
    TickFrame: (check_frame, "ts_ms"),
    CandleFrame: (check_candles, "start_ms"),
    OptionQuoteFrame: (check_quotes, "ts_ms"),
    ChainSnapshot: (check_chain, None),
}
"""Rule 3, and the column that has a value for each event a record counts as."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """A whole record that is refused; ``events`` is what it counts as."""

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


Content = TickRun | CandleFrame | Heartbeat | OptionQuoteFrame | ChainSnapshot


def parse(record: RawRecord) -> Content | Refusal:
    """Decode a record and apply the rules that look at its content only (1 to 3)."""
    try:
        content = decode(record.value, record.headers)
    except RecordError as error:
        return Refusal(error.reason, 1)
    if not isinstance(content, BELONGS[record.topic]):
        return Refusal(rejects.WRONG_TOPIC, 1)
    if type(content) in _CHECKS:
        try:
            _CHECKS[type(content)][0](content)
        except RecordError as error:
            return Refusal(error.reason, _length(content))
    match content:
        case Tick():
            return _run_of_tick(record, content)
        case TickFrame():
            return _run_of_frame(content)
    assert isinstance(content, Content)
    return content


def misplaced(record: RawRecord, content: Content, partitions: int) -> Refusal | None:
    """Apply the rules on key and partition (4 and 5)."""
    events = events_of(content)
    if record.key != _key(content).encode():
        return Refusal(rejects.KEY_MISMATCH, events)
    if record.partition != topics.partition_for(content.product, partitions):
        return Refusal(rejects.FOREIGN_PARTITION, events)
    return None


def events_of(content: Content) -> int:
    """Return how many events a record that could be read counts as."""
    return len(content) if isinstance(content, TickRun) else _length(content)


def _length(content: Record) -> int:
    column = _CHECKS[type(content)][1] if type(content) in _CHECKS else None
    return len(getattr(content, column)) if column else 1


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
    if isinstance(content, ChainSnapshot | OptionQuoteFrame):
        return topics.chain_key(content.product, content.expiry)
    return content.product
