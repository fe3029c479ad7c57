"""The folder of a namespace's features: one file a date and product, and where reading goes on.

    date=2026-01-06/NIFTY.parquet   all revisions of the day's rows
    positions.json                  by topic id and partition the next offset; bars without a row
    lock, partial/                  the writers' lock; files on their way

A write holds the lock: read the file, add what is new (``merge_rows``), replace it. Positions
follow the rows, so a crash in between makes the same rows again, and these change nothing.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import msgspec
from msgspec import Struct

from optionstream.schemas.errors import ArchiveError
from optionstream.schemas.files.feature_file import decode_rows, encode_rows
from optionstream.schemas.files.feature_rows import LOCK, PARTIAL, POSITIONS, Row, file_path
from optionstream.schemas.times import ist_date
from optionstream.streams.core.features.join import merge_rows
from optionstream.streams.sinks.loop.file_lock import locked, sync_folder

Place = tuple[str, int]
"""A topic's id and a partition."""


class Positions(Struct):
    """``offsets`` by ``<topic id>/<partition>``; ``waiting``: by product, bars without a row."""

    offsets: dict[str, int] = {}
    waiting: dict[str, int] = {}


class FeatureStore:
    """The files in ``folder``; ``open`` comes first.

    Raises ArchiveError: the folder cannot be written, or holds what is no file of features;
    ArchiveBusy when somebody holds the lock for long.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._fd = -1

    def open(self) -> None:
        """Make the folder; what writers that died left half-written goes. May be called again."""
        with self._explained():
            (self.folder / PARTIAL).mkdir(parents=True, exist_ok=True)
            if self._fd < 0:
                flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
                self._fd = os.open(self.folder / LOCK, flags, 0o644)
        with self._alone():
            for path in (self.folder / PARTIAL).iterdir():
                path.unlink()  # who writes holds the lock

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def check_folder(self) -> None:
        """The folder is still the one that was opened."""
        with self._explained():
            if (self.folder / LOCK).stat().st_ino != os.fstat(self._fd).st_ino:
                raise ArchiveError(f"features {self.folder}: the folder was replaced")

    def read_offsets(self) -> dict[Place, int]:
        """Where each partition goes on, by topic id and partition."""
        with self._alone():
            stored = self._stored()
        return {_place(name): offset for name, offset in stored.offsets.items()}

    def write_rows(
        self, made: Sequence[Row], offsets: Mapping[Place, int], waiting: Mapping[str, int]
    ) -> int:
        """Keep what is new of the rows, then the positions; durable when it returns. Returns how
        many rows were new."""
        with self._alone():
            added = sum(self._add(path, rows) for path, rows in _by_file(made).items())
            self._note(offsets, waiting)
        return added

    def _add(self, path: str, made: Sequence[Row]) -> int:
        final = self.folder / path
        stored = decode_rows(final) if final.exists() else []
        rows = merge_rows(stored, made)
        if len(rows) > len(stored):
            self._replace(final, encode_rows(rows))
        return len(rows) - len(stored)

    def _note(self, offsets: Mapping[Place, int], waiting: Mapping[str, int]) -> None:
        before = self._stored()
        moved = {f"{topic_id}/{partition}": at for (topic_id, partition), at in offsets.items()}
        counts = before.waiting | dict(waiting)
        after = Positions(
            offsets=dict(sorted((before.offsets | moved).items())),
            waiting={name: count for name, count in sorted(counts.items()) if count},
        )
        if after != before:
            self._replace(self.folder / POSITIONS, msgspec.json.encode(after))

    def _stored(self) -> Positions:
        return read_positions(self.folder)

    def _replace(self, final: Path, body: bytes) -> None:
        partial = self.folder / PARTIAL / uuid4().hex
        try:
            with partial.open("xb") as file:
                file.write(body)
                file.flush()
                os.fsync(file.fileno())
            final.parent.mkdir(parents=True, exist_ok=True)
            partial.replace(final)
        except OSError:
            partial.unlink(missing_ok=True)
            raise
        sync_folder(final.parent)
        sync_folder(self.folder)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        with self._explained(), locked(self._fd, f"features {self.folder}"):
            self.check_folder()
            yield

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """What the file system refuses, as one line."""
        try:
            yield
        except OSError as error:
            at = f" ({error.filename})" if error.filename else ""
            why = error.strerror or error
            raise ArchiveError(f"features {self.folder}: {why}{at}") from error


def read_positions(folder: Path) -> Positions:
    """What a folder says of its own progress; nothing where nobody has written yet."""
    path = folder / POSITIONS
    try:
        return msgspec.json.decode(path.read_bytes(), type=Positions)
    except FileNotFoundError:
        return Positions()
    except msgspec.DecodeError as error:
        raise ArchiveError(
            f"{path}: {error}: delete it, and the worker reads again what the topics keep"
        ) from None


def _by_file(rows: Sequence[Row]) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(file_path(ist_date(row["start"]), row["product"]), []).append(row)
    return found


def _place(name: str) -> Place:
    topic_id, _, partition = name.rpartition("/")
    return topic_id, int(partition)
