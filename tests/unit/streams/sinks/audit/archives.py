"""Audit archives for tests, and ways to tamper with them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from hashlib import sha256
from pathlib import Path

import msgspec

from optionstream.schemas import topics
from optionstream.schemas.files.audit_manifest import MANIFEST, Chain, Entry, Opened, Segment
from optionstream.schemas.files.audit_segment import ArchivedRecord, decode_records, encode_records
from optionstream.schemas.times import DAY_MS
from optionstream.streams.sinks.audit.archive import Archive, Run
from optionstream.streams.sinks.audit.sink import cut
from tests.harness.records import OPEN_MS

TOPIC_ID = "tOpIc-1"
PARTITIONS = 3
Change = Callable[[Path], None]


class Clock:
    """An archive's clock that a test turns."""

    def __init__(self) -> None:
        self.ms = OPEN_MS

    def __call__(self) -> int:
        self.ms += 1
        return self.ms

    def days_pass(self, days: int) -> None:
        self.ms += days * DAY_MS


def record(
    offset: int, partition: int = 0, value: bytes | None = None, stamp: int | None = None
) -> ArchivedRecord:
    return ArchivedRecord(
        topic=topics.UNDERLYING,
        partition=partition,
        offset=offset,
        timestamp=OPEN_MS + offset if stamp is None else stamp,
        timestamp_type="create",
        archived=OPEN_MS,
        key=b"NIFTY",
        headers=[("schema", b"tick_frame:1")],
        value=b"value %d" % offset if value is None else value,
    )


def run_of(records: Sequence[ArchivedRecord], topic_id: str = TOPIC_ID) -> Run:
    return Run(topic_id, PARTITIONS, records)


def opened(folder: Path, clock: Callable[[], int] | None = None) -> Archive:
    archive = Archive(folder, "live", clock or Clock())
    archive.open()
    return archive


def archive_of(folder: Path, flushes: int = 3, a_flush: int = 10) -> str:
    """Two partitions, ``flushes`` files each; returns the head."""
    archive = opened(folder)
    for flush in range(flushes):
        offsets = range(flush * a_flush, (flush + 1) * a_flush)
        archive.write([run_of([record(at, part) for at in offsets]) for part in (0, 1)])
    archive.close()
    return archive.head


def write_all(archive: Archive, records: Sequence[ArchivedRecord]) -> None:
    """What the sink does with a flush of one partition."""
    archive.write([run_of(part) for part in cut(records)])


def files(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.parquet"))


def records_in(path: Path) -> list[ArchivedRecord]:
    return list(decode_records(path.read_bytes()))


def lines(folder: Path) -> list[bytes]:
    return (folder / MANIFEST).read_bytes().splitlines()


def put_lines(folder: Path, some: Sequence[bytes]) -> None:
    (folder / MANIFEST).write_bytes(b"".join(line + b"\n" for line in some))


def entries(folder: Path) -> Iterator[Entry]:
    chain = Chain()
    for line in lines(folder):
        yield chain.follow(line)


def segments(folder: Path) -> list[Segment]:
    return [entry for entry in entries(folder) if isinstance(entry, Segment)]


def change_record(path: Path, offset: int) -> None:
    """One record with another value of the same length."""
    changed = [
        one if one.offset != offset else one._replace(value=(one.value or b"")[::-1])
        for one in records_in(path)
    ]
    path.write_bytes(encode_records(changed))


def rewrite_chain(folder: Path, edit: Callable[[Entry], Entry | None]) -> None:
    """The manifest anew, every hash in it right; ``edit`` may change an entry or leave it out."""
    chain, made = Chain(), []
    for entry in list(entries(folder)):
        new = edit(entry)
        if new is not None:
            made.append(chain.extend(new)[1])
    put_lines(folder, made)


def refreshed(folder: Path) -> Callable[[Entry], Entry]:
    """Entries that tell of the files as they are now."""

    def edit(entry: Entry) -> Entry:
        if isinstance(entry, Opened) or not isinstance(entry, Segment):
            return entry
        body = (folder / entry.path).read_bytes()
        return msgspec.structs.replace(entry, sha256=sha256(body).hexdigest(), bytes=len(body))

    return edit
