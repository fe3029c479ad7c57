"""The command line against real servers."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import pytest

from optionstream.schemas.topics import ALL_GROUPS, GROUPS, Namespace
from tests.harness.commands import Cli, leftovers, records_in, session_of, wait_for, workers_of

pytestmark = [pytest.mark.server, pytest.mark.timeout(600)]


def test_up_again_changes_nothing_and_status_is_good(cli: Cli) -> None:
    first, again = cli.good("up"), cli.good("up")
    assert first == again
    assert {row["server"]: row["address"] for row in again} == {
        "kafka": cli.addresses.kafka,
        "mongo": cli.addresses.mongo,
        "redis": cli.addresses.redis,
    }
    rows = cli.good("status")
    assert [row["health"] for row in rows if "health" in row] == ["ready"] * 3
    assert {row["group"] for row in rows if "group" in row} == set(GROUPS)


def test_another_number_of_partitions_is_a_clear_error(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    cli.good("up")
    monkeypatch.setenv("OPTIONSTREAM_PARTITIONS", "2")
    ran = cli("up")
    assert ran.code == 2
    assert "OPTIONSTREAM_PARTITIONS=6" in ran.err.splitlines()[-1]


def test_a_replay_from_its_first_record_to_its_last_trace(
    cli: Cli, name: str, tmp_path: Path
) -> None:
    """Replayed, verified, replayed again as duplicates, verified, dropped: nothing is left."""
    path = session_of(tmp_path / "day.jsonl.zst")
    (row,) = cli.good("replay", path, "--namespace", name)
    assert row["namespace"] == name
    assert row["ticks"] > 500
    assert row["chains"] > 50
    assert row["read"] == row["accepted"] == row["ticks"] + row["chains"]
    assert row["rejects"] == {}
    assert not workers_of(name)
    (report,) = cli.good("verify", name)
    assert report["ok"]
    info = listed(cli, name)
    assert info["sources"] == [str(path)]
    assert info["state"] == "complete"
    assert info["counts"]["accepted"] == row["accepted"]

    (again,) = cli.good("replay", path, "--namespace", name)
    assert again["accepted"] == again["duplicates"] == row["accepted"]
    assert cli("verify", name).code == 0

    ran = cli("namespaces", "drop", name)
    assert ran.code == 0, ran.err
    assert leftovers(cli, Namespace(name)) == {}
    for gone in (cli("namespaces", "drop", name), cli("verify", name)):
        assert gone.code == 2
        assert f"no namespace {name}" in gone.complaint


def test_a_bad_file_among_good_ones_is_told_and_the_others_replayed(
    cli: Cli, name: str, tmp_path: Path
) -> None:
    good = session_of(tmp_path / "a.jsonl.zst", minutes=3)
    page = tmp_path / "b.csv"
    page.write_text("<html>busy</html>")
    cut = tmp_path / "c.jsonl.zst"
    cut.write_bytes(session_of(tmp_path / "d.jsonl.zst", seed=2, minutes=3).read_bytes()[:-9])
    ran = cli("replay", good, page, cut, tmp_path / "none", "--namespace", name, "--json")
    assert ran.code == 2
    told = [line for line in ran.err.splitlines() if line.startswith("error: ")]
    assert len(told) == 3
    for path in (page, cut, tmp_path / "none"):
        assert any(str(path) in line for line in told)
    (row,) = ran.rows
    assert row["accepted"] > 0
    assert cli("verify", name).code == 0


def test_nothing_readable_makes_no_namespace(cli: Cli, name: str, tmp_path: Path) -> None:
    empty = tmp_path / "empty.csv"
    empty.touch()
    ran = cli("replay", empty, "--namespace", name)
    assert ran.code == 2
    assert name not in [found["name"] for found in cli.good("namespaces", "list")]


def listed(cli: Cli, name: str) -> dict[str, Any]:
    """The namespace's line in the list."""
    (info,) = [found for found in cli.good("namespaces", "list") if found["name"] == name]
    return info


def test_a_worker_of_an_unknown_namespace_says_what_there_is(cli: Cli) -> None:
    ran = cli("worker", "latest", "--namespace", "nobodys")
    assert ran.code == 2
    assert "nobodys" in ran.err


def test_ctrl_c_in_a_replay_stops_its_workers_and_a_second_run_completes_it(
    cli: Cli, name: str, tmp_path: Path
) -> None:
    path = session_of(tmp_path / "day.jsonl.zst", minutes=10)
    with cli.start("replay", path, "--namespace", name, "--speed", "30") as process:
        wait_for(lambda: records_in(cli, name) > 5, "records")
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "interrupted" in err
    assert not workers_of(name)
    assert listed(cli, name)["state"] == "interrupted"
    (row,) = cli.good("replay", path, "--namespace", name)
    assert row["accepted"] == row["ticks"] + row["chains"]
    assert cli("verify", name).code == 0


def test_kept_workers_go_on_until_down(cli: Cli, name: str, tmp_path: Path) -> None:
    path = session_of(tmp_path / "day.jsonl.zst", minutes=3)
    cli.good("replay", path, "--namespace", name, "--keep-workers")
    try:
        assert len(workers_of(name)) == 3
        states = {row["worker"]: row["state"] for row in cli.good("status") if "worker" in row}
        assert states == dict.fromkeys(GROUPS, "running")
        second = session_of(tmp_path / "more.jsonl.zst", seed=2, minutes=3)
        (row,) = cli.good("replay", second, "--namespace", name)
        assert row["accepted"] > 0
    finally:
        down = cli("down")
    assert f"workers of namespace {name}: stopped" in down.err
    wait_for(lambda: not workers_of(name), "the workers' end")
    assert cli("verify", name).code == 0


def test_the_extra_workers_run_where_they_were_asked_for(cli: Cli) -> None:
    """In live the archive is there unless refused; all else has to be asked for."""
    before = {row["group"] for row in cli.good("status", "--namespace", "sim") if "group" in row}
    assert before.isdisjoint(("audit", "features"))
    cli.good("up", "--workers", "--audit", "--features", "--namespace", "sim")
    try:
        rows = cli.good("status", "--namespace", "sim")
        states = {row["worker"]: row["state"] for row in rows if "worker" in row}
        assert states == dict.fromkeys(ALL_GROUPS, "running")
        assert {row["group"] for row in rows if "group" in row} == set(ALL_GROUPS)
        assert cli("audit", "verify", "--namespace", "sim").code == 0
        assert cli("logs", "audit", "--namespace", "sim").code == 0
        assert cli("logs", "features", "--namespace", "sim").code == 0
    finally:
        cli("down")
    assert not workers_of("sim")
