"""Where raw records are read from: the raw topics of a namespace, or an audit archive."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

from optionstream.producers.feeds.audit import raw_records
from optionstream.schemas.errors import InputError, NamespaceError
from optionstream.schemas.files.audit_manifest import MANIFEST
from optionstream.schemas.topics import MARKET_TOPICS, RAW_TOPICS, Namespace
from optionstream.streams.kafka.records import RawRecord
from optionstream.streams.kafka.topic_reader import Bounds, TopicReader, size_of

Row = dict[str, Any]

_BATCH = 4
"""Records of up to PART_BYTES each."""
_REMEDY = "a replay publishes them with --raw, `feed file` unless OPTIONSTREAM_RAW=0"


class RawRecords(Protocol):
    """``open``, then ``records`` and ``done``."""

    @property
    def name(self) -> str:
        """What it is called in the registry."""

    def described(self) -> Row:
        """For the manifest."""

    def open(self) -> None:
        """Raises UsageError when there is none."""

    def records(self) -> Iterator[RawRecord]:
        """By their receipt; those of one partition in its order."""

    def done(self) -> float | None:
        """The share that was read, 0 to 1; None when it cannot be told."""


class TopicRecords:
    """The raw topics of a namespace, as they are when they are opened; ``since_ms`` (epoch ms)
    leaves out what was received before. No group is joined."""

    def __init__(self, kafka: str, namespace: Namespace, since_ms: int | None = None) -> None:
        self._kafka = kafka
        self._namespace = namespace
        self._since_ms = since_ms
        self._bounds: dict[str, Bounds] = {}
        self._read = 0

    @property
    def name(self) -> str:
        return f"raw:{self._namespace.name}"

    def described(self) -> Row:
        return {"namespace": self._namespace.name, "archive": None}

    def open(self) -> None:
        name, since_ms = self._namespace.name, self._since_ms
        with TopicReader(self._kafka, self._namespace) as reader:
            if not any(reader.bounds(topic) for topic in MARKET_TOPICS):
                raise NamespaceError(f"there is no namespace {name}")
            self._bounds = {topic: reader.bounds(topic) for topic in RAW_TOPICS}
            if not self._total:
                raise InputError(
                    self.name,
                    f"it has no bodies as received ({_REMEDY}); "
                    f"`optionstream replay --from-topics {name}` replays its events",
                )
            if since_ms is not None:
                for topic, there in self._bounds.items():
                    self._bounds[topic] = reader.since(topic, there, since_ms)
        if not self._total:
            raise InputError(self.name, "nothing was received in this range")

    def records(self) -> Iterator[RawRecord]:
        self._read = 0
        lanes = [
            self._lane(topic, partition, first, end)
            for topic, bounds in self._bounds.items()
            for partition, (first, end) in bounds.items()
            if end > first
        ]
        for _, record in heapq.merge(*lanes, key=lambda one: one[0]):
            yield record

    def done(self) -> float | None:
        return self._read / self._total if self._read else None

    @property
    def _total(self) -> int:
        return sum(size_of(bounds) for bounds in self._bounds.values())

    def _lane(
        self, topic: str, partition: int, first: int, end: int
    ) -> Iterator[tuple[int, RawRecord]]:
        """The records with a stamp that never falls: their order comes first."""
        stamp = 0
        with TopicReader(self._kafka, self._namespace, _BATCH) as reader:
            for batch in reader.read(topic, {partition: (first, end)}):
                for record in batch:
                    self._read += 1
                    stamp = max(stamp, record.timestamp)
                    yield stamp, record


class ArchiveRecords:
    """The raw records of an audit archive."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    def name(self) -> str:
        return f"raw:{self._folder}"

    def described(self) -> Row:
        return {"namespace": None, "archive": str(self._folder)}

    def open(self) -> None:
        if not (self._folder / MANIFEST).is_file():
            raise InputError(str(self._folder), f"no audit archive: it has no {MANIFEST}")
        if next(self.records(), None) is None:
            raise InputError(
                str(self._folder),
                f"it has no bodies as received ({_REMEDY}); "
                f"`optionstream replay {self._folder}` replays its events",
            )

    def records(self) -> Iterator[RawRecord]:
        for one in raw_records(self._folder):
            place = one.topic, one.partition, one.offset
            yield RawRecord(*place, one.timestamp, one.key, one.headers, one.value)

    def done(self) -> float | None:
        return None
