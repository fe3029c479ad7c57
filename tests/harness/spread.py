"""Which tests run one after the other in one process, where tests are spread over several."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Final

SERVER_FOLDER: Final = "tests/server"
ALONE: Final = frozenset({"test_chaos.py", "test_kills.py", "test_servers.py", "test_stack.py"})
"""Modules of server tests that kill, freeze, and start stacks: never two of them at a time."""
ALONE_GROUP: Final = "alone"


def group_of(nodeid: str) -> str:
    """Return the group of a test: its tests run in one process, in their order.

    A module without servers is a group, for the sake of its fixtures. Modules in ``ALONE`` are one
    together. Every other test on servers is a group of its own.
    """
    path = PurePosixPath(nodeid.partition("::")[0])
    if str(path.parent) != SERVER_FOLDER:
        return str(path)
    return ALONE_GROUP if path.name in ALONE else nodeid


def rank(nodeid: str, limit_s: float) -> tuple[int, float]:
    """Return a key that sorts what takes longest to the front, by its time limit.

    First what runs alone, then other tests on servers, then those without.
    """
    group = group_of(nodeid)
    if group == ALONE_GROUP:
        return 0, 0.0
    return (1, -limit_s) if group == nodeid else (2, 0.0)
