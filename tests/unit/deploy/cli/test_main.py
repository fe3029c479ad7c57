"""What the entry point makes of failures and signals."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from optionstream.deploy.cli import app as commands
from optionstream.schemas.errors import DeliveryError, InputError, OptionstreamError
from tests.harness.cli import run


def _failing(error: BaseException) -> typer.Typer:
    app = commands.new_typer()

    @app.callback()
    def root() -> None:
        """A group, so that the command has a name."""

    @app.command()
    def fail() -> None:
        raise error

    return app


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (OptionstreamError("it did not work"), 1),
        (DeliveryError("Kafka did not take a record\nfor topic x, key y"), 1),
        (InputError("a.json", "not JSON"), 2),
    ],
)
def test_our_errors_are_one_line_and_their_exit_code(
    error: OptionstreamError, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commands, "app", _failing(error))
    ran = run("fail")
    assert ran.code == code
    assert ran.complaint == "error: " + " ".join(str(error).split())


def test_an_unexpected_error_is_one_line_that_names_the_traceback(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("OPTIONSTREAM_DATA_DIR", str(tmp_path))
    monkeypatch.setattr(commands, "app", _failing(ZeroDivisionError("oops")))
    ran = run("fail")
    assert ran.code == 1
    assert "ZeroDivisionError: oops" in ran.complaint
    assert str(tmp_path / "last-error.log") in ran.complaint
    assert "Traceback" in (tmp_path / "last-error.log").read_text()


def test_debug_shows_the_traceback_wherever_it_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commands, "app", _failing(ZeroDivisionError("oops")))
    ran = run("fail", "--debug")
    assert ran.code == 1
    assert "Traceback" in ran.err


def test_ctrl_c_is_exit_code_130(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commands, "app", _failing(KeyboardInterrupt()))
    ran = run("fail")
    assert ran.code == 130
    assert ran.complaint == "interrupted"


def test_sigterm_unwinds_a_command_and_is_exit_code_143(tmp_path: Path) -> None:
    code = (
        "import sys, time\n"
        "from optionstream.deploy.cli import app as commands, main\n"
        "app = commands.new_typer()\n"
        "@app.callback()\n"
        "def root(): pass\n"
        "@app.command()\n"
        "def wait():\n"
        "    try:\n"
        "        print('waiting', flush=True)\n"
        "        time.sleep(60)\n"
        "    finally:\n"
        "        print('cleaned up', flush=True)\n"
        "commands.app = app\n"
        "sys.exit(main.main(['wait']))\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "waiting\n"
        os.kill(process.pid, signal.SIGTERM)
        out, err = process.communicate(timeout=20)
    assert process.returncode == 143
    assert out == "cleaned up\n"
    assert err == "stopped\n"


def test_a_reader_that_leaves_early_is_no_error(tmp_path: Path) -> None:
    ticks = tmp_path / "nifty.csv"
    ticks.write_text(
        "".join(f"2026-01-06 {n // 60 + 9:02d}:{n % 60:02d}:00,26000\n" for n in range(15, 60 * 6))
    )
    command = f"{sys.executable} -m optionstream bars {ticks} --json | head -n 1"
    shown = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert shown.stdout.count("\n") == 1
    assert shown.stderr == ""
