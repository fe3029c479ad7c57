"""A namespace's input topics as the source of a replay: the same records, byte for byte.

Each partition is read in the order of its offsets, and the partitions go side by side by event
time. Nothing is written to the namespace that is read, and no group is joined.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from optionstream.deploy.replays.sources.copied_piece import CopiedPiece
from optionstream.deploy.replays.sources.partitions import TopicPartitions
from optionstream.deploy.replays.sources.source import (
    EventSpan,
    InputObserver,
    Row,
    Scan,
    describe_choice,
)
from optionstream.producers.playback import Piece, by_time, side_by_side, sliced
from optionstream.producers.raw.writing import RawWriter
from optionstream.schemas import codec
from optionstream.schemas.errors import InputError, NamespaceError, RecordError, UsageError
from optionstream.schemas.events import MarketEvent, Tick
from optionstream.schemas.topics import LIVE, MARKET_TOPICS, Namespace
from optionstream.streams.kafka.records import RawRecord
from optionstream.streams.kafka.topic_reader import Bounds, TopicReader

Places = Mapping[tuple[str, int], tuple[int, int | None]]
"""By (topic without its namespace, partition): first offset, and the one after the last."""

MAX_AHEAD_MS = 60_000
"""A record may be stamped this much earlier than its events (by a slow clock), so that reading
starts at stamps this long before the range."""
_BATCH = 500


@dataclass(frozen=True, slots=True)
class TopicRange(EventSpan):
    """The part of a namespace to replay: event times, or the offsets of ``places`` alone."""

    places: Places | None = None

    def since_ms(self, namespace: Namespace) -> int | None:
        """Return the earliest receipt (epoch ms) of an event in the range.

        None when it is not known: only live follows the clock.
        """
        if self.start_ms is None or namespace.name != LIVE:
            return None
        return max(0, self.start_ms - MAX_AHEAD_MS)


@dataclass(slots=True)
class TopicSource:
    """Copies every record, unreadable ones too, so that these are refused there as well."""

    kafka: str
    namespace: Namespace
    partitions: int
    """The partition count of the topics that the records go to."""
    span: TopicRange = field(default_factory=TopicRange)
    products: frozenset[str] | None = None
    raw: bool = False
    scanned: Scan = field(default_factory=Scan)
    _topics: TopicPartitions = field(init=False)

    def __post_init__(self) -> None:
        self._topics = TopicPartitions(self.kafka, self.namespace, _BATCH)

    @property
    def names(self) -> list[str]:
        """``topics:`` and the namespace."""
        return [f"topics:{self.namespace.name}"]

    def describe(self) -> Row:
        """Return kind, namespace, choice and the offsets read, for the manifest."""
        places = [
            (place, self._topics.bounds[place[0]][place[1]]) for place in self._topics.places()
        ]
        return {
            "kind": "topics",
            "namespace": self.namespace.name,
            **describe_choice(self.span, self.products),
            "offsets": [
                {"topic": topic, "partition": partition, "first": first, "end": end}
                for (topic, partition), (first, end) in places
            ],
        }

    def counts(self) -> Row:
        """Return the number of records read."""
        return {"records_read": self._topics.read}

    def open(self, observer: InputObserver) -> None:
        """Find the offsets of the range.

        Raises NamespaceError for an unknown namespace, UsageError for another number of
        partitions, InputError if there are no records.
        """
        name = self.namespace.name
        with self._topics.reader() as reader:
            for topic in MARKET_TOPICS:
                there = reader.bounds(topic)
                if not there:
                    raise NamespaceError(f"there is no namespace {name} with a topic {topic}")
                self._check_partitions(topic, len(there))
                self._topics.bounds[topic] = self._choose_bounds(reader, topic, there)
        if not self._topics.total:
            raise InputError(self.names[0], "no records in this range")

    def scan(self) -> None:
        """Read all records once."""
        for place in self._topics.places():
            self.scanned.add_stream(piece.reach for piece in self._lane(*place))
        self._topics.read = 0

    def pieces(self, observer: InputObserver, raw: RawWriter | None) -> Iterator[Piece]:
        """Yield the records by event time; ``raw`` is not used."""
        lanes = [self._lane(*place) for place in self._topics.places()]
        if self.scanned.last_ms is None:
            return by_time(lanes)
        horizon_ms = self.scanned.horizon_ms
        return by_time([side_by_side(sliced(lane), horizon_ms, _product_of) for lane in lanes])

    def share_read(self) -> float | None:
        """Return the share of the records that was read; None before the first."""
        return self._topics.share_read()

    def _check_partitions(self, topic: str, count: int) -> None:
        if count != self.partitions:
            raise UsageError(
                f"{self.namespace.topic(topic)} has {count} partitions, the replay's topics would "
                f"have {self.partitions}: set OPTIONSTREAM_PARTITIONS={count}"
            )

    def _choose_bounds(self, reader: TopicReader, topic: str, there: Bounds) -> Bounds:
        """Return the part of the existing offsets that the range asks for."""
        if self.span.places is not None:
            return _intersection(topic, there, self.span.places)
        if self.span.start_ms is None:
            return there
        return reader.since(topic, there, max(0, self.span.start_ms - MAX_AHEAD_MS))

    def _lane(self, topic: str, partition: int) -> Iterator[CopiedPiece]:
        for record in self._topics.records(topic, partition):
            piece = self._piece(record)
            if piece is not None:
                yield piece

    def _piece(self, record: RawRecord) -> CopiedPiece | None:
        try:
            event: Any = codec.decode(record.value, record.headers)
            if not isinstance(event, MarketEvent | Tick):
                raise RecordError("invalid", f"{type(event).__name__} is no market event")
        except RecordError:
            chosen = self.products is None and self.span.includes(record.timestamp)
            return CopiedPiece(record, None) if chosen else None
        if self.products is not None and event.product not in self.products:
            return None
        kept = self.span.cut(event)
        if kept is None:
            return None
        return CopiedPiece(record, kept, changed=kept is not event)


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
