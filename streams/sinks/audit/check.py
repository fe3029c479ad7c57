"""Looking whether an audit archive is still what was written.

Two walks along the manifest, in constant memory: the chain of entries (does each carry the hash of
the one before it, is the head among them, what was pruned), then the files (hash, records, offsets;
what is there without an entry). What the archive gets meanwhile is not looked at.
"""

from __future__ import annotations

import fcntl
import os
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import msgspec

from optionstream.schemas.errors import ArchiveError, UsageError
from optionstream.schemas.files.audit_manifest import (
    MANIFEST,
    PARTIAL,
    Chain,
    ChainBroken,
    Entry,
    Opened,
    Pruned,
    Segment,
    complete_lines,
    segment_file,
    segment_path,
)
from optionstream.schemas.files.audit_segment import read_places
from optionstream.schemas.times import DAY_MS, rfc3339
from optionstream.streams.sinks.audit.apart import EndedError, apart

SHOWN: Final = 1_000
"""Problems kept; all are counted."""
_CHUNK: Final = 1 << 20

Tell = Callable[[int, int], None]
"""Told the bytes read so far, and how many there are."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One way in which the archive is not what was written.

    ``kind``: ``chain`` (an entry does not follow), ``head`` (the head given is no entry's),
    ``changed``, ``missing`` and ``added`` (a file), ``records`` (a file's content is not what its
    entry says), ``repeated`` (offsets archived before), ``pruned_early``.
    """

    kind: str
    where: str
    detail: str


@dataclass(slots=True)
class Verdict:
    """What was found. ``bytes`` are those of the files; times are UTC epoch ms."""

    folder: Path
    namespace: str | None = None
    head: str = ""
    entries: int = 0
    files: int = 0
    records: int = 0
    bytes: int = 0
    first_at: int | None = None
    last_at: int | None = None
    after_head: int | None = None
    """Entries behind the head that was given; None when none was given, or it was not found."""
    not_in_topic: int = 0
    """Offsets between the first and the last of a partition for which Kafka had no record."""
    unfinished: bool = False
    """The manifest ends in an append that was cut off; the next start of a worker removes it."""
    pruned: list[Pruned] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    """Problems by kind."""

    @property
    def ok(self) -> bool:
        return not self.counts

    def row(self) -> dict[str, Any]:
        """``audit verify --json``."""
        row: dict[str, Any] = msgspec.to_builtins(self, enc_hook=str)
        return row | {
            "ok": self.ok,
            "first_at": None if self.first_at is None else rfc3339(self.first_at),
            "last_at": None if self.last_at is None else rfc3339(self.last_at),
        }

    def add(self, kind: str, where: object, detail: str) -> None:
        self.counts[kind] += 1
        if len(self.problems) < SHOWN:
            self.problems.append(Problem(kind, str(where), detail))


def verify_archive(folder: Path, head: str | None = None, tell: Tell | None = None) -> Verdict:
    """Look through the archive in ``folder``. ``head``: the hash of an entry, written down earlier;
    the chain up to it must be the one of that time.

    Raises UsageError when there is no archive.
    """
    verdict = Verdict(folder)
    end, on_disk = _extent(folder)
    _walk_chain(verdict, end, head)
    listed = _walk_files(verdict, end, tell or (lambda done, total: None))
    if listed != on_disk:
        _name_added(verdict)
    return verdict


def _extent(folder: Path) -> tuple[int, int]:
    """The manifest's size and the number of files with a name, at one moment."""
    try:
        with (folder / MANIFEST).open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH)
            return os.fstat(file.fileno()).st_size, sum(1 for _ in _named_files(folder))
    except OSError as error:
        why = error.strerror or str(error)
        raise no_archive(folder, f"{MANIFEST}: {why}") from None


def no_archive(folder: Path, why: str) -> UsageError:
    """The complaint about a folder without a manifest."""
    return UsageError(
        f"{folder}: no audit archive there ({why}); `optionstream worker audit` makes one"
    )


def _named_files(folder: Path) -> Iterator[Path]:
    """Everything that an entry has to tell of."""
    for at, folders, names in os.walk(folder):
        top = Path(at) == folder
        if top and PARTIAL in folders:
            folders.remove(PARTIAL)
        yield from (Path(at, name) for name in names if not (top and name == MANIFEST))


# -- the chain ----------------------------------------------------------------------------------


def _walk_chain(verdict: Verdict, end: int, head: str | None) -> None:
    chain, read = Chain(), 0
    for line in _lines(verdict.folder, end):
        read += len(line) + 1
        entry: Entry | None
        try:
            entry = chain.follow(line)
        except ChainBroken as error:
            entry = error.entry
            verdict.add("chain", f"entry {error.number}", error.why)
        if head is not None and chain.head == head:
            verdict.after_head = -chain.entries
        if isinstance(entry, Opened):
            verdict.namespace = entry.namespace
        elif isinstance(entry, Pruned):
            verdict.pruned.append(entry)
    verdict.entries, verdict.head = chain.entries, chain.head
    verdict.unfinished = read < end
    if verdict.after_head is not None:
        verdict.after_head += chain.entries
    elif head is not None:
        verdict.add("head", head, "no entry has this hash: the chain was rewritten or cut")
    if chain.entries == 0:
        verdict.add("chain", MANIFEST, "has no entry")


def _lines(folder: Path, end: int) -> Iterator[bytes]:
    with (folder / MANIFEST).open("rb") as file:
        yield from complete_lines(file, end)


def _segments(folder: Path, end: int) -> Iterator[Segment]:
    """Also those whose place in the chain is wrong."""
    chain = Chain()
    for line in _lines(folder, end):
        try:
            entry: Entry | None = chain.follow(line)
        except ChainBroken as error:
            entry = error.entry
        if isinstance(entry, Segment):
            yield entry


# -- the files ----------------------------------------------------------------------------------


def _walk_files(verdict: Verdict, end: int, tell: Tell) -> int:
    """Returns how many of the entries' files have their name."""
    total = sum(entry.bytes for entry in _segments(verdict.folder, end))
    throughs = [entry.through for entry in verdict.pruned]
    reached: dict[tuple[str, int], int] = {}
    named = done = 0
    for entry in _segments(verdict.folder, end):
        done += entry.bytes
        tell(done, total)
        if not _at_its_place(entry):
            verdict.add("records", entry.path, f"entry {entry.seq} calls for another path")
            continue
        _check_offsets(verdict, entry, reached)
        path = segment_file(verdict.folder, entry)
        there = path.is_file()
        named += there and path.parent.name != PARTIAL
        rule = bisect_left(throughs, entry.seq)
        if rule < len(throughs):
            _check_rule(verdict, entry, verdict.pruned[rule])
        elif not there and entry.seq > _pruned_since(verdict.folder, end):
            verdict.add("missing", entry.path, f"{entry.records} records, entry {entry.seq}")
        if there:
            _check_file(verdict, entry, path)
    return named


def _at_its_place(entry: Segment) -> bool:
    own = segment_path(
        None, entry.topic, entry.partition, entry.first, entry.last, entry.topic_id
    ).split("/")
    date, *rest = entry.path.split("/")
    return date.startswith("date=") and rest == own[1:]


def _pruned_since(folder: Path, end: int) -> int:
    """The files up to which entry a rule deleted while we looked; -1: none."""
    through = -1
    with (folder / MANIFEST).open("rb") as file:
        file.seek(end)
        for line in complete_lines(file):
            try:
                Chain().follow(line)
            except ChainBroken as error:  # its chain began elsewhere
                if isinstance(error.entry, Pruned):
                    through = error.entry.through
    return through


def _check_offsets(verdict: Verdict, entry: Segment, reached: dict[tuple[str, int], int]) -> None:
    at = min(entry.at, verdict.first_at or entry.at), max(entry.at, verdict.last_at or entry.at)
    verdict.first_at, verdict.last_at = at
    expected = reached.get(entry.key, entry.first)
    if entry.first < expected:
        detail = f"offsets from {entry.first}, but those below {expected} are in files before it"
        verdict.add("repeated", entry.path, detail)
    verdict.not_in_topic += max(0, entry.first - expected)
    verdict.not_in_topic += entry.last - entry.first + 1 - entry.records
    reached[entry.key] = max(expected, entry.last + 1)


def _check_rule(verdict: Verdict, entry: Segment, rule: Pruned) -> None:
    if entry.at > rule.at - rule.days * DAY_MS:
        detail = f"entry {entry.seq} was not yet {rule.days} days old at entry {rule.seq}"
        verdict.add("pruned_early", entry.path, detail)


def _check_file(verdict: Verdict, entry: Segment, path: Path) -> None:
    verdict.files += 1
    verdict.records += entry.records
    try:
        digest, size = _hash(path)
    except OSError as error:
        verdict.add("missing", entry.path, error.strerror or str(error))
        return
    verdict.bytes += size
    if digest == entry.sha256 and size == entry.bytes:
        fault = _fault(entry, path)
        if fault is not None:
            verdict.add("records", entry.path, fault)
        return
    about = _fault_apart(entry, path)
    sizes = "" if size == entry.bytes else f"{size} bytes instead of {entry.bytes}; "
    verdict.add("changed", entry.path, f"{sizes}{about}")


def _fault_apart(entry: Segment, path: Path) -> str:
    """The same of a file that is known to be changed, which may end the process that reads it."""
    try:
        return apart(_fault, entry, path) or (
            "as many records at the same offsets, with other content"
        )
    except EndedError:
        return "no archive file: reading it ends the reader"


def _hash(path: Path) -> tuple[str, int]:
    digest, size = sha256(), 0
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
            size += len(chunk)
    return digest.hexdigest(), size


def _fault(entry: Segment, path: Path) -> str | None:
    """In what the file's records are not those its entry tells of."""
    try:
        places = read_places(path)
    except ArchiveError as error:
        return str(error)
    if places.height != entry.records:
        return f"{places.height} records instead of {entry.records}"
    offsets = places["offset"]
    if places.height and (offsets[0], offsets[-1]) != (entry.first, entry.last):
        return f"offsets {offsets[0]} to {offsets[-1]} instead of {entry.first} to {entry.last}"
    if not bool((offsets.diff().drop_nulls() > 0).all()):
        return "offsets that do not rise"
    if not bool(
        ((places["topic"] == entry.topic) & (places["partition"] == entry.partition)).all()
    ):
        return f"records of another place than {entry.topic}/{entry.partition}"
    return None


def _name_added(verdict: Verdict) -> None:
    """Find the files without an entry, at one moment of its own; only looked for when the numbers
    differ, because it takes memory by the number of files."""
    with (verdict.folder / MANIFEST).open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_SH)
        end = os.fstat(file.fileno()).st_size
        entries = {entry.path for entry in _segments(verdict.folder, end)}
        for path in sorted(_named_files(verdict.folder)):
            if str(path.relative_to(verdict.folder)) not in entries:
                verdict.add("added", path.relative_to(verdict.folder), "no entry tells of it")
