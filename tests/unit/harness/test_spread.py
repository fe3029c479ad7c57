"""Groups of tests: what runs in one process, and what starts first."""

from __future__ import annotations

import pytest

from tests.conftest import SERVER_TESTS
from tests.harness.spread import ALONE, ALONE_GROUP, group_of, rank


@pytest.mark.parametrize(
    ("nodeid", "group"),
    [
        ("tests/unit/test_docs.py::test_a[x::y]", "tests/unit/test_docs.py"),
        ("tests/unit/api/test_app.py::test_b", "tests/unit/api/test_app.py"),
        ("tests/server/test_kills.py::test_c", ALONE_GROUP),
        ("tests/server/test_stack.py::test_d[one]", ALONE_GROUP),
        ("tests/server/test_api.py::test_e[a/b::c]", "tests/server/test_api.py::test_e[a/b::c]"),
        ("tests/unit/test_kills.py::test_f", "tests/unit/test_kills.py"),
    ],
)
def test_a_module_without_servers_is_a_group_and_kills_are_one_together(
    nodeid: str, group: str
) -> None:
    assert group_of(nodeid) == group


def test_modules_that_run_alone_are_there() -> None:
    assert [name for name in ALONE if not (SERVER_TESTS / name).exists()] == []


def test_kills_start_first_then_the_longest_on_servers_then_the_rest() -> None:
    tests = {
        "tests/unit/test_docs.py::test_a": 900.0,
        "tests/server/test_api.py::test_b": 0.0,
        "tests/server/test_groups.py::test_c": 600.0,
        "tests/server/test_kills.py::test_d": 0.0,
    }
    found = sorted(tests, key=lambda nodeid: rank(nodeid, tests[nodeid]))
    assert [nodeid.rpartition("_")[2] for nodeid in found] == ["d", "c", "b", "a"]


def test_tests_are_spread_by_these_groups(
    pytestconfig: pytest.Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By our own scheduler: that of ``xdist_group`` groups nothing under pytest 9."""
    monkeypatch.setattr(pytestconfig.option, "tx", ["popen"])
    scheduler = pytestconfig.hook.pytest_xdist_make_scheduler(config=pytestconfig, log=None)
    assert scheduler._split_scope("tests/server/test_kills.py::test_c") == ALONE_GROUP
