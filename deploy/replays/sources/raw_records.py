"""Raw records: those in the raw topics of a namespace, or in an audit archive."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from optionstream.deploy.replays.sources.partitions import TopicPartitions
from optionstream.deploy.replays.sources.source import Row
from optionstream.producers.feeds.audit import raw_records
from optionstream.schemas.errors import InputError, NamespaceError
from optionstream.schemas.files.audit_manifest import MANIFEST
from optionstream.schemas.topics import MARKET_TOPICS, RAW_TOPICS, Namespace
from optionstream.streams.kafka.records import RawRecord

_BATCH = 4
"""Records of up to PART_BYTES each."""
_REMEDY = "a replay publishes them with --raw, `feed file` unless OPTIONSTREAM_RAW=0"


class RawRecords(Protocol):
    """A set of raw records: ``open``, then ``records`` and ``share_read``."""

    @property
    def name(self) -> str:
        """Its name in the registry."""

    def describe(self) -> Row:
        """Return its origin, for the manifest."""

    def open(self) -> None:
        """Raise InputError or NamespaceError if there are no records."""

    def records(self) -> Iterator[RawRecord]:
        """Yield the records by their receipt; those of one partition in its order."""

    def share_read(self) -> float | None:
        """Return the share that was read, 0 to 1; None when it is not known."""


class TopicRecords:
    """The raw topics of a namespace, up to their ends at ``open``.

    Records received before ``since_ms`` (epoch ms) are left out. No group is joined.
    """

    def __init__(self, kafka: str, namespace: Namespace, since_ms: int | None = None) -> None:
        self._namespace = namespace
        self._since_ms = since_ms
        self._topics = TopicPartitions(kafka, namespace, _BATCH)
        self.share_read = self._topics.share_read

    @property
    def name(self) -> str:
        """``raw:`` and the namespace."""
        return f"raw:{self._namespace.name}"

    def describe(self) -> Row:
        """Return the namespace, for the manifest."""
        return {"namespace": self._namespace.name, "archive": None}

    def open(self) -> None:
        """Find the ends of the topics.

        Raises NamespaceError for an unknown namespace, InputError if there are no records.
        """
        name = self._namespace.name
        with self._topics.reader() as reader:
            if not any(reader.bounds(topic) for topic in MARKET_TOPICS):
                raise NamespaceError(f"there is no namespace {name}")
            bounds = {topic: reader.bounds(topic) for topic in RAW_TOPICS}
            self._topics.bounds = bounds
            if not self._topics.total:
                raise InputError(
                    self.name,
                    f"no raw payloads ({_REMEDY}); "
                    f"`optionstream replay --from-topics {name}` replays its events",
                )
            if (since_ms := self._since_ms) is not None:
                for topic, there in bounds.items():
                    bounds[topic] = reader.since(topic, there, since_ms)
        if not self._topics.total:
            raise InputError(self.name, "no raw payloads in this range")

    def records(self) -> Iterator[RawRecord]:
        """Yield the records of all topics by their stamps, each partition in its own order."""
        self._topics.read = 0
        lanes = [self._lane(*place) for place in self._topics.places()]
        for _, record in heapq.merge(*lanes, key=lambda one: one[0]):
            yield record

    def _lane(self, topic: str, partition: int) -> Iterator[tuple[int, RawRecord]]:
        """Yield the records with stamps that never fall, because their order comes first."""
        stamp = 0
        for record in self._topics.records(topic, partition):
            stamp = max(stamp, record.timestamp)
            yield stamp, record


class ArchiveRecords:
    """The raw records of an audit archive."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    def name(self) -> str:
        """``raw:`` and the folder."""
        return f"raw:{self._folder}"

    def describe(self) -> Row:
        """Return the folder, for the manifest."""
        return {"namespace": None, "archive": str(self._folder)}

    def open(self) -> None:
        """Raise InputError unless the folder is an archive with raw records."""
        if not (self._folder / MANIFEST).is_file():
            raise InputError(str(self._folder), f"not an audit archive: it has no {MANIFEST}")
        if next(self.records(), None) is None:
            raise InputError(
                str(self._folder),
                f"no raw payloads ({_REMEDY}); "
                f"`optionstream replay {self._folder}` replays its events",
            )

    def records(self) -> Iterator[RawRecord]:
        """Yield the raw records in the order of the archive."""
        for one in raw_records(self._folder):
            place = one.topic, one.partition, one.offset
            yield RawRecord(*place, one.timestamp, one.key, one.headers, one.value)

    def share_read(self) -> float | None:
        """Return None: the number of records is not known."""
        return None
