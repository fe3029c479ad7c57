"""Writing an audit archive: files, and the chain of entries that vouches for them.

All workers of a namespace write into one archive and one chain, each under the lock of the
manifest:

1. write each file under ``partial/`` and sync it (nobody sees it);
2. take the lock, and look whether the records still follow on what the chain has of their
   partition. They do not when another worker was faster: `StartAgain`;
3. append the files' entries and sync: this decides;
4. give the files their names.

A crash before 3 leaves a nameless file without an entry, which the next start deletes; after 3, one
with an entry, which the next start names. What was not archived is read again from Kafka, because
reading goes on where the chain ends.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from uuid import uuid4

from optionstream.schemas.errors import ArchiveError
from optionstream.schemas.files.audit_manifest import (
    PARTIAL,
    ChainBroken,
    Entry,
    Opened,
    Pruned,
    Segment,
    day_of,
    partial_files,
    segment_path,
)
from optionstream.schemas.files.audit_segment import ArchivedRecord, encode_records
from optionstream.schemas.times import DAY_MS
from optionstream.streams.sinks.audit.manifest import ManifestLog
from optionstream.streams.sinks.loop.contract import StartAgain
from optionstream.streams.sinks.loop.file_lock import ArchiveBusy, sync_folder

_TAKEN = "another worker archived the same records"
_CLEARED = "another worker cleared a file away before it had its entry"


@dataclass(frozen=True, slots=True)
class Run:
    """Consecutive records of one partition that become one file; at least one."""

    topic_id: str
    partitions: int
    records: Sequence[ArchivedRecord]


class Archive:
    """The archive of one namespace in ``folder``. ``open`` comes first.

    Every method raises ArchiveError when the place cannot be written or the chain is not intact,
    ArchiveBusy when somebody holds the lock for long. ``now_ms`` is the archive's clock.
    """

    def __init__(
        self,
        folder: Path,
        namespace: str,
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        self.folder = folder
        self._namespace = namespace
        self._now_ms = now_ms
        self._log = ManifestLog(folder, namespace)

    @property
    def head(self) -> str:
        """The hash of the last entry that this process knows."""
        return self._log.head

    def open(self, recover: bool = True) -> None:
        """Make the archive if there is none, and finish what a crash left half-done unless not to
        ``recover``: it costs whoever is just writing a second attempt."""
        with self._explained():
            (self.folder / PARTIAL).mkdir(parents=True, exist_ok=True)
            self._log.open()
            with self._log.locked():
                nameless = partial_files(self.folder) if recover else []
                committed = self._log.catch_up({path.name[:64] for path in nameless})
                if self._log.entries == 0:
                    self._log.append([Opened(at=self._now_ms(), namespace=self._namespace)])
                    sync_folder(self.folder)
                self._settle([(path, committed.get(path.name[:64])) for path in nameless])

    def close(self) -> None:
        self._log.close()

    def check(self) -> None:
        """The archive is still where it was."""
        with self._explained():
            self._log.check()

    def positions(self) -> dict[tuple[str, int], int]:
        """Where each partition goes on, by topic id and partition."""
        with self._explained(), self._log.locked():
            self._log.catch_up()
            return dict(self._log.next)

    def write(self, runs: Sequence[Run]) -> list[Segment]:
        """Archive the runs, all of them or none; returns their entries.

        Raises StartAgain when the records do not follow on what is archived.
        """
        with self._explained():
            drafts = self._drafts(runs)
            try:
                return self._commit(drafts)
            except (StartAgain, ArchiveBusy):
                for partial, _ in drafts:
                    partial.unlink(missing_ok=True)
                raise

    def prune(self, days: int, by: str, dry_run: bool = False) -> Pruned | None:
        """Delete the files archived more than ``days`` ago, by an entry of the chain that says so.

        Returns that entry; None when there was nothing to delete. ``dry_run`` only tells.
        """
        with self._explained():
            with self._log.locked():
                self._log.catch_up()
                entry: Entry | None = self._expired(days, by)
                if entry is not None and not dry_run:
                    (entry,) = self._log.append([entry])
            if not dry_run:
                self._delete_pruned()
        assert entry is None or isinstance(entry, Pruned)
        return entry

    # -- files ------------------------------------------------------------------------------

    def _drafts(self, runs: Sequence[Run]) -> list[tuple[Path, Segment]]:
        drafts: list[tuple[Path, Segment]] = []
        try:
            for run in runs:
                body = encode_records(run.records)
                segment = self._segment(run, body)
                partial = self.folder / PARTIAL / f"{segment.sha256}-{uuid4().hex[:8]}"
                drafts.append((partial, segment))
                with partial.open("xb") as file:
                    file.write(body)
                    file.flush()
                    os.fsync(file.fileno())
            sync_folder(self.folder / PARTIAL)
        except OSError:
            for partial, _ in drafts:
                partial.unlink(missing_ok=True)
            raise
        return drafts

    def _segment(self, run: Run, body: bytes) -> Segment:
        one, end = run.records[0], run.records[-1]
        day = day_of(one.timestamp)
        return Segment(
            at=self._now_ms(),
            path=segment_path(day, one.topic, one.partition, one.offset, end.offset, run.topic_id),
            sha256=sha256(body).hexdigest(),
            bytes=len(body),
            topic=one.topic,
            topic_id=run.topic_id,
            partition=one.partition,
            partitions=run.partitions,
            first=one.offset,
            last=end.offset,
            records=len(run.records),
        )

    def _commit(self, drafts: Sequence[tuple[Path, Segment]]) -> list[Segment]:
        with self._log.locked():
            self._log.catch_up()
            for partial, segment in drafts:
                if segment.first < self._log.next.get(segment.key, 0):
                    raise StartAgain(_TAKEN)
                if not partial.exists():
                    raise StartAgain(_CLEARED)
            placed = self._log.append([segment for _, segment in drafts])
            self._settle(drafts)
        return [entry for entry in placed if isinstance(entry, Segment)]

    def _settle(self, files: Sequence[tuple[Path, Segment | None]]) -> None:
        """Give files their names; one without an entry is deleted."""
        touched = {self.folder}
        for partial, segment in files:
            final = None if segment is None else self.folder / segment.path
            if final is None:
                partial.unlink(missing_ok=True)  # its writer may be quicker
                continue
            final.parent.mkdir(parents=True, exist_ok=True)
            partial.rename(final)
            touched |= {final.parent, final.parent.parent}
        for folder in touched:
            sync_folder(folder)

    def _expired(self, days: int, by: str) -> Pruned | None:
        now_ms = self._now_ms()
        files, records, through = 0, 0, 0
        for entry in self._log.segments():
            if self._log.through is not None and entry.seq <= self._log.through:
                continue
            if entry.at >= now_ms - days * DAY_MS:
                break
            files, records, through = files + 1, records + entry.records, entry.seq
        if not files:
            return None
        return Pruned(at=now_ms, through=through, days=days, files=files, records=records, by=by)

    def _delete_pruned(self) -> None:
        """Also what an earlier process did not come to."""
        if self._log.through is None:
            return
        folders = set()
        for entry in self._log.segments():
            if entry.seq > self._log.through:
                break
            path = self.folder / entry.path
            path.unlink(missing_ok=True)
            folders.add(path.parent)
        for folder in folders:
            _remove_if_empty(folder)
            _remove_if_empty(folder.parent)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """What the file system refuses, and a chain that is broken, as one line."""
        where = f"audit archive {self.folder}"
        try:
            yield
        except OSError as error:
            at = f" ({error.filename})" if error.filename else ""
            raise ArchiveError(f"{where}: {error.strerror or error}{at}") from error
        except ChainBroken as error:
            raise ArchiveError(
                f"{where}: {error}: somebody changed it. `optionstream audit verify {self.folder}` "
                f"tells more; move the folder away to begin another archive"
            ) from None


def _remove_if_empty(folder: Path) -> None:
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()
