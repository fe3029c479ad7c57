"""Replays that are steered from outside."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.harness.commands import Cli


def status(cli: Cli, name: str) -> dict[str, Any]:
    (row,) = cli.good("replay", "status", name)
    return row


def in_state(cli: Cli, name: str, *states: str) -> bool:
    ran = cli("replay", "status", name, "--json")
    return ran.code == 0 and ran.rows[0]["state"] in states


def has_begun(cli: Cli, name: str) -> bool:
    ran = cli("replay", "status", name, "--json")
    return ran.code == 0 and (ran.rows[0]["events"] or 0) > 50


def settled(cli: Cli, name: str) -> bool:
    """Whether it is paused and every group has read everything that is out."""
    row = status(cli, name)
    return row["state"] == "paused" and bool(row["settled"])


@contextmanager
def replaying(cli: Cli, *args: object) -> Iterator[subprocess.Popen[str]]:
    process = cli.start("replay", *args)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.terminate()  # not killed: it has workers to stop
        process.communicate(timeout=60)
