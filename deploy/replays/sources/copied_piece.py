"""Records of a topic as pieces of a replay, sent as they are."""

from __future__ import annotations

from collections.abc import Sequence

from optionstream.producers.kafka.publisher import Publisher
from optionstream.producers.playback import EventPiece
from optionstream.producers.playback.pieces import reach_of
from optionstream.schemas import codec
from optionstream.schemas.events import Heartbeat, MarketEvent, Tick
from optionstream.streams.kafka.records import RawRecord

Content = MarketEvent | Tick


class CopiedPiece:
    """A record and its ``event``; None for an unreadable one, which is due at its stamp.

    A whole record keeps its bytes, key, headers, partition and stamp. ``changed`` means that the
    event is a part of the record's, which is then encoded again.
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
        """The number of ticks, candles, quotes and chains in it."""
        return 0 if isinstance(self.event, Heartbeat) else len(self.reach)

    @property
    def schema(self) -> str:
        """Name and version of its schema, or ``unreadable``."""
        return codec.schema_of(self.event) if self.event is not None else "unreadable"

    @property
    def product(self) -> str:
        """Its product; empty for an unreadable record."""
        return self.event.product if self.event is not None else ""

    def cut(self, rows: int) -> tuple[CopiedPiece, CopiedPiece]:
        """Return its first ``rows`` rows and the others; both are not empty."""
        assert self.event is not None and not isinstance(self.event, Tick)
        first, rest = EventPiece(self.event, self.reach).cut(rows)
        return (
            CopiedPiece(self.record, first.event, changed=True),
            CopiedPiece(self.record, rest.event, changed=True),
        )

    def send(self, publisher: Publisher) -> None:
        """Publish the record, or the part of it."""
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
