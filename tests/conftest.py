"""What all suites share: one seed, servers, the shared data, and where the time went."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import hypothesis
import pytest

from tests.harness.seeds import again, choose_seed
from tests.harness.servers import SERVERS_VARIABLE, addresses_in, held_servers
from tests.harness.spread import group_of, rank

# An example that takes long on a busy machine is no fault: no test asserts an absolute time.
hypothesis.settings.register_profile("optionstream", deadline=None)
hypothesis.settings.load_profile("optionstream")

ROOT = Path(__file__).resolve().parent.parent
SHARED = ROOT.parent / "shared" / "data"
SERVER_TESTS = ROOT / "tests" / "server"

_seconds: defaultdict[str, float] = defaultdict(float)
_missing: Counter[str] = Counter()
_run = ExitStack()


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


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Choose the seed; where tests are spread over processes, start servers for all of them."""
    config.option.hypothesis_seed = config.option.hypothesis_seed or choose_seed(os.environ)
    if _spreads(config) and _has_server_tests(config) and SERVERS_VARIABLE not in os.environ:
        os.environ[SERVERS_VARIABLE] = str(_run.enter_context(held_servers()))
        _run.callback(os.environ.pop, SERVERS_VARIABLE)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Stop what this process has started."""
    _run.close()


def _spreads(config: pytest.Config) -> bool:
    """True if this process has others run the tests."""
    return not hasattr(config, "workerinput") and bool(getattr(config.option, "numprocesses", 0))


def _has_server_tests(config: pytest.Config) -> bool:
    """True if a path that was asked for holds tests on servers, or is one."""
    asked = [Path(config.invocation_params.dir, arg.split("::")[0]) for arg in config.args]
    return any(
        path.is_relative_to(SERVER_TESTS) or SERVER_TESTS.is_relative_to(path) for path in asked
    )


def pytest_report_header() -> str:
    return again(choose_seed(os.environ))


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark tests on servers; where tests are spread, start those first that take longest."""
    for item in items:
        if item.path.is_relative_to(SERVER_TESTS):
            item.add_marker(pytest.mark.server)
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: rank(item.nodeid, _limit_s(item)))


def _limit_s(item: pytest.Item) -> float:
    limit = item.get_closest_marker("timeout")
    return float(limit.args[0]) if limit else 0.0


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Spread groups of tests over processes, in the order of collection."""
    from xdist.scheduler.loadscope import LoadScopeScheduling

    class Groups(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return group_of(nodeid)

    config.option.loadscopereorder = False
    return Groups(config, log)


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> None:
    """Wait for the servers while other processes collect: no test's time limit is used up."""
    if _spreads(session.config) and (file := os.environ.get(SERVERS_VARIABLE)):
        try:
            addresses_in(Path(file))
        except RuntimeError as error:
            pytest.exit(str(error), returncode=2)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    _seconds["/".join(report.nodeid.split("/")[:2])] += report.duration


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A process that runs tests for another hands over what it missed."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["missing"] = dict(_missing)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any, error: object) -> None:
    _missing.update(getattr(node, "workeroutput", {}).get("missing", {}))


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
