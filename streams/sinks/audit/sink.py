"""The ``audit`` sink: every record of the input topics as it lay in Kafka, in an archive.

The archive decides where reading goes on, not the committed offsets. docs/audit.md.
"""

from __future__ import annotations

import getpass
import logging
import socket
import time
from collections.abc import Iterator, Mapping, Sequence

from confluent_kafka import (
    OFFSET_BEGINNING,
    TIMESTAMP_CREATE_TIME,
    TIMESTAMP_LOG_APPEND_TIME,
    Message,
)

from optionstream.schemas.files.audit_manifest import Pruned, day_of
from optionstream.schemas.files.audit_segment import ArchivedRecord
from optionstream.streams.process import WorkerConfig
from optionstream.streams.sinks.audit.archive import Archive, Run
from optionstream.streams.sinks.loop import metrics
from optionstream.streams.sinks.loop.contract import Assigned, LoopOptions
from optionstream.streams.sinks.loop.file_lock import ArchiveBusy
from optionstream.streams.sinks.loop.main import run_sink

GROUP = "audit"
FLUSH_BYTES = 16 * 1024 * 1024
"""So much is held in memory at most, but for a single larger record."""
FILE_BYTES = 4 * 1024 * 1024
"""So much goes into one file: a reader holds one of each partition."""
_RECORD_BYTES = 400
"""What a record costs in memory beside its content."""
_MOST_RECORDS = 5_000
_PRUNE_EVERY_S = 86_400.0
_TIMESTAMP_TYPES = {TIMESTAMP_CREATE_TIME: "create", TIMESTAMP_LOG_APPEND_TIME: "append"}

logger = logging.getLogger(__name__)


def run(config: WorkerConfig) -> int:
    """Run one worker of the group until SIGTERM or SIGINT: exit code 0. An archive that cannot be
    written: 1, and what was not archived is still to be read."""
    linger_s = float(config.settings.audit_flush_s)
    return run_sink(config, GROUP, AuditSink, LoopOptions(linger_s=linger_s))


def signature(what: str) -> str:
    """Who deletes from an archive: ``user@host, what``."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # an id without a name, as in containers
        user = "unknown"
    return f"{user}@{socket.gethostname()}, {what}"


class AuditSink:
    """Keeps records until there are enough, and has them archived."""

    server = "archive"
    unavailable: tuple[type[Exception], ...] = (ArchiveBusy,)

    def __init__(self, config: WorkerConfig) -> None:
        namespace = config.namespace.name
        self._archive = Archive(config.settings.archive_folder(namespace), namespace)
        self._retention_days = config.settings.audit_retention_days
        self._pruned_s = float("-inf")
        self._assigned: dict[tuple[str, int], Assigned] = {}
        self._records: dict[tuple[str, int], list[ArchivedRecord]] = {}
        self._bytes = 0
        self._bytes_a_record = float(FLUSH_BYTES)

    @property
    def appetite(self) -> int:
        """So many records as fill the memory if they are like those before."""
        room = FLUSH_BYTES - self._bytes
        if room <= 0:
            return 0
        return max(1, min(_MOST_RECORDS, int(room / self._bytes_a_record)))

    def prepare_store(self) -> None:
        self._archive.open()
        self._prune()

    def start_partitions(self, assigned: Sequence[Assigned]) -> Mapping[tuple[str, int], int]:
        """Every partition goes on where the archive ends, whatever was asked for by hand: behind
        it nothing may be missing, before it nothing may be twice."""
        self.drop_rows()
        self._assigned = {one.key: one for one in assigned}
        known = self._archive.positions()
        return {
            one.key: known.get((one.topic.id, one.partition), OFFSET_BEGINNING) for one in assigned
        }

    def add_records(self, records: Sequence[Message]) -> int:
        now_ms = time.time_ns() // 1_000_000
        before, count = self._bytes, 0
        for message in records:
            if count and self._bytes >= FLUSH_BYTES:
                break
            count += 1
            # Of a message without an error these are set.
            key = message.topic() or "", message.partition() or 0
            record = archived_record(message, self._assigned[key].base, now_ms)
            self._records.setdefault(key, []).append(record)
            self._bytes += cost(record)
        self._bytes_a_record = max(1.0, (self._bytes - before) / max(1, count))
        return count

    def flush_rows(self, reached: Mapping[tuple[str, int], int]) -> None:
        runs = [
            Run(assigned.topic.id, assigned.topic.partitions, part)
            for key, records in self._records.items()
            for assigned in (self._assigned[key],)
            for part in cut(records)
        ]
        if runs:
            written = self._archive.write(runs)
            metrics.ROWS.labels(GROUP, "file").inc(len(written))
            metrics.ROWS.labels(GROUP, "record").inc(sum(entry.records for entry in written))
        self.drop_rows()
        if time.monotonic() - self._pruned_s >= _PRUNE_EVERY_S:
            self._prune()

    def check_store(self) -> None:
        """An archive that was taken away ends the worker, at rest as well."""
        self._archive.check()

    def drop_rows(self) -> None:
        self._records = {}
        self._bytes = 0

    def _prune(self) -> None:
        pruned = self._archive.prune(self._retention_days, signature("worker"))
        self._pruned_s = time.monotonic()
        if pruned is not None:
            logger.warning("audit: %s", told(pruned))


def told(pruned: Pruned) -> str:
    """A deletion as a line."""
    return (
        f"deleted {pruned.files} files with {pruned.records} records, archived more than "
        f"{pruned.days} days ago; their entries stay"
    )


def archived_record(message: Message, base: str, now_ms: int) -> ArchivedRecord:
    """What a message is in the archive. ``base`` is its topic without namespace."""
    kind, stamp = message.timestamp()
    return ArchivedRecord(
        topic=base,
        partition=message.partition() or 0,
        offset=message.offset() or 0,
        timestamp=stamp,
        timestamp_type=_TIMESTAMP_TYPES.get(kind, "none"),
        archived=now_ms,
        key=message.key(),
        # The stubs allow str values; a consumer without deserialisers yields bytes.
        headers=message.headers() or (),  # type: ignore[arg-type]
        value=message.value(),
    )


def cost(record: ArchivedRecord) -> int:
    """Bytes that a record holds in memory, roughly."""
    headers = sum(len(name) + len(value or b"") for name, value in record.headers)
    return _RECORD_BYTES + len(record.key or b"") + headers + len(record.value or b"")


def cut(
    records: Sequence[ArchivedRecord], most_bytes: int = FILE_BYTES
) -> Iterator[Sequence[ArchivedRecord]]:
    """Consecutive parts with stamps of one day (in India) each, and of at most ``most_bytes`` if
    they are more than one record."""
    begin, size, day = 0, 0, None
    for at, record in enumerate(records):
        its_day, its_size = day_of(record.timestamp), cost(record)
        if at > begin and (its_day != day or size + its_size > most_bytes):
            yield records[begin:at]
            begin, size = at, 0
        day = its_day
        size += its_size
    if records:
        yield records[begin:]
