"""What all suites share: the shared data, and a closing line on where the time went."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SHARED = ROOT.parent / "shared" / "data"

_seconds: defaultdict[str, float] = defaultdict(float)
_missing: Counter[str] = Counter()


@pytest.fixture(scope="session")
def shared_data() -> Callable[[str], Path]:
    """The path of ``../shared/data/<name>``.

    Where it is missing the test is skipped and counted, or fails under REQUIRE_SHARED=1.
    """

    def find(name: str) -> Path:
        path = SHARED / name
        if path.exists():
            return path
        _missing[name] += 1
        text = f"shared data missing: ../shared/data/{name}"
        if os.environ.get("REQUIRE_SHARED") == "1":
            pytest.fail(f"{text} (REQUIRE_SHARED=1)", pytrace=False)
        pytest.skip(text)

    return find


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    _seconds["/".join(report.nodeid.split("/")[:2])] += report.duration


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    total_s = sum(_seconds.values())
    if total_s > 0:
        terminalreporter.section("time by suite")
        for suite, seconds in sorted(_seconds.items()):
            share = 100 * seconds / total_s
            terminalreporter.write_line(f"{suite:<24} {seconds:8.1f} s {share:5.1f} %")
    if _missing:
        names = ", ".join(f"{name} ({count})" for name, count in sorted(_missing.items()))
        terminalreporter.section("SHARED DATA MISSING")
        terminalreporter.write_line(f"{sum(_missing.values())} requests not met: {names}")
