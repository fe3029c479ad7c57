"""``audit verify``: whatever is done to an archive is found."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from multiprocessing import parent_process
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from optionstream.schemas.errors import UsageError
from optionstream.schemas.files.audit_manifest import MANIFEST, Entry, Segment
from optionstream.schemas.files.audit_segment import encode_records
from optionstream.streams.sinks.audit import check
from optionstream.streams.sinks.audit.check import Verdict, verify_archive
from tests.harness.cli import run
from tests.unit.streams.sinks.audit.archives import (
    Change,
    Clock,
    archive_of,
    change_record,
    files,
    lines,
    opened,
    put_lines,
    record,
    records_in,
    refreshed,
    rewrite_chain,
    run_of,
    segments,
)

MEGABYTES = int(os.environ.get("OPTIONSTREAM_TEST_ARCHIVE_MB", "50"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    archive_of(tmp_path / "live")
    return tmp_path / "live"


def kinds(verdict: Verdict) -> set[str]:
    return set(verdict.counts)


def test_an_archive_as_written_is_intact(tmp_path: Path) -> None:
    head = archive_of(tmp_path, flushes=3, a_flush=10)
    verdict = verify_archive(tmp_path)
    assert verdict.ok, verdict.problems
    assert verdict.head == head
    assert (verdict.entries, verdict.files, verdict.records) == (7, 6, 60)
    assert verdict.bytes == sum(path.stat().st_size for path in files(tmp_path))
    assert verdict.namespace == "live"
    assert not verdict.not_in_topic


def flip(path: Path, at: int) -> None:
    body = bytearray(path.read_bytes())
    body[at] ^= 1
    path.write_bytes(body)


def swap(one: Path, other: Path) -> None:
    here, there = one.read_bytes(), other.read_bytes()
    one.write_bytes(there)
    other.write_bytes(here)


def without(path: Path, offset: int) -> None:
    path.write_bytes(encode_records([one for one in records_in(path) if one.offset != offset]))


def with_one_more(path: Path) -> None:
    path.write_bytes(encode_records([*records_in(path), record(99)]))


FILE_CHANGES: dict[str, tuple[Change, set[str], str]] = {
    "a byte flipped": (lambda at: flip(files(at)[2], 700), {"changed"}, ""),
    "truncated": (
        lambda at: os.truncate(files(at)[2], 500),
        {"changed"},
        "500 bytes instead of",
    ),
    "emptied": (lambda at: os.truncate(files(at)[2], 0), {"changed"}, "0 bytes instead of"),
    "no Parquet": (
        lambda at: files(at)[2].write_bytes(b"x") and None,
        {"changed"},
        "not an archive file",
    ),
    "removed": (lambda at: files(at)[2].unlink(), {"missing"}, "10 records"),
    "added": (
        lambda at: shutil.copy(files(at)[2], files(at)[2].with_name("7-0-9-x.parquet")) and None,
        {"added"},
        "no entry",
    ),
    "anything else added": (
        lambda at: (at / "notes.txt").write_text("x") and None,
        {"added"},
        "no entry",
    ),
    "renamed": (
        lambda at: files(at)[2].rename(files(at)[2].with_name("9-9-9-x.parquet")) and None,
        {"missing", "added"},
        "",
    ),
    "two swapped": (lambda at: swap(files(at)[0], files(at)[1]), {"changed"}, ""),
    "a record changed": (
        lambda at: change_record(files(at)[0], records_in(files(at)[0])[4].offset),
        {"changed"},
        "with other content",
    ),
    "a record removed": (
        lambda at: without(files(at)[0], records_in(files(at)[0])[4].offset),
        {"changed"},
        "9 records instead of 10",
    ),
    "a record added": (
        lambda at: with_one_more(files(at)[0]),
        {"changed"},
        "11 records instead of 10",
    ),
}


@pytest.mark.parametrize("name", FILE_CHANGES)
def test_a_changed_missing_or_added_file_or_record_is_found(folder: Path, name: str) -> None:
    change, expected, detail = FILE_CHANGES[name]
    change(folder)
    verdict = verify_archive(folder)
    assert kinds(verdict) == expected
    assert any(detail in problem.detail for problem in verdict.problems), verdict.problems
    assert verdict.counts.total() == len(expected) + (name == "two swapped")


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_any_flipped_bit_of_any_file_is_found(folder: Path, data: st.DataObject) -> None:
    path = data.draw(st.sampled_from([*files(folder), folder / MANIFEST]))
    before = path.read_bytes()
    at = data.draw(st.integers(0, len(before) - 1))
    body = bytearray(before)
    body[at] ^= 1 << data.draw(st.integers(0, 7))
    head = verify_archive(folder).head
    path.write_bytes(body)
    try:
        verdict = verify_archive(folder, head)
        assert not verdict.ok
        if path.name != MANIFEST:
            assert [problem.where for problem in verdict.problems] == [
                str(path.relative_to(folder))
            ]
    finally:
        path.write_bytes(before)


def ends_the_reader(_entry: object, _path: Path) -> str | None:
    if parent_process() is not None:
        os.abort()
    return None


def test_a_changed_file_that_ends_its_reader_is_named(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(check, "_fault", ends_the_reader)
    path = files(folder)[0]
    path.write_bytes(path.read_bytes() + b"?")
    (problem,) = verify_archive(folder).problems
    assert (problem.kind, problem.where) == ("changed", str(path.relative_to(folder)))
    assert problem.detail.endswith("no archive file: reading it ends the reader")


def reordered(some: list[bytes]) -> list[bytes]:
    return [*some[:2], some[3], some[2], *some[4:]]


def edited(some: list[bytes]) -> list[bytes]:
    return [line.replace(b'"records":10', b'"records":9') if n == 2 else line
            for n, line in enumerate(some)]  # fmt: skip


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (reordered, {"chain"}),
        (edited, {"chain", "records"}),
        (lambda some: [*some[:2], *some[3:]], {"chain", "added"}),
        (lambda some: some[1:], {"chain"}),
        (lambda some: [*some, some[-1]], {"chain", "repeated"}),
        (lambda some: [*some[:3], b"no json", *some[4:]], {"chain", "added"}),
        (lambda some: [], {"chain", "added"}),
    ],
    ids=["reordered", "edited", "left out", "no first", "twice", "damaged", "emptied"],
)
def test_a_change_of_the_manifest_breaks_the_chain(folder: Path, change, expected) -> None:  # type: ignore[no-untyped-def]
    put_lines(folder, change(lines(folder)))
    assert kinds(verify_archive(folder)) == expected


def test_a_chain_written_anew_as_a_whole_is_found_with_the_head(folder: Path) -> None:
    head = verify_archive(folder).head
    change_record(files(folder)[0], records_in(files(folder)[0])[4].offset)
    rewrite_chain(folder, refreshed(folder))
    forged = verify_archive(folder)
    assert forged.ok
    assert forged.head != head
    verdict = verify_archive(folder, head)
    assert kinds(verdict) == {"head"}
    assert verdict.after_head is None


def test_a_chain_cut_at_its_end_is_found_with_the_head(folder: Path) -> None:
    head = verify_archive(folder).head
    last = segments(folder)[-1]
    put_lines(folder, lines(folder)[:-1])
    (folder / last.path).unlink()
    assert verify_archive(folder).ok
    assert kinds(verify_archive(folder, head)) == {"head"}


def test_a_careless_forger_is_found_without_the_head(folder: Path) -> None:
    """Every hash is right, but the entry does not tell what is in the file."""
    without(files(folder)[0], records_in(files(folder)[0])[4].offset)
    rewrite_chain(folder, refreshed(folder))
    assert kinds(verify_archive(folder)) == {"records"}


def test_an_entry_that_points_elsewhere_is_found(folder: Path) -> None:
    def edit(entry: Entry) -> Entry:
        if isinstance(entry, Segment) and entry.seq == 3:
            return msgspec.structs.replace(entry, path="../../elsewhere.parquet")
        return entry

    rewrite_chain(folder, edit)
    assert kinds(verify_archive(folder)) == {"records", "added"}


def test_an_earlier_head_holds_while_the_archive_grows(folder: Path) -> None:
    head = verify_archive(folder).head
    archive = opened(folder)
    archive.write([run_of([record(30)])])
    archive.write([run_of([record(31)])])
    verdict = verify_archive(folder, head)
    assert verdict.ok
    assert verdict.after_head == 2
    assert verdict.head == archive.head
    assert verify_archive(folder, archive.head).after_head == 0


def test_offsets_that_kafka_had_no_record_for_are_counted_not_complained_about(
    tmp_path: Path,
) -> None:
    archive = opened(tmp_path)
    archive.write([run_of([record(5), record(7)])])
    archive.write([run_of([record(10)])])
    verdict = verify_archive(tmp_path)
    assert verdict.ok
    assert verdict.not_in_topic == 3


def test_an_append_that_was_cut_off_is_no_entry(folder: Path) -> None:
    with (folder / MANIFEST).open("ab") as file:
        file.write(b'{"kind":"segment","seq":7,')
    verdict = verify_archive(folder)
    assert verdict.ok
    assert verdict.unfinished
    opened(folder)
    assert not verify_archive(folder).unfinished


def test_a_file_that_a_crash_left_without_its_name_is_there(folder: Path) -> None:
    last = segments(folder)[-1]
    (folder / last.path).rename(folder / "partial" / f"{last.sha256}-1")
    (folder / "partial" / f"{'0' * 64}-2").write_bytes(b"half a file")
    assert verify_archive(folder).ok


def pruned(tmp_path: Path, clock: Clock) -> None:
    archive = opened(tmp_path, clock)
    archive.write([run_of([record(at)]) for at in range(3)])
    clock.days_pass(11)
    archive.write([run_of([record(3)])])
    assert archive.prune(10, "me") is not None
    archive.close()


def test_what_a_rule_deleted_is_told_and_the_rest_still_verifies(tmp_path: Path) -> None:
    pruned(tmp_path, Clock())
    verdict = verify_archive(tmp_path)
    assert verdict.ok, verdict.problems
    assert (verdict.files, verdict.records) == (1, 1)
    (rule,) = verdict.pruned
    assert (rule.files, rule.records, rule.days, rule.by) == (3, 3, 10, "me")
    files(tmp_path)[0].unlink()
    assert kinds(verify_archive(tmp_path)) == {"missing"}


def test_a_deletion_before_its_time_is_found(tmp_path: Path) -> None:
    pruned(tmp_path, Clock())
    rewrite_chain(
        tmp_path,
        lambda entry: (
            entry
            if isinstance(entry, Segment) or not hasattr(entry, "days")
            else msgspec.structs.replace(entry, days=12)
        ),
    )
    assert verify_archive(tmp_path).counts == Counter(pruned_early=3)


def test_a_deleted_file_that_comes_back_changed_is_found(tmp_path: Path) -> None:
    pruned(tmp_path, Clock())
    path = tmp_path / segments(tmp_path)[0].path
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"something")
    assert kinds(verify_archive(tmp_path)) == {"changed"}


def test_a_flipped_byte_in_a_large_archive_is_found(tmp_path: Path) -> None:
    """Of 50 MB; OPTIONSTREAM_TEST_ARCHIVE_MB=1000 makes it larger."""
    archive = opened(tmp_path)
    noise = os.urandom(1 << 20)
    for at in range(MEGABYTES):
        archive.write([run_of([record(at, value=noise + b"%d" % at)])])
    verdict = verify_archive(tmp_path)
    assert verdict.ok
    assert verdict.bytes > MEGABYTES << 20
    target = files(tmp_path)[MEGABYTES // 2]
    flip(target, 600_000)
    assert [p.where for p in verify_archive(tmp_path).problems] == [
        str(target.relative_to(tmp_path))
    ]


# -- the command ----------------------------------------------------------------------------------


def test_the_command_prints_the_head_and_says_intact(folder: Path) -> None:
    ran = run("audit", "verify", folder)
    assert ran.code == 0
    assert ran.out.splitlines()[-2:] == ["intact", f"head {verify_archive(folder).head}"]
    (row,) = run("audit", "verify", folder, "--json").rows
    assert row["ok"] is True
    assert row["head"] == verify_archive(folder).head
    assert row["records"] == 60
    assert row["problems"] == []


def test_the_command_ends_with_1_and_names_what_differs(folder: Path) -> None:
    target = files(folder)[2]
    flip(target, 100)
    ran = run("audit", "verify", folder)
    assert ran.code == 1
    assert target.name in ran.out
    json = run("audit", "verify", folder, "--json", "--head", "0" * 64)
    assert json.code == 1
    (row,) = json.rows
    assert row["ok"] is False
    assert row["counts"] == {"changed": 1, "head": 1}


def test_no_archive_and_no_hash_are_bad_usage(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no audit archive there"):
        verify_archive(tmp_path)
    ran = run("audit", "verify", tmp_path)
    assert ran.code == 2
    assert str(tmp_path) in ran.complaint
    assert run("audit", "verify", tmp_path, "--head", "abc").code == 2


def test_the_command_deletes_by_rule_and_says_what(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPTIONSTREAM_AUDIT_DIR", str(folder.parent))
    monkeypatch.setenv("OPTIONSTREAM_AUDIT_RETENTION_DAYS", "30")
    assert run("audit", "prune", "--older-than", "36500").out.startswith("nothing was archived")
    dry = run("audit", "prune", "--dry-run")
    assert dry.out == (
        "would have deleted 6 files with 60 records, archived more than 30 days ago; "
        "their entries stay\n"
    )
    assert len(files(folder)) == 6
    assert run("audit", "prune").code == 0
    assert files(folder) == []
    assert run("audit", "verify").code == 0
    assert run("audit", "prune", "--namespace", "nobody").code == 2
