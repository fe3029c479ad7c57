"""A namespace's own input topics as the source of a replay: the same records, byte for byte.

Each partition is read in the order of its offsets, and the partitions go side by side by event
time. Nothing is written to the namespace that is read, and no group is joined.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

from optionstream.deploy.replays.sources.copied_piece import CopiedPiece, within
from optionstream.deploy.replays.sources.files import SourceObserver
from optionstream.deploy.replays.sources.merged_feeds import MOST_HELD_MS
from optionstream.deploy.replays.sources.trading_time import day_of
from optionstream.producers.playback import Piece, by_time, side_by_side, sliced
from optionstream.producers.raw.writing import RawWriter
from optionstream.schemas import codec
from optionstream.schemas.errors import InputError, NamespaceError, RecordError, UsageError
from optionstream.schemas.events import MarketEvent, Tick
from optionstream.schemas.times import rfc3339
from optionstream.schemas.topics import LIVE, MARKET_TOPICS, Namespace
from optionstream.streams.kafka.records import RawRecord
from optionstream.streams.kafka.topic_reader import Bounds, TopicReader, size_of

Row = dict[str, Any]
Places = Mapping[tuple[str, int], tuple[int, int | None]]
"""By (topic without its namespace, partition): first offset, and the one after the last."""

MOST_AHEAD_MS = 60_000
"""No record is stamped earlier than its events by more (a clock that is slow): reading begins at
the first stamp that is not."""
_BATCH = 500


@dataclass(frozen=True, slots=True)
class TopicRange:
    """What of a namespace: event times from ``start_ms`` up to, not including, ``end_ms`` (epoch
    ms; a candle's is its start), or the offsets of ``places`` alone. None is no limit."""

    start_ms: int | None = None
    end_ms: int | None = None
    places: Places | None = None

    def since_ms(self, namespace: Namespace) -> int | None:
        """What was received before this holds nothing of the range; None when that cannot be told:
        only live follows the clock."""
        if self.start_ms is None or namespace.name != LIVE:
            return None
        return max(0, self.start_ms - MOST_AHEAD_MS)


@dataclass(slots=True)
class TopicSource:
    """Every record is copied, the unreadable ones as well, to be refused there as here."""

    kafka: str
    namespace: Namespace
    partitions: int
    """Of the topics that the records go to."""
    span: TopicRange = field(default_factory=TopicRange)
    products: frozenset[str] | None = None
    raw: bool = False
    last_ms: int | None = None
    days: set[int] = field(default_factory=set)
    _bounds: dict[str, Bounds] = field(default_factory=dict)
    _horizon_ms: int | None = None
    _read: int = 0

    @property
    def names(self) -> list[str]:
        return [f"topics:{self.namespace.name}"]

    def described(self) -> Row:
        start, end = self.span.start_ms, self.span.end_ms
        return {
            "kind": "topics",
            "namespace": self.namespace.name,
            "start": rfc3339(start) if start is not None else None,
            "end": rfc3339(end) if end is not None else None,
            "products": sorted(self.products) if self.products is not None else None,
            "offsets": [
                {"topic": topic, "partition": partition, "first": first, "end": end}
                for topic, bounds in self._bounds.items()
                for partition, (first, end) in bounds.items()
                if end > first
            ],
        }

    def counted(self) -> Row:
        return {"records_read": self._read}

    def open(self, observer: SourceObserver) -> None:
        with TopicReader(self.kafka, self.namespace) as reader:
            for topic in MARKET_TOPICS:
                there = reader.bounds(topic)
                if not there:
                    name = self.namespace.name
                    raise NamespaceError(f"there is no namespace {name} with a topic {topic}")
                self._check_partitions(topic, len(there))
                self._bounds[topic] = self._chosen(reader, topic, there)
        if not self._total:
            raise InputError(self.names[0], "no record lies in this range")

    def scan(self) -> None:
        horizon_ms = 0
        for topic, partition in self._lanes():
            newest = 0
            for piece in self._lane(topic, partition):
                newest = max(newest, piece.reach[-1])
                self.days.update(map(day_of, piece.reach))
                horizon_ms = min(MOST_HELD_MS, max(horizon_ms, newest - piece.reach[0]))
                self.last_ms = newest if self.last_ms is None else max(self.last_ms, newest)
        self._horizon_ms = horizon_ms
        self._read = 0

    def pieces(self, observer: SourceObserver, raw: RawWriter | None) -> Iterator[Piece]:
        lanes = [self._lane(topic, part) for topic, part in self._lanes()]
        if self._horizon_ms is None:
            return by_time(lanes)
        horizon_ms = self._horizon_ms
        return by_time([side_by_side(sliced(lane), horizon_ms, _product_of) for lane in lanes])

    def done(self) -> float | None:
        return self._read / self._total if self._read else None

    @property
    def _total(self) -> int:
        return sum(size_of(bounds) for bounds in self._bounds.values())

    def _lanes(self) -> list[tuple[str, int]]:
        return [
            (topic, partition)
            for topic, bounds in self._bounds.items()
            for partition, (first, end) in bounds.items()
            if end > first
        ]

    def _check_partitions(self, topic: str, count: int) -> None:
        if count != self.partitions:
            raise UsageError(
                f"{self.namespace.topic(topic)} has {count} partitions, the replay's topics would "
                f"have {self.partitions}: set OPTIONSTREAM_PARTITIONS={count}"
            )

    def _chosen(self, reader: TopicReader, topic: str, there: Bounds) -> Bounds:
        """The part of what is there that the range asks for."""
        if self.span.places is not None:
            return _intersection(topic, there, self.span.places)
        if self.span.start_ms is None:
            return there
        return reader.since(topic, there, max(0, self.span.start_ms - MOST_AHEAD_MS))

    def _lane(self, topic: str, partition: int) -> Iterator[CopiedPiece]:
        bounds = {partition: self._bounds[topic][partition]}
        with ExitStack() as stack:
            reader = stack.enter_context(TopicReader(self.kafka, self.namespace, _BATCH))
            for batch in reader.read(topic, bounds):
                for record in batch:
                    self._read += 1
                    piece = self._piece(record)
                    if piece is not None:
                        yield piece

    def _piece(self, record: RawRecord) -> CopiedPiece | None:
        try:
            event: Any = codec.decode(record.value, record.headers)
            if not isinstance(event, MarketEvent | Tick):
                raise RecordError("invalid", f"{type(event).__name__} is no market event")
        except RecordError:
            return self._unreadable(record)
        if self.products is not None and event.product not in self.products:
            return None
        kept = within(event, self.span.start_ms, self.span.end_ms)
        if kept is None:
            return None
        return CopiedPiece(record, kept, changed=kept is not event)

    def _unreadable(self, record: RawRecord) -> CopiedPiece | None:
        start, end = self.span.start_ms, self.span.end_ms
        inside = (start is None or start <= record.timestamp) and (
            end is None or record.timestamp < end
        )
        return CopiedPiece(record, None) if inside and self.products is None else None


def _product_of(piece: CopiedPiece) -> str:
    return piece.product


def _intersection(topic: str, there: Bounds, places: Places) -> Bounds:
    chosen = {}
    for (name, partition), (first, end) in places.items():
        if name != topic:
            continue
        if partition not in there:
            raise UsageError(f"--offsets {topic}:{partition}: there is no such partition")
        low, high = there[partition]
        chosen[partition] = (max(low, first), high if end is None else min(high, end))
    return chosen
