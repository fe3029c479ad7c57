"""An audit archive as a feed: the records of Kafka, in the order in which they came.

The manifest lists the files and their content; each file is checked against its hash before it is
used. The records of a partition keep their order; those of several are merged by their stamps. One
file of each partition is in memory at a time.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator
from hashlib import sha256
from pathlib import Path

from optionstream.producers.feeds.format import FeedInput
from optionstream.producers.feeds.frames import check_event
from optionstream.schemas import codec, rejects, topics
from optionstream.schemas.errors import ArchiveError, InputError, RecordError
from optionstream.schemas.events import ChainSnapshot, MarketEvent, OptionQuoteFrame, Tick
from optionstream.schemas.files.audit_manifest import (
    MANIFEST,
    Chain,
    Entry,
    Pruned,
    Segment,
    complete_lines,
    segment_file,
)
from optionstream.schemas.files.audit_segment import COLUMNS, ArchivedRecord, decode_records
from optionstream.schemas.identity import frame_of_tick

Part = tuple[str, int]
"""A topic without namespace, and a partition."""
Wanted = Callable[[str], bool]


def holds_records(columns: Iterable[str]) -> bool:
    """True if a Parquet file with these columns is one of an archive."""
    return tuple(columns) == COLUMNS


def archive_events(file: FeedInput) -> Iterator[MarketEvent]:
    """Yield the events of the archive whose manifest the source is.

    Records that analytics rejected are reported as problems. Raises InputError: the archive is not
    as it was written, or the manifest is inside a tar.
    """
    manifest = file.source.file
    if manifest is None:
        raise file.error("an audit archive is read from its folder, unpacked")
    for record, partitions in _merged(manifest.parent, _holds_events):
        yield from _event(record, partitions, file.problems)


def file_events(file: FeedInput) -> Iterator[MarketEvent]:
    """Yield the events of one file of an archive. Raises InputError."""
    try:
        for record in decode_records(file.source.body()):
            if not _holds_events(record.topic):
                why = "bytes as received, no events: `replay --from-raw` reads the whole archive"
                raise file.error(why)
            yield from _event(record, None, file.problems)
    except ArchiveError as error:
        raise file.error(str(error)) from None


def archived_records(folder: Path) -> Iterator[ArchivedRecord]:
    """Yield every record that the archive in ``folder`` still has. Raises InputError when it is not
    as it was written."""
    return (record for record, _ in _merged(folder, lambda topic: True))


def raw_records(folder: Path) -> Iterator[ArchivedRecord]:
    """Yield the records of the raw topics, by their receipt. Raises as ``archived_records``."""
    return (record for record, _ in _merged(folder, lambda topic: not _holds_events(topic)))


def _holds_events(topic: str) -> bool:
    return topic not in topics.RAW_TOPICS


def _merged(folder: Path, wanted: Wanted) -> Iterator[tuple[ArchivedRecord, int]]:
    """Yield records of the topics wanted, each with the number of partitions its topic had."""
    end = _size(folder / MANIFEST)
    through, parts = _survey(folder, end)
    chosen = sorted(part for part in parts if wanted(part[0]))
    streams = [_stamped(folder, end, part, through) for part in chosen]
    for _, record, partitions in heapq.merge(*streams, key=lambda item: item[0]):
        yield record, partitions


def _size(manifest: Path) -> int:
    """Return the size of the manifest now: later entries of a growing archive are left out."""
    try:
        return manifest.stat().st_size
    except OSError as error:
        raise InputError(str(manifest), error.strerror or str(error)) from None


def _survey(folder: Path, end: int) -> tuple[int, set[Part]]:
    """Return the last entry whose files were pruned (-1: none), and the partitions."""
    through, parts = -1, set()
    for entry in _entries(folder, end):
        if isinstance(entry, Segment):
            parts.add((entry.topic, entry.partition))
        elif isinstance(entry, Pruned):
            through = entry.through
    return through, parts


def _stamped(
    folder: Path, end: int, part: Part, through: int
) -> Iterator[tuple[int, ArchivedRecord, int]]:
    """Yield a partition's records, each with a stamp that never falls: its order comes first."""
    stamp = 0
    for entry in _entries(folder, end):
        if not isinstance(entry, Segment) or (entry.topic, entry.partition) != part:
            continue
        if entry.seq > through:
            for record in _records(folder, entry):
                stamp = max(stamp, record.timestamp)
                yield stamp, record, entry.partitions


def _entries(folder: Path, end: int) -> Iterator[Entry]:
    path = folder / MANIFEST
    chain = Chain()
    try:
        with path.open("rb") as file:
            for line in complete_lines(file, end):
                yield chain.follow(line)
    except OSError as error:
        raise InputError(str(path), error.strerror or str(error)) from None
    except ArchiveError as error:
        raise InputError(str(path), f"{error}; `optionstream audit verify` has details") from None


def _records(folder: Path, segment: Segment) -> Iterator[ArchivedRecord]:
    path = segment_file(folder, segment)
    try:
        body = path.read_bytes()
    except OSError as error:
        raise InputError(str(path), error.strerror or str(error)) from None
    if sha256(body).hexdigest() != segment.sha256:
        why = "differs from its entry in the manifest; `optionstream audit verify` has details"
        raise InputError(str(path), why)
    try:
        yield from decode_records(body)
    except ArchiveError as error:
        raise InputError(str(path), str(error)) from None


def _event(
    record: ArchivedRecord, partitions: int | None, problems: list[str]
) -> Iterator[MarketEvent]:
    """Yield the event if analytics accepts the record as a whole, else report the reason."""
    try:
        found = codec.decode(record.value, record.headers)
        event = frame_of_tick(found, max(0, record.timestamp)) if isinstance(found, Tick) else found
        if not isinstance(event, MarketEvent):
            raise RecordError(
                rejects.WRONG_TOPIC, f"{codec.schema_of(event)} is not a market event"
            )
        _check_place(event, record, partitions)
        yield check_event(event)
    except RecordError as error:
        problems.append(f"{record.topic}/{record.partition} offset {record.offset}: {error}")


def _check_place(event: MarketEvent, record: ArchivedRecord, partitions: int | None) -> None:
    """Raise RecordError unless topic, key and partition are those of the content.

    A publisher would put them right, and a rejected record would come back as a good one.
    """
    topic, key = topics.UNDERLYING, event.product
    if isinstance(event, ChainSnapshot | OptionQuoteFrame):
        chains = isinstance(event, ChainSnapshot)
        topic = topics.OPTION_CHAIN if chains else topics.OPTION_QUOTE
        key = topics.chain_key(event.product, event.expiry)
    if topic != record.topic:
        raise RecordError(rejects.WRONG_TOPIC, f"its content belongs on {topic}")
    if record.key != key.encode():
        raise RecordError(rejects.KEY_MISMATCH, f"its content asks for {key!r}")
    if partitions and topics.partition_for(event.product, partitions) != record.partition:
        raise RecordError(rejects.FOREIGN_PARTITION, f"{event.product} belongs on another")
