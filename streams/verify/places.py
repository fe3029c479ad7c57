"""The places of a namespace that hold results, each as values by id, without what a run adds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec
import polars as pl
from redis import Redis

from optionstream.schemas.codec import decode
from optionstream.schemas.derived import (
    PARTIAL,
    Bar,
    ChainAnalytics,
    Gap,
    Reject,
    VolatilitySurface,
)
from optionstream.schemas.documents import BARS, CHAINS, GAPS, REJECTS, SURFACES, TICKS
from optionstream.schemas.errors import RecordError
from optionstream.schemas.topics import CHAIN, OHLC, SURFACE, Namespace
from optionstream.schemas.topics import GAPS as GAPS_TOPIC
from optionstream.schemas.topics import REJECTS as REJECTS_TOPIC
from optionstream.streams.kafka.topic_reader import TopicReader
from optionstream.streams.verify.stores import LatestValues, Mongo, stored_ticks

Row = dict[str, Any]
Rows = Callable[[], Iterator[tuple[str, Row]]]

_OF_A_RUN: Final = ("known_at", "custom_indicators", "_id")
_TICK_COLUMNS: Final = ("product", "ts", "order", "price", "volume", "refused")


@dataclass(frozen=True, slots=True)
class Place:
    """``rows`` reads the values anew at each call; None for the ticks, which have no ids."""

    namespace: str
    name: str
    rows: Rows | None
    ticks: Callable[[], pl.DataFrame] | None = None


def places_of(
    reader: TopicReader, db: Mongo, redis: Redis, namespace: Namespace, counts: Mapping[str, Any]
) -> list[Place]:
    """All places of a namespace; ``counts`` are the analytics workers' own."""

    def place(name: str, rows: Rows) -> Place:
        return Place(namespace.name, name, rows)

    return [
        place("counts", lambda: _of_counts(counts)),
        place(f"kafka {OHLC}", lambda: _of_topic(reader, OHLC)),
        place(f"kafka {GAPS_TOPIC}", lambda: _of_topic(reader, GAPS_TOPIC)),
        place(f"kafka {CHAIN}", lambda: _of_topic(reader, CHAIN)),
        place(f"kafka {SURFACE}", lambda: _of_topic(reader, SURFACE)),
        place(f"kafka {REJECTS_TOPIC}", lambda: _of_reject_topic(reader)),
        place(f"mongo {BARS}", lambda: _of_collection(db, BARS)),
        place(f"mongo {GAPS}", lambda: _of_collection(db, GAPS)),
        place(f"mongo {CHAINS}", lambda: _of_collection(db, CHAINS)),
        place(f"mongo {SURFACES}", lambda: _of_collection(db, SURFACES)),
        place(f"mongo {REJECTS}", lambda: _of_reject_documents(db)),
        Place(namespace.name, f"mongo {TICKS}", None, lambda: stored_ticks(db)[0]),
        place("redis", lambda: _of_redis(redis, namespace)),
    ]


def tick_counts(place: Place) -> pl.DataFrame:
    """How often each tick is stored, by everything but its place in Kafka."""
    assert place.ticks is not None
    return place.ticks().group_by(_TICK_COLUMNS).agg(pl.len().cast(pl.Int64).alias("count"))


def _of_counts(counts: Mapping[str, Any]) -> Iterator[tuple[str, Row]]:
    for fate, count in counts.items():
        yield fate, {"events": count}


def _of_topic(reader: TopicReader, topic: str) -> Iterator[tuple[str, Row]]:
    for record, content in _decoded(reader, topic):
        if isinstance(content, Bar | Gap | ChainAnalytics | VolatilitySurface):
            if not (isinstance(content, Bar) and content.revision == PARTIAL):
                yield content.id, _canonical(msgspec.to_builtins(content))
        else:
            yield record, {"unreadable": str(content)}


def _of_reject_topic(reader: TopicReader) -> Iterator[tuple[str, Row]]:
    """A part that was sent twice counts once."""
    parts = {
        (one.topic, one.partition, one.offset, one.reason, tuple(one.indices)): one.events
        for _, one in _decoded(reader, REJECTS_TOPIC)
        if isinstance(one, Reject)
    }
    yield from _by_reason((key[0], key[3], events) for key, events in parts.items())


def _decoded(reader: TopicReader, topic: str) -> Iterator[tuple[str, Any]]:
    """Each record's place and content; the error as content where there is none."""
    for batch in reader.read(topic, reader.bounds(topic)):
        for record in batch:
            where = f"{record.partition}|{record.offset}"
            try:
                yield where, decode(record.value, record.headers)
            except RecordError as error:
                yield where, error


def _of_collection(db: Mongo, name: str) -> Iterator[tuple[str, Row]]:
    for document in db[name].find({}, {"known_at": 0}):
        yield str(document["_id"]), _canonical(document)


def _of_reject_documents(db: Mongo) -> Iterator[tuple[str, Row]]:
    found = db[REJECTS].find({}, {"topic": 1, "reason": 1, "events": 1})
    yield from _by_reason((one["topic"], one["reason"], one["events"]) for one in found)


def _by_reason(parts: Iterator[tuple[str, str, int]]) -> Iterator[tuple[str, Row]]:
    totals: Counter[tuple[str, str]] = Counter()
    for topic, reason, events in parts:
        totals[topic, reason] += events
    for (topic, reason), events in totals.items():
        yield f"{topic}|{reason}", {"events": events}


def _of_redis(redis: Redis, namespace: Namespace) -> Iterator[tuple[str, Row]]:
    for key, document in LatestValues(redis, namespace).read().items():
        if document is None:
            yield key, {"unreadable": True}
        elif not (key.startswith("ohlc:") and document.get("revision") == PARTIAL):
            yield key, _canonical(document)


def _canonical(value: Mapping[str, Any]) -> Row:
    """Without what a run adds; ``metadata`` of a chain document too."""
    kept = {name: one for name, one in value.items() if name not in _OF_A_RUN}
    if isinstance(kept.get("metadata"), dict):
        kept["metadata"] = _canonical(kept["metadata"])
    return kept
