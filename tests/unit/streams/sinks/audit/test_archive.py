"""Writing the archive: once each, whatever ends the writer, whoever else writes."""

from __future__ import annotations

import errno
import fcntl
import multiprocessing
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from optionstream.producers.feeds.audit import archived_records
from optionstream.schemas.errors import ArchiveError
from optionstream.schemas.files.audit_manifest import MANIFEST, PARTIAL
from optionstream.schemas.files.audit_segment import ArchivedRecord, decode_records, encode_records
from optionstream.schemas.times import DAY_MS
from optionstream.streams.sinks.audit.archive import Archive
from optionstream.streams.sinks.audit.check import verify_archive
from optionstream.streams.sinks.audit.sink import cut
from optionstream.streams.sinks.loop import file_lock
from optionstream.streams.sinks.loop.contract import StartAgain
from optionstream.streams.sinks.loop.file_lock import ArchiveBusy
from tests.harness.records import OPEN_MS
from tests.unit.streams.sinks.audit.archives import (
    TOPIC_ID,
    Clock,
    archive_of,
    files,
    lines,
    opened,
    record,
    records_in,
    run_of,
    segments,
    write_all,
)

LOOSE = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


# -- files ----------------------------------------------------------------------------------------


@LOOSE
@given(
    st.lists(
        st.builds(
            ArchivedRecord,
            st.just("market.underlying"),
            st.integers(0, 5),
            st.integers(0, 2**62),
            st.integers(-1, 2**62),
            st.sampled_from(["create", "append", "none"]),
            st.integers(0, 2**62),
            st.none() | st.binary(max_size=20),
            st.lists(st.tuples(st.text(max_size=5), st.none() | st.binary(max_size=9)), max_size=4),
            st.none() | st.binary(max_size=50),
        ),
        max_size=8,
    )
)
def test_a_record_comes_back_from_its_file_as_it_was(records: list[ArchivedRecord]) -> None:
    assert list(decode_records(encode_records(records))) == records


def test_a_file_has_one_day_and_not_too_many_bytes() -> None:
    stamps = [0, 1, DAY_MS, DAY_MS + 1, 0, -1, 10**18, 2]
    records = [record(at, stamp=stamp) for at, stamp in enumerate(stamps)]
    parts = [[one.offset for one in part] for part in cut(records)]
    assert parts == [[0, 1], [2, 3], [4], [5, 6], [7]]
    large = [record(at, value=b"x" * 1_000) for at in range(10)]
    assert [len(part) for part in cut(large, 3_000)] == [2, 2, 2, 2, 2]
    assert [len(part) for part in cut(large, 10)] == [1] * 10
    assert list(cut([])) == []


def test_files_lie_by_date_and_topic_under_the_name_of_their_offsets(tmp_path: Path) -> None:
    archive = opened(tmp_path)
    write_all(archive, [record(0), record(1, stamp=OPEN_MS + DAY_MS), record(2, stamp=-1)])
    assert sorted(str(path.relative_to(tmp_path)) for path in files(tmp_path)) == [
        f"date=2025-10-27/topic=market.underlying/0-0-0-{TOPIC_ID}.parquet",
        f"date=2025-10-28/topic=market.underlying/0-1-1-{TOPIC_ID}.parquet",
        f"date=undated/topic=market.underlying/0-2-2-{TOPIC_ID}.parquet",
    ]


# -- whatever ends the writer ---------------------------------------------------------------------


class Killed(BaseException):
    """What stands for kill -9: no handler of ours catches it."""


@contextmanager
def killed_at(step: int) -> Iterator[Callable[[], int]]:
    """The ``step``-th call that changes the disk does not come back; a write is half done."""
    patch = pytest.MonkeyPatch()
    calls = 0

    def counted(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls == step:
                if real is write:
                    write(args[0], bytes(args[1])[: len(args[1]) // 2])
                raise Killed
            return real(*args, **kwargs)

        return call

    write = os.write
    patch.setattr(os, "write", counted(write))
    patch.setattr(os, "fsync", counted(os.fsync))
    patch.setattr(Path, "rename", counted(Path.rename))
    patch.setattr(Path, "unlink", counted(Path.unlink))
    patch.setattr(Path, "mkdir", counted(Path.mkdir))
    try:
        yield lambda: calls
    finally:
        patch.undo()


def one_life(folder: Path, end: int, a_flush: int) -> None:
    """A worker from its start until it has archived two partitions up to ``end``."""
    archive = opened(folder)
    try:
        at = archive.positions()
        while any(at.get((TOPIC_ID, part), 0) < end for part in (0, 1)):
            runs = []
            for part in (0, 1):
                first = at.get((TOPIC_ID, part), 0)
                some = [record(n, part) for n in range(first, min(end, first + a_flush))]
                runs += [run_of(some[:2]), run_of(some[2:])] if some[2:] else []
                runs += [run_of(some)] if some and not some[2:] else []
            archive.write(runs)
            at = archive.positions()
    finally:
        archive.close()


def test_killed_at_every_step_nothing_is_lost_and_nothing_is_twice(tmp_path: Path) -> None:
    step, steps = 0, 1
    while step < steps:
        step += 1
        folder = tmp_path / str(step)
        with killed_at(step) as calls:
            try:
                one_life(folder, end=8, a_flush=4)
                steps = calls()
            except Killed:
                steps = step + 1
        if (folder / MANIFEST).exists():
            between = verify_archive(folder)
            assert between.ok or between.entries == 0
        one_life(folder, end=8, a_flush=3)
        everything_is_there_once(folder, 8)
        assert not list((folder / PARTIAL).iterdir())
    assert steps > 20


@LOOSE
@given(st.lists(st.integers(1, 60), max_size=5), st.integers(3, 7))
def test_killed_again_and_again(
    tmp_path_factory: pytest.TempPathFactory, kills: list[int], a_flush: int
) -> None:
    folder = tmp_path_factory.mktemp("killed")
    for step in kills:
        with killed_at(step):
            try:
                one_life(folder, end=20, a_flush=a_flush)
            except Killed:
                continue
    one_life(folder, end=20, a_flush=a_flush)
    everything_is_there_once(folder, 20)


def everything_is_there_once(folder: Path, end: int) -> None:
    verdict = verify_archive(folder)
    assert verdict.ok, verdict.problems
    assert not verdict.unfinished
    found = sorted((one.partition, one.offset) for one in archived_records(folder))
    assert found == [(part, at) for part in (0, 1) for at in range(end)]


# -- whoever else writes --------------------------------------------------------------------------


def test_of_two_that_archive_the_same_records_one_has_to_begin_again(tmp_path: Path) -> None:
    one, other = opened(tmp_path), opened(tmp_path)
    one.write([run_of([record(0), record(1)])])
    with pytest.raises(StartAgain):
        other.write([run_of([record(1), record(2)]), run_of([record(0, partition=1)])])
    assert other.positions() == {(TOPIC_ID, 0): 2}
    assert not list((tmp_path / PARTIAL).iterdir())
    other.write([run_of([record(2)])])
    assert verify_archive(tmp_path).ok


def test_a_recreated_topic_has_offsets_of_its_own(tmp_path: Path) -> None:
    archive = opened(tmp_path)
    archive.write([run_of([record(0), record(1)])])
    archive.write([run_of([record(0)], topic_id="other")])
    assert archive.positions() == {(TOPIC_ID, 0): 2, ("other", 0): 1}
    assert verify_archive(tmp_path).ok


def test_a_start_beside_a_writer_takes_nothing_from_it(tmp_path: Path) -> None:
    """Its nameless file may go, then it begins again."""
    writer = opened(tmp_path)
    drafts = writer._drafts([run_of([record(0)])])
    opened(tmp_path)
    with pytest.raises(StartAgain):
        writer._commit(drafts)
    writer.write([run_of([record(0)])])
    assert verify_archive(tmp_path).records == 1


def contend(folder: Path, parts: tuple[int, int], count: int) -> None:
    """Archive partitions that another process archives as well."""
    archive = Archive(folder, "live")
    archive.open()
    for part in parts:
        at = 0
        while at < count:
            some = [record(n, part) for n in range(at, min(count, at + 1 + at % 3))]
            try:
                archive.write([run_of(some)])
                at += len(some)
            except (StartAgain, ArchiveBusy):
                at = archive.positions().get((TOPIC_ID, part), 0)


def test_processes_that_share_partitions_make_one_chain(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    workers = [
        context.Process(target=contend, args=(tmp_path, parts, 30)) for parts in ((0, 1), (1, 0))
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert [worker.exitcode for worker in workers] == [0] * 2
    everything_is_there_once(tmp_path, 30)


def test_a_lock_that_is_held_for_long_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_lock, "LOCK_WAIT_S", 0.05)
    archive = opened(tmp_path)
    with (tmp_path / MANIFEST).open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(ArchiveBusy):
            archive.write([run_of([record(0)])])
    assert archive.write([run_of([record(0)])])


# -- a place that cannot be written, a chain that was changed -------------------------------------


@pytest.mark.parametrize("where", ["file", "manifest"])
def test_a_full_disk_is_one_clear_error_and_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    archive_of(tmp_path, flushes=1)
    archive = opened(tmp_path)
    before = lines(tmp_path)
    real = os.write

    def full(fd: int, data: bytes) -> int:
        real(fd, bytes(data)[:7])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    if where == "manifest":
        monkeypatch.setattr(os, "write", full)
    else:
        monkeypatch.setattr(os, "fsync", lambda fd: full(fd, b""))
    with pytest.raises(ArchiveError, match=f"{tmp_path}: No space left on device"):
        archive.write([run_of([record(10)])])
    monkeypatch.undo()
    assert lines(tmp_path) == before
    archive.close()
    again = opened(tmp_path)
    assert again.positions()[TOPIC_ID, 0] == 10
    again.write([run_of([record(10)])])
    assert verify_archive(tmp_path).ok
    assert not list((tmp_path / PARTIAL).iterdir())


def test_a_place_that_is_no_folder_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "live").write_text("")
    with pytest.raises(ArchiveError, match="live"):
        opened(tmp_path / "live")


def test_a_chain_that_was_changed_is_not_extended(tmp_path: Path) -> None:
    archive_of(tmp_path)
    some = lines(tmp_path)
    some[2] = some[2].replace(b'"records":10', b'"records":11')
    (tmp_path / MANIFEST).write_bytes(b"".join(line + b"\n" for line in some))
    with pytest.raises(ArchiveError, match=r"entry 3 of the manifest .* audit verify"):
        opened(tmp_path)


def test_a_manifest_that_is_cut_replaced_or_anothers_is_refused(tmp_path: Path) -> None:
    archive_of(tmp_path / "live")
    archive = opened(tmp_path / "live")
    os.truncate(tmp_path / "live" / MANIFEST, 100)
    with pytest.raises(ArchiveError, match="was cut"):
        archive.positions()
    (tmp_path / "live" / MANIFEST).unlink()
    with pytest.raises(ArchiveError, match="No such file"):
        archive.check()
    archive_of(tmp_path / "new")
    (tmp_path / "new" / MANIFEST).rename(tmp_path / "live" / MANIFEST)
    for look in (archive.positions, archive.check):
        with pytest.raises(ArchiveError, match="was replaced"):
            look()
    with pytest.raises(ArchiveError, match="of namespace live, not of monday"):
        Archive(tmp_path / "live", "monday").open()


# -- retention ------------------------------------------------------------------------------------


def test_a_rule_deletes_what_was_archived_long_ago_by_an_entry_that_says_so(
    tmp_path: Path,
) -> None:
    clock = Clock()
    archive = opened(tmp_path, clock)
    archive.write([run_of([record(0)]), run_of([record(1)])])
    clock.days_pass(5)
    archive.write([run_of([record(2)])])
    assert archive.prune(10, "me") is None
    clock.days_pass(6)
    told = archive.prune(10, "me", dry_run=True)
    assert told is not None
    assert (told.files, told.records, told.through) == (2, 2, 2)
    assert len(files(tmp_path)) == 3
    done = archive.prune(10, "me")
    assert done is not None
    assert (done.files, done.records, done.days, done.by, done.seq) == (2, 2, 10, "me", 4)
    assert [one.offset for path in files(tmp_path) for one in records_in(path)] == [2]
    assert archive.prune(10, "me") is None
    assert [one.offset for one in archived_records(tmp_path)] == [2]
    assert archive.positions() == {(TOPIC_ID, 0): 3}
    clock.days_pass(6)
    assert archive.prune(10, "me") is not None
    assert not list(tmp_path.glob("date=*"))
    assert verify_archive(tmp_path).ok


def test_a_deletion_that_a_crash_cut_short_is_finished_by_the_next(tmp_path: Path) -> None:
    clock = Clock()
    archive = opened(tmp_path, clock)
    archive.write([run_of([record(0)]), run_of([record(1)])])
    clock.days_pass(11)
    with killed_at(3), pytest.raises(Killed):
        archive.prune(10, "me")
    archive.close()
    assert len(segments(tmp_path)) == 2
    assert len(files(tmp_path)) == 2
    assert verify_archive(tmp_path).ok
    again = opened(tmp_path, clock)
    assert again.prune(10, "me") is None
    assert files(tmp_path) == []
    assert verify_archive(tmp_path).ok
