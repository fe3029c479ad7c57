"""The parts of the soak: what each proves, its commands, and how long it took on two cores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

SPREAD = ("pytest", "--durations=10", "-n")


@dataclass(frozen=True, slots=True)
class Part:
    """One part; ``module`` is run with ``arguments`` by ``python -m``.

    ``minutes`` were measured on two otherwise idle cores.
    """

    name: str
    proves: str
    arguments: tuple[str, ...]
    minutes: int


def _tests(processes: int, *paths: str) -> tuple[str, ...]:
    """Server tests, whole."""
    return (*SPREAD, str(processes), *(f"tests/server/{path}" for path in paths))


PARTS: Sequence[Part] = (
    Part(
        "checkpoints",
        "63 worker lives: each step of the checkpoint fails, by error, kill and in a rebalance",
        _tests(3, "test_checkpoint_steps.py"),
        0,
    ),
    Part(
        "real-sessions",
        "every real session verified; totals of the exchange; trading dates; two days under kills",
        _tests(2, "test_real_data.py", "test_sessions.py"),
        0,
    ),
    Part(
        "kills",
        "20 stops and kills, joins and leaves, workers thawed after their sessions",
        _tests(1, "test_kills.py"),
        0,
    ),
    Part(
        "chaos",
        "200 faults of 15 kinds over ten replays: workers, senders, servers, disks",
        ("tests.chaos", "--faults", "200", "--replays", "10"),
        0,
    ),
    Part(
        "sessions-ticks-1",
        "37 days of real ticks at pairs of speed, frame, workers and kills: one result",
        ("tests.sessions", "--only", "ticks", "--share", "1/2"),
        0,
    ),
    Part(
        "sessions-ticks-2",
        "the other pairs",
        ("tests.sessions", "--only", "ticks", "--share", "2/2"),
        0,
    ),
    Part(
        "sessions-chains",
        "27 days of real chains, likewise",
        ("tests.sessions", "--only", "chains"),
        0,
    ),
    Part(
        "latency",
        "ticks to bars, Redis and Pub/Sub beside bare round trips",
        ("tests.bench", "--only", "latency"),
        0,
    ),
)


def part_named(name: str) -> Part:
    """Return a part; KeyError if there is none of that name."""
    return {part.name: part for part in PARTS}[name]
