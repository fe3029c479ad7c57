"""Records of a topic as pieces of a replay, sent on as they are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from optionstream.producers.kafka.publisher import Publisher
from optionstream.producers.playback import EventPiece
from optionstream.producers.playback.pieces import reach_of, some_rows
from optionstream.schemas import codec
from optionstream.schemas.events import (
    CandleFrame,
    Heartbeat,
    MarketEvent,
    OptionQuoteFrame,
    Tick,
    TickFrame,
)
from optionstream.streams.kafka.records import RawRecord

Content = MarketEvent | Tick
C = TypeVar("C", bound=Content)


class CopiedPiece:
    """A record and what it holds; ``event`` None when that cannot be read: it is due at its stamp.

    Sent whole, it has the bytes, key, headers, partition and stamp that it had; ``changed`` says
    that the event is only a part of the record's, which is then written anew.
    """

    __slots__ = ("changed", "event", "reach", "record")

    def __init__(self, record: RawRecord, event: Content | None, changed: bool = False) -> None:
        self.record = record
        self.event = event
        self.changed = changed
        self.reach: Sequence[int] = [max(0, record.timestamp)]
        if isinstance(event, Tick):
            self.reach = [event.ts_ms]
        elif event is not None:
            self.reach = reach_of(event)

    @property
    def events(self) -> int:
        return 0 if isinstance(self.event, Heartbeat) else len(self.reach)

    @property
    def schema(self) -> str:
        if self.event is not None:
            return codec.schema_of(self.event)
        return "unreadable"

    @property
    def product(self) -> str:
        return self.event.product if self.event is not None else ""

    def cut(self, rows: int) -> tuple[CopiedPiece, CopiedPiece]:
        assert self.event is not None and not isinstance(self.event, Tick)
        first, rest = EventPiece(self.event, self.reach).cut(rows)
        return (
            CopiedPiece(self.record, first.event, changed=True),
            CopiedPiece(self.record, rest.event, changed=True),
        )

    def send(self, publisher: Publisher) -> None:
        record, event = self.record, self.event
        value, headers = record.value, list(record.headers or ())
        if event is not None and self.changed:
            value = codec.encode(event)
            others = [one for one in headers if one[0] != codec.HEADER]
            headers = [*codec.headers_for(event), *others]
        stamp = record.timestamp
        if self.changed and event is not None and event.ts_recv is not None:
            stamp = event.ts_recv
        publisher.publish_copy(
            record.topic, record.partition, record.key, value, headers, stamp, event
        )


def within(event: C, start_ms: int | None, end_ms: int | None) -> C | None:
    """The rows of an event that happened in [start, end), epoch ms; None for none. A candle happens
    at its start."""
    if isinstance(event, TickFrame | OptionQuoteFrame):
        stamps = event.ts_ms
    elif isinstance(event, CandleFrame):
        stamps = event.start_ms
    else:
        stamps = [event.ts_ms if isinstance(event, Tick) else event.ts_event]
    kept = [
        (start_ms is None or start_ms <= at) and (end_ms is None or at < end_ms) for at in stamps
    ]
    if all(kept):
        return event
    if not any(kept):
        return None
    assert isinstance(event, TickFrame | OptionQuoteFrame | CandleFrame)
    return some_rows(event, [at for at, keep in enumerate(kept) if keep])
