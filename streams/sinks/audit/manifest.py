"""The manifest of an audit archive as its writers share it: locked, read on, appended to."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from optionstream.schemas.errors import ArchiveError
from optionstream.schemas.files.audit_manifest import (
    MANIFEST,
    Chain,
    Entry,
    Pruned,
    Segment,
    complete_lines,
)
from optionstream.streams.sinks.loop.file_lock import locked


class ManifestLog:
    """The chain of the archive in ``folder``. ``open`` comes first, then everything wants the lock.

    Raises OSError when the file system refuses, ChainBroken when the chain is not intact,
    ArchiveError when the file was cut, replaced, or is another namespace's.
    """

    def __init__(self, folder: Path, namespace: str) -> None:
        self._folder = folder
        self._path = folder / MANIFEST
        self._namespace = namespace
        self._fd = -1
        self._chain = Chain()
        self._end = 0
        self.next: dict[tuple[str, int], int] = {}
        """Where each partition goes on, by topic id and partition."""
        self.through: int | None = None
        """The files up to this entry were pruned."""

    @property
    def entries(self) -> int:
        return self._chain.entries

    @property
    def head(self) -> str:
        """The hash of the last entry known here."""
        return self._chain.head

    def open(self) -> None:
        """Make the manifest if there is none; the folder exists."""
        if self._fd < 0:
            flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
            self._fd = os.open(self._path, flags, 0o644)

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def check(self) -> None:
        """The manifest is still where it was opened; wants no lock."""
        if self._path.stat().st_ino != os.fstat(self._fd).st_ino:
            raise ArchiveError(f"audit archive {self._folder}: its manifest was replaced")

    def segments(self) -> Iterator[Segment]:
        """Those known here, from the first one."""
        chain = Chain()
        with self._path.open("rb") as file:
            for line in complete_lines(file, self._end):
                entry = chain.follow(line)
                if isinstance(entry, Segment):
                    yield entry

    def append(self, entries: Sequence[Entry]) -> list[Entry]:
        """Add entries to the chain; they are durable when this returns, or not there."""
        chain = replace(self._chain)
        placed = [chain.extend(entry) for entry in entries]
        data = b"".join(line + b"\n" for _, line in placed)
        try:
            left = memoryview(data)
            while left:
                left = left[os.write(self._fd, left) :]
            os.fsync(self._fd)
        except OSError:
            os.ftruncate(self._fd, self._end)
            raise
        self._chain = chain
        self._end += len(data)
        for entry, _ in placed:
            self._note(entry)
        return [entry for entry, _ in placed]

    def catch_up(self, hashes: Collection[str] = ()) -> dict[str, Segment]:
        """Read what others appended; returns the segments whose file has one of the hashes."""
        found = {}
        size = os.fstat(self._fd).st_size
        if size < self._end:
            raise ArchiveError(f"audit archive {self._folder}: its manifest was cut")
        with self._path.open("rb") as file:
            file.seek(self._end)
            for line in complete_lines(file):
                entry = self._chain.follow(line)
                self._end += len(line) + 1
                self._note(entry)
                if isinstance(entry, Segment) and entry.sha256 in hashes:
                    found[entry.sha256] = entry
        if size > self._end:  # an append that a crash cut off
            os.ftruncate(self._fd, self._end)
        return found

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Alone with the manifest. Raises ArchiveBusy when somebody holds it for long."""
        with locked(self._fd, "the archive"):
            self.check()
            yield

    def _note(self, entry: Entry) -> None:
        if isinstance(entry, Segment):
            self.next[entry.key] = max(entry.last + 1, self.next.get(entry.key, 0))
        elif isinstance(entry, Pruned):
            self.through = entry.through
        elif entry.namespace != self._namespace:
            raise ArchiveError(
                f"audit archive {self._folder} is that of namespace {entry.namespace}, "
                f"not of {self._namespace}"
            )
