"""The places of a namespace that hold results, each as values by id, without what a run adds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import msgspec
import polars as pl
from redis import Redis

from optionstream.schemas.codec import decode
from optionstream.schemas.derived import PARTIAL
from optionstream.schemas.documents import TICKS
from optionstream.schemas.errors import RecordError
from optionstream.schemas.topics import Namespace
from optionstream.streams.kafka.topic_reader import TopicReader
from optionstream.streams.verify.kinds import KINDS, REJECTS, Kind
from optionstream.streams.verify.stores import LatestValues, Mongo, stored_ticks

Row = dict[str, Any]
Rows = Callable[[], Iterator[tuple[str, Row]]]

_OF_A_RUN: Final = ("known_at", "custom_indicators", "_id")
_TICK_COLUMNS: Final = ("product", "ts", "order", "price", "volume", "refused")


@dataclass(frozen=True, slots=True)
class Place:
    """``rows`` reads the values again at each call; None for the ticks, which have no ids."""

    namespace: str
    name: str
    rows: Rows | None
    ticks: Callable[[], pl.DataFrame] | None = None


def places_of(
    reader: TopicReader, db: Mongo, redis: Redis, namespace: Namespace, counts: Mapping[str, Any]
) -> list[Place]:
    """Return all places of a namespace; ``counts`` are the analytics workers' own."""
    rows: dict[str, Rows] = {"counts": partial(_read_counts, counts)}
    rows |= {f"kafka {kind.topic}": partial(_read_topic, reader, kind) for kind in KINDS}
    rows |= {f"mongo {kind.collection}": partial(_read_collection, db, kind) for kind in KINDS}
    ticks = Place(namespace.name, f"mongo {TICKS}", None, lambda: stored_ticks(db)[0])
    redis_rows = partial(_read_redis, redis, namespace)
    places = [Place(namespace.name, name, read) for name, read in rows.items()]
    return [*places, ticks, Place(namespace.name, "redis", redis_rows)]


def tick_counts(place: Place) -> pl.DataFrame:
    """Return how often each tick is stored, by everything but its place in Kafka."""
    assert place.ticks is not None
    return place.ticks().group_by(_TICK_COLUMNS).agg(pl.len().cast(pl.Int64).alias("count"))


def _read_counts(counts: Mapping[str, Any]) -> Iterator[tuple[str, Row]]:
    for fate, count in counts.items():
        yield fate, {"events": count}


def _read_topic(reader: TopicReader, kind: Kind) -> Iterator[tuple[str, Row]]:
    """Yield the values of a topic; a reject that was sent twice counts once."""
    rejected = {}
    for batch in reader.read(kind.topic, reader.bounds(kind.topic)):
        for record in batch:
            try:
                content: Any = decode(record.value, record.headers)
            except RecordError as error:
                content = error
            is_right = isinstance(content, kind.record)
            if kind is REJECTS and is_right:
                part = content.topic, content.reason, content.id, tuple(content.indices)
                rejected[part] = content.events
            elif kind is not REJECTS and not is_right:
                yield f"{record.partition}|{record.offset}", {"unreadable": str(content)}
            elif is_right and getattr(content, "revision", None) != PARTIAL:
                yield content.id, _canonical(msgspec.to_builtins(content))
    yield from _by_reason((part[0], part[1], events) for part, events in rejected.items())


def _read_collection(db: Mongo, kind: Kind) -> Iterator[tuple[str, Row]]:
    if kind is REJECTS:
        fields = ("topic", "reason", "events")
        found = db[kind.collection].find({}, dict.fromkeys(fields, 1))
        yield from _by_reason((one["topic"], one["reason"], one["events"]) for one in found)
        return
    for document in db[kind.collection].find({}, {"known_at": 0}):
        yield str(document["_id"]), _canonical(document)


def _by_reason(parts: Iterable[tuple[str, str, int]]) -> Iterator[tuple[str, Row]]:
    totals: Counter[tuple[str, str]] = Counter()
    for topic, reason, events in parts:
        totals[topic, reason] += events
    for (topic, reason), events in totals.items():
        yield f"{topic}|{reason}", {"events": events}


def _read_redis(redis: Redis, namespace: Namespace) -> Iterator[tuple[str, Row]]:
    for key, document in LatestValues(redis, namespace).read().items():
        if document is None:
            yield key, {"unreadable": True}
        elif not (key.startswith("ohlc:") and document.get("revision") == PARTIAL):
            yield key, _canonical(document)


def _canonical(value: Mapping[str, Any]) -> Row:
    """Return a value without what a run adds; ``metadata`` of a chain document too."""
    kept = {name: one for name, one in value.items() if name not in _OF_A_RUN}
    if isinstance(kept.get("metadata"), dict):
        kept["metadata"] = _canonical(kept["metadata"])
    return kept
