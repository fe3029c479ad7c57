"""Wrong usage is one line on stderr and exit code 2; help is fast and has examples."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from optionstream.deploy.cli.app import app
from tests.harness.cli import run

COMMANDS = (
    ("up",),
    ("status",),
    ("down",),
    ("logs",),
    ("feed", "simulated"),
    ("feed", "file"),
    ("replay",),
    ("replay", "run"),
    *(("replay", name) for name in ("list", "status", "pause", "resume", "step", "seek")),
    *(("replay", name) for name in ("speed", "stop", "drop")),
    ("worker",),
    ("serve",),
    ("demo",),
    ("inspect",),
    ("surface",),
    ("bars",),
    ("verify",),
    ("groups",),
    ("groups", "reset"),
    ("rejects", "list"),
    ("rejects", "show"),
    ("rejects", "redrive"),
    ("namespaces", "list"),
    ("namespaces", "drop"),
    ("audit", "verify"),
    ("audit", "prune"),
    ("features", "export"),
    ("features", "columns"),
)


@pytest.fixture(autouse=True)
def no_servers(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("KAFKA", "MONGO", "REDIS"):
        monkeypatch.delenv(f"OPTIONSTREAM_{name}", raising=False)
    monkeypatch.setenv("OPTIONSTREAM_DATA_DIR", str(tmp_path / "data"))


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_has_help_with_examples(command: tuple[str, ...]) -> None:
    shown = CliRunner().invoke(app, [*command, "--help"])
    assert shown.exit_code == 0
    assert "Example" in shown.output
    assert "optionstream " + " ".join(command) in shown.output


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["nonsense"], "No such command 'nonsense'"),
        (["replay"], "Missing argument"),
        (["up", "--audit"], "--workers"),
        (["up", "--features"], "--workers"),
        (["features", "export", "--start", "2026-01-06", "--end", "x", "--out", "f"], "--end x"),
        (
            ["features", "export", "--start", "2026-01-06", "--end", "2026-01-05", "--out", "f"],
            "--end 2026-01-05 is before",
        ),
        (
            ["features", "export", "--start", "2026-01-06", "--end", "2026-01-06", "--out", "f"],
            "no features at",
        ),
        (["audit", "verify", "--head", "5f0c"], "--head 5f0c"),
        (["audit", "prune", "--older-than", "0"], "--older-than"),
        (["replay", "--speed", "fast", "x"], "--speed fast"),
        (["replay", "--speed", "0", "x"], "--speed 0"),
        (["replay", "--frame", "0", "x"], "--frame"),
        (["replay", "run"], "Missing argument"),
        (["replay", "--start", "2026-01-06", "x"], "for --from-topics"),
        (["replay", "--from-topics", "live", "x"], "not both"),
        (["replay", "--from-topics", "live", "--offsets", "ohlc:1:2-3"], "--offsets ohlc"),
        (["replay", "--from-topics", "live", "--start", "5", "--end", "5"], "not after"),
        (["replay", "--from-topics", "live", "--product", "NIFTY"], "are for files"),
        (["replay", "--from-topics", "mine", "--namespace", "mine"], "into itself"),
        (["replay", "--from-raw", "mine", "--namespace", "mine"], "into itself"),
        (["replay", "--from-raw", "live", "x"], "not both"),
        (["replay", "--from-raw", "live", "--raw"], "--raw: for files alone"),
        (
            ["replay", "--from-raw", "live", "--offsets", "market.underlying:1:2-3"],
            "--offsets: for",
        ),
        (["replay", "--from-topics", "live", "--namespace", "live"], "not for replays"),
        (["replay", "pause"], "Missing argument"),
        (["replay", "step", "x", "0"], "Invalid value for 'N'"),
        (["replay", "seek", "x", "noon"], "TIME noon"),
        (["replay", "speed", "x", "-1"], "No such option"),
        (["replay", "speed", "x", "fast"], "speed fast: use max"),
        (["replay", "drop", "live"], "never dropped"),
        (["verify", "x", "--against", "x"], "name another namespace"),
        (["replay", "--speed", "nan", "x"], "--speed nan"),
        (["replay", "--namespace", "live", "x"], "not for replays"),
        (["replay", "--namespace", "Über", "x"], "lower-case"),
        (["replay", "--products", "nifty,!", "x"], "--products"),
        (["replay", "--timestamp", "noon", "x"], "--timestamp noon"),
        (["replay", "--expiry-date", "31-12-2025", "x"], "expiry"),
        (["feed", "file", "x", "--namespace", "mine"], "use `optionstream replay"),
        (["feed", "simulated", "--out", "x", "--date", "soon"], "--date soon"),
        (["feed", "simulated", "--out", "x", "--products", "GOLD"], "GOLD"),
        (["worker", "sorter"], "sorter"),
        (["worker", "latest", "--from-beginning"], "analytics only"),
        (["bars", "x", "--interval", "2m"], "2m"),
        (["inspect", "x", "--expiry", "next"], "--expiry next"),
        (["logs", "postgres"], "postgres"),
        (["namespaces", "drop", "live"], "never dropped"),
        (["namespaces", "drop", "sim"], "never dropped"),
        (["up", "--namespace", "mine"], "replay"),
        (["down", "--namespace", "mine"], "--namespace is for --workers"),
        (["groups", "reset", "analytics"], "Missing option '--to'"),
        (["groups", "reset", "analytics", "--to", "noon"], "--to noon"),
        (["groups", "reset", "latest", "--to", "5", "--forget-former"], "for history"),
        (["rejects", "redrive"], "which rejects?"),
        (["rejects", "redrive", "--reason", "odd"], "--reason odd"),
        (["rejects", "list", "--topic", "rejects"], "--topic rejects"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(args: list[str], said: str) -> None:
    ran = run(*args)
    assert ran.code == 2
    assert ran.complaint.startswith("error: ")
    assert said in ran.complaint
    assert ran.out == ""


def test_a_bad_setting_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPTIONSTREAM_PARTITIONS", "many")
    ran = run("status")
    assert ran.code == 2
    assert "OPTIONSTREAM_PARTITIONS" in ran.complaint


@pytest.mark.parametrize(
    "args",
    [
        ["namespaces", "list"],
        ["verify", "live"],
        ["worker", "history"],
        ["serve"],
        ["replay", "list"],
    ],
    ids=" ".join,
)
def test_without_servers_a_command_says_how_to_get_them(args: list[str]) -> None:
    ran = run(*args)
    assert ran.code == 1
    assert "optionstream up" in ran.complaint


def test_a_server_that_does_not_answer_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPTIONSTREAM_KAFKA", "127.0.0.1:1")
    monkeypatch.setenv("OPTIONSTREAM_MONGO", "mongodb://127.0.0.1:1/")
    monkeypatch.setenv("OPTIONSTREAM_REDIS", "redis://127.0.0.1:1")
    ran = run("worker", "analytics")
    assert ran.code == 1
    assert "kafka at 127.0.0.1:1" in ran.complaint


def test_no_command_shows_the_help() -> None:
    ran = run()
    assert ran.code == 2
    assert "Commands:" in ran.err


def test_the_version_is_told() -> None:
    ran = run("--version")
    assert ran.code == 0
    assert ran.out.startswith("optionstream 0.")


def test_help_loads_no_driver_and_no_engine() -> None:
    heavy = (
        "confluent_kafka",
        "pymongo",
        "redis",
        "faust",
        "polars",
        "numpy",
        "fastapi",
        "rich",
        "msgspec",
    )
    code = (
        "import sys; from optionstream.deploy.cli.main import main; main(['--help']); "
        f"print([name for name in {heavy!r} if name in sys.modules])"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.splitlines()[-1] == "[]"


def test_it_runs_as_a_module() -> None:
    shown = subprocess.run(
        [sys.executable, "-m", "optionstream", "--version"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert shown.returncode == 0
    assert shown.stdout.startswith("optionstream ")
