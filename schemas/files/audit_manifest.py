"""The audit archive's manifest: a chain of entries, one JSON line each.

    <archive>/manifest.jsonl
    <archive>/date=2026-01-06/topic=market.underlying/<partition>-<first>-<last>-<topic id>.parquet
    <archive>/partial/                    files on their way (see ``segment_file``)

An entry's hash is the SHA-256 of its line without the line's end, and the next entry carries it as
``prev``. The head, the hash of the last entry, therefore stands for the whole archive: every entry,
and through the hashes in them every file. A line without an end was never completed: no entry.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Annotated, BinaryIO, Final

import msgspec
from msgspec import Meta, Struct

from optionstream.schemas.errors import ArchiveError
from optionstream.schemas.times import DAY_MS, IST_OFFSET_MS, LAST_MS, ist_date

FORMAT: Final = "optionstream.audit"
VERSION: Final = 1
MANIFEST: Final = "manifest.jsonl"
PARTIAL: Final = "partial"
SUFFIX: Final = ".parquet"
NO_HASH: Final = "0" * 64
"""``prev`` of the first entry."""
UNDATED: Final = "undated"
_LONGEST_LINE: Final = 1 << 20
_LAST_DAY: Final = LAST_MS // DAY_MS

Hash = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}$")]
Count = Annotated[int, Meta(ge=0)]


class Opened(Struct, frozen=True, kw_only=True, tag="opened", tag_field="kind"):
    """The first entry: format and namespace. ``at`` is the archive's clock, UTC epoch ms."""

    seq: Count = 0
    prev: Hash = NO_HASH
    at: int
    format: str = FORMAT
    version: int = VERSION
    namespace: str


class Segment(Struct, frozen=True, kw_only=True, tag="segment", tag_field="kind"):
    """A file: consecutive records of one partition with timestamps of one day.

    ``topic`` has no namespace; ``partitions`` is how many the topic had. Offsets from ``first`` to
    ``last`` that have no record were not in the topic (``records`` is then less than their number).
    """

    seq: Count = 0
    prev: Hash = NO_HASH
    at: int
    path: str
    sha256: Hash
    bytes: Count
    topic: str
    topic_id: str
    partition: Count
    partitions: Count
    first: Count
    last: Count
    records: Count

    @property
    def key(self) -> tuple[str, int]:
        """Topic id and partition."""
        return self.topic_id, self.partition


class Pruned(Struct, frozen=True, kw_only=True, tag="pruned", tag_field="kind"):
    """The files of all segments up to entry ``through`` were deleted by a rule: they had been
    archived more than ``days`` before ``at``. ``files`` and ``records`` count what went now."""

    seq: Count = 0
    prev: Hash = NO_HASH
    at: int
    through: Count
    days: Count
    files: Count
    records: Count
    by: str
    """User, host and command."""


Entry = Opened | Segment | Pruned

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Entry).decode


class ChainBroken(ArchiveError):
    """A line that does not continue the chain. ``entry`` is its content, if it can be read."""

    def __init__(self, number: int, why: str, entry: Entry | None = None) -> None:
        super().__init__(f"entry {number} of the manifest {why}")
        self.number = number
        self.why = why
        self.entry = entry


@dataclass(slots=True)
class Chain:
    """Position in the manifest: number of entries so far and the hash of the last one."""

    entries: int = 0
    head: str = NO_HASH

    def follow(self, line: bytes) -> Entry:
        """Return the next line's entry. Raises ChainBroken; the next call continues after it."""
        number, before = self.entries, self.head
        self.entries += 1
        self.head = sha256(line).hexdigest()
        try:
            entry: Entry = _decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise ChainBroken(number, f"cannot be read: {error}") from None
        if entry.prev != before:
            raise ChainBroken(number, "does not carry the hash of the entry before it", entry)
        if entry.seq != number:
            raise ChainBroken(number, f"calls itself entry {entry.seq}", entry)
        if isinstance(entry, Opened) != (number == 0):
            raise ChainBroken(number, "is not of the kind that belongs there", entry)
        if isinstance(entry, Opened) and (entry.format, entry.version) != (FORMAT, VERSION):
            shown = f"{entry.format} version {entry.version}"
            raise ChainBroken(number, f"is of {shown}; this release reads {VERSION}", entry)
        return entry

    def extend(self, entry: Entry) -> tuple[Entry, bytes]:
        """Return the entry with its place in the chain, and its line without an end."""
        placed = msgspec.structs.replace(entry, seq=self.entries, prev=self.head)
        line = _encode(placed)
        self.entries += 1
        self.head = sha256(line).hexdigest()
        return placed, line


def complete_lines(file: BinaryIO, end: int | None = None) -> Iterator[bytes]:
    """Yield the complete lines from the file's position up to byte ``end``, without line ends."""
    at = file.tell()
    while line := file.readline(_LONGEST_LINE):
        at += len(line)
        if end is not None and at > end:
            return
        if line.endswith(b"\n"):
            yield line[:-1]
        elif len(line) == _LONGEST_LINE:
            yield line  # no entry is that long: ``Chain.follow`` reports it
        else:
            return


def is_manifest(head: bytes) -> bool:
    """Return True if ``head`` is the start of an audit archive's manifest."""
    line = head.partition(b"\n")[0]
    return line.startswith(b'{"kind":"opened"') and f'"{FORMAT}"'.encode() in line


def day_of(timestamp_ms: int) -> int | None:
    """Return the IST date of a record's timestamp in days since 1970; None if it is not a date."""
    day = (timestamp_ms + IST_OFFSET_MS) // DAY_MS
    return day if timestamp_ms >= 0 and day <= _LAST_DAY else None


def segment_path(
    day: int | None, topic: str, partition: int, first: int, last: int, topic_id: str
) -> str:
    """Return the path of a segment's file within the archive."""
    date = UNDATED if day is None else ist_date(day * DAY_MS)
    return f"date={date}/topic={topic}/{partition}-{first}-{last}-{topic_id}{SUFFIX}"


def segment_file(folder: Path, segment: Segment) -> Path:
    """Return the path of a segment's file, or the path where it should be.

    A crash can keep a file from getting its name; it is then found under its partial name.

    A file is written as ``partial/<sha256>-<something>`` and takes its name once its entry is in
    the manifest: what has a name is complete and has an entry.
    """
    final = folder / segment.path
    if not final.exists():
        for partial in partial_files(folder):
            if partial.name.startswith(f"{segment.sha256}-") and not final.exists():
                return partial
    return final


def partial_files(folder: Path) -> list[Path]:
    """Return the files that have no name yet."""
    try:
        return [Path(found.path) for found in os.scandir(folder / PARTIAL) if found.is_file()]
    except FileNotFoundError:
        return []
