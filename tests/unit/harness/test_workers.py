"""What the harness makes of a worker's end."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from optionstream.streams.process import EXIT_RESTART
from tests.harness.cli import run
from tests.harness.workers import SLEPT, Worker


class Ended:
    """A process that ended with a code."""

    pid = 1

    def __init__(self, code: int | None) -> None:
        self._code = code

    def poll(self) -> int | None:
        return self._code

    def wait(self, timeout: float | None = None) -> int:
        return self._code or 0

    def send_signal(self, sig: int) -> None: ...

    def kill(self) -> None: ...


def ended(folder: Path, code: int | None, *lines: str) -> Worker:
    log = folder / "latest-1.log"
    log.write_text("\n".join(lines))
    return Worker("latest", "1", [], log, Ended(code))


@pytest.mark.parametrize(
    ("code", "line", "slept"),
    [
        (EXIT_RESTART, f"CRITICAL {SLEPT} 2.0 s; the partitions may belong", True),
        (EXIT_RESTART, "CRITICAL ending this process: a rebalance has not ended", False),
        (1, f"CRITICAL {SLEPT} 2.0 s", False),
        (None, f"CRITICAL {SLEPT} 2.0 s", False),
    ],
)
def test_only_a_worker_that_slept_too_long_counts_as_asleep(
    tmp_path: Path, code: int | None, line: str, slept: bool
) -> None:
    assert ended(tmp_path, code, "INFO up", line).slept() is slept


def test_a_worker_that_slept_in_an_earlier_life_did_not_end_by_that(tmp_path: Path) -> None:
    later = [f"INFO line {at}" for at in range(60)]
    assert not ended(tmp_path, EXIT_RESTART, f"CRITICAL {SLEPT} 2.0 s", *later).slept()


def test_the_worker_says_that_it_slept_in_these_words() -> None:
    source = Path(__file__).parents[3] / "streams" / "engine" / "checkpoint.py"
    ending = Path(__file__).parents[3] / "streams" / "process.py"
    assert 'f"slept {' in source.read_text(encoding="utf-8")
    assert '"ending this process: %s"' in ending.read_text(encoding="utf-8")


def test_a_command_sees_the_environment_that_it_is_given_and_leaves_none_behind(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OPTIONSTREAM_PARTITIONS", "6")
    bad = run("status", env={"HOME": "/", "OPTIONSTREAM_PARTITIONS": "none"})
    assert bad.code == 2
    assert "OPTIONSTREAM_PARTITIONS='none'" in bad.err
    assert os.environ["OPTIONSTREAM_PARTITIONS"] == "6"
