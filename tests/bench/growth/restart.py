"""How soon a worker that was killed works again, with a day of ticks behind it.

Beside it a bare Faust worker with an empty table: both are static members of their groups, both are
killed with SIGKILL and started at once (the group still holds the dead member), and both are
started when the group has let go of it. Ticks go on coming all the while.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from optionstream.deploy.namespaces.catalogue import drop_namespace
from optionstream.deploy.namespaces.topics import ensure_topics
from optionstream.deploy.stack import Addresses
from optionstream.schemas.settings import Settings
from optionstream.schemas.topics import Namespace
from optionstream.streams.kafka.admin import admin_client
from tests.bench.growth.contestants import Analytics, BareFaust, Contestant
from tests.bench.growth.membership import await_empty, members
from tests.bench.growth.trickle import publish_day, trickling
from tests.bench.report import Result, at_most

HELD, GONE = "held", "gone"
"""What the group does with the dead member at the start of the next."""
WITHIN = 3.0
READ_AGAIN = 0.1
"""Of the records of the day; ticks that come while it is asked count too."""
_LIVED_S = 4.0
"""A life before a kill: time for commits and for a stable group."""
_ALL_BUT = 1_000
"""Records: commits of what trickles in are a second behind."""
_LONGEST_S = 600.0


@dataclass(slots=True)
class Restarts:
    """Seconds from the start of a process to its first sign of work, one figure a turn."""

    ticks: int
    records: int
    """Records of the day that lies behind."""
    ours: dict[str, list[float]] = field(default_factory=lambda: {HELD: [], GONE: []})
    bare: dict[str, list[float]] = field(default_factory=lambda: {HELD: [], GONE: []})
    again: list[int] = field(default_factory=list)
    """Records that our process had applied once more by the time its first bar was seen."""


def restarts(
    addresses: Addresses, settings: Settings, folder: Path, ticks: int, rounds: int
) -> Restarts:
    """Publish and process a day of ``ticks``; then kill and start both in turns."""
    namespace = Namespace.parse("bench-restart")
    ensure_topics(addresses.kafka, namespace, settings)
    found = Restarts(ticks, publish_day(addresses.kafka, namespace, settings, ticks))
    log = folder / f"{namespace.name}.log"
    ours = Analytics(addresses, namespace, settings, log)
    bare = BareFaust(addresses, namespace, settings, folder, log)
    try:
        with trickling(addresses, namespace, settings, ticks):
            _take_all(ours)
            bare.first_s()
            time.sleep(_LIVED_S)
            bare.kill()
            for _ in range(rounds):
                _turn(
                    addresses.kafka, ours, found.ours, lambda: found.again.append(ours.read_again())
                )
                _turn(addresses.kafka, bare, found.bare, lambda: None)
    finally:
        ours.close()
        bare.kill()
    drop_namespace(addresses, namespace.name, settings)
    return found


def results(found: Restarts) -> list[Result]:
    """One line for each kind of start, and one for what was read again."""
    behind = f"{found.ticks:,} ticks behind it"
    lines = []
    for kind, title in (
        (HELD, f"first bar after kill -9, {behind}; bare Faust, an empty table"),
        (GONE, "the same, started when the group has let go of the dead"),
    ):
        ours, bare = (1e3 * median(side[kind]) for side in (found.ours, found.bare))
        lines.append(at_most(title, "ms", ours, bare, WITHIN))
    title = "records read again until that bar, most; those of the day"
    return [*lines, at_most(title, "records", max(found.again), found.records, READ_AGAIN)]


def _take_all(ours: Analytics) -> None:
    """The first life: the whole day, then a kill."""
    ours.first_s()
    deadline_s = time.monotonic() + _LONGEST_S
    while ours.lag() > _ALL_BUT:
        if time.monotonic() > deadline_s:
            raise RuntimeError(f"the day was not processed in {_LONGEST_S:g} s")
        time.sleep(0.2)
    time.sleep(_LIVED_S)
    ours.kill()


def _turn(
    kafka: str, one: Contestant, found: dict[str, list[float]], began: Callable[[], None]
) -> None:
    """A start into a group without members, a life, a kill, a start at once; killed at the end.
    ``began`` is called after each first sign of work."""
    admin = admin_client(kafka)
    await_empty(admin, one.group)
    for kind in (GONE, HELD):
        if kind == HELD and members(admin, one.group) != 1:
            raise RuntimeError(f"group {one.group} does not hold its dead member")
        found[kind].append(one.first_s())
        began()
        time.sleep(_LIVED_S)
        one.kill()
