"""One case: a namespace with its workers, ``optionstream replay`` into it, and kills meanwhile."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from optionstream.deploy.stack import Addresses
from optionstream.schemas import topics
from optionstream.schemas.settings import Settings
from tests.harness.running import Running, running
from tests.sessions.cases import Case

_AT_WORK_S = 120.0
_LONGEST_S = 1_800.0
_LOOK_AGAIN_S = 0.1
_FIRST_KILLS_S = (0.5, 2.0)
_LATER_KILLS_S = (2.0, 8.0)
"""Between two kills: until each group had one, and then."""
_SHOWN = 5


@dataclass(slots=True)
class Outcome:
    """What became of a case. ``wrong`` are lines that say what should not be; none when all is
    well."""

    case: Case
    records: int = 0
    ticks: int = 0
    chains: int = 0
    kills: dict[str, int] = field(default_factory=dict)
    """By group, while the replay ran."""
    seconds: float = 0.0
    compared: int = 0
    """Values compared with the reference, or with the batch computation."""
    wrong: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        return not self.wrong

    @property
    def row(self) -> dict[str, str]:
        """How the table tells it."""
        return self.case.row | {
            "kills": f"{sum(self.kills.values())}",
            "records": f"{self.records:,}",
            "ticks": f"{self.ticks:,}",
            "chains": f"{self.chains:,}",
            "compared": f"{self.compared:,}",
            "result": "the same" if self.ok else "WRONG",
            "seconds": f"{self.seconds:,.0f}",
        }


class Replayed:
    """A case that ran, and its namespace, as long as the block of ``replayed`` lasts."""

    def __init__(self, world: Running, outcome: Outcome) -> None:
        self.world = world
        self.outcome = outcome

    def verify(self) -> None:
        """Hold the namespace against the batch computation."""
        told = self._verify()
        self._note(told, sum(told["checked"].values()))

    def compare(self, other: Replayed) -> None:
        """Hold it against another case of the same session."""
        told = self._verify("--against", other.world.namespace.name)
        self._note(told, sum(told["compared"].values()))

    def _verify(self, *more: str) -> dict[str, Any]:
        argv = _command("verify", self.world.namespace.name, *more, "--json")
        ran = subprocess.run(argv, env=self.world.env, capture_output=True, text=True, check=False)
        if ran.returncode not in (0, 1):
            raise RuntimeError(f"{self.outcome.case.told}: {ran.stderr.strip()}")
        told: dict[str, Any] = json.loads(ran.stdout)
        return told

    def _note(self, told: dict[str, Any], compared: int) -> None:
        self.outcome.compared = compared
        if not told["ok"]:
            self.outcome.wrong += [f"{told['difference_totals']}", *map(str, told["differences"])][
                :_SHOWN
            ]


@contextmanager
def replayed(
    case: Case, files: Path, addresses: Addresses, settings: Settings, folder: Path, seed: int
) -> Iterator[Replayed]:
    """Run the case in a namespace of its own; ``files`` is the session's folder. The kills follow
    from the seed, their moments are real time."""
    began_s = time.monotonic()
    folder.mkdir(parents=True, exist_ok=True)
    outcome = Outcome(case)
    with running(addresses, settings, folder) as world:
        _start_workers(world, case.workers)
        _replay(world, case, files, outcome, random.Random(f"{seed}|{case.told}"))
        world.stop()
        outcome.seconds = time.monotonic() - began_s
        yield Replayed(world, outcome)


def _start_workers(world: Running, analytics: int) -> None:
    """All of them at work, so that the replay starts none of its own."""
    names = [str(number) for number in range(1, analytics + 1)]
    for name in names:
        world.start("analytics", name)
    for group in topics.GROUPS[1:]:
        world.start(group)
    world.wait_for(
        lambda: (
            all(world.owned_by("analytics", name) for name in names)
            and all(world.owned_by(group, "1") for group in topics.GROUPS[1:])
        ),
        "every worker to have partitions",
        _AT_WORK_S,
    )


def _replay(world: Running, case: Case, files: Path, outcome: Outcome, rng: random.Random) -> None:
    argv = _command("replay", *map(str, case.session.paths(files)), "--json")
    argv += ["--namespace", world.namespace.name, "--frame", str(case.frame)]
    argv += ["--speed", "max" if case.speed is None else f"{case.speed:g}"]
    out, err = world.folder / "replay.json", world.folder / "replay.log"
    with out.open("wb") as told, err.open("wb") as said:
        process = subprocess.Popen(argv, env=world.env, stdout=told, stderr=said)
    try:
        _live_through(process, world, case, outcome, rng)
    finally:
        if process.poll() is None:
            process.terminate()
        process.wait(60)
    if process.returncode:
        why = err.read_text().strip()
        raise RuntimeError(f"{case.told}: replay ended with {process.returncode}: {why}")
    row = json.loads(out.read_text())
    outcome.records, outcome.ticks, outcome.chains = row["records"], row["ticks"], row["chains"]


def _live_through(
    process: subprocess.Popen[bytes],
    world: Running,
    case: Case,
    outcome: Outcome,
    rng: random.Random,
) -> None:
    """Until the replay ends; kills, if there are to be any, from when something is in Kafka on."""
    until_s = time.monotonic() + _LONGEST_S
    due_s, turn = 0.0, 0
    killed_at: dict[str, int] = {}
    while process.poll() is None:
        now_s = time.monotonic()
        if now_s > until_s:
            raise RuntimeError(f"{case.told}: not at its end after {_LONGEST_S:.0f} s")
        world.revive()
        if case.killed and now_s >= due_s and any(world.input_ends().values()):
            group = topics.GROUPS[turn % len(topics.GROUPS)]
            turn += 1
            progress = world.progress(group)
            if progress > killed_at.get(group, -1):  # else its successor is not at work yet
                outcome.kills[group] = outcome.kills.get(group, 0) + _kill(world, group, rng)
                killed_at[group] = progress
            first = turn < len(topics.GROUPS)
            due_s = time.monotonic() + rng.uniform(*_FIRST_KILLS_S if first else _LATER_KILLS_S)
        time.sleep(_LOOK_AGAIN_S)
    if case.killed and (missed := [g for g in topics.GROUPS if not outcome.kills.get(g)]):
        outcome.wrong.append(f"over before anybody was killed of {', '.join(missed)}")


def _kill(world: Running, group: str, rng: random.Random) -> int:
    """``kill -9`` of one of the group that has records to work on, and another in its place; how
    many were killed."""
    ends = {place for place, end in world.input_ends().items() if end}
    owners = {at: one.instance for at, one in world.offsets.owners(group).items()}
    busy = sorted({owners[place] for place in ends & owners.keys()})
    chosen = rng.choice(busy or sorted(set(owners.values())) or ["1"])
    worker = world.workers[f"{group}-{chosen}"]
    if worker.process.poll() is not None:
        return 0
    world.kill(worker, signal.SIGKILL)
    world.start(group, chosen)
    return 1


def _command(*args: str) -> list[str]:
    return [sys.executable, "-m", "optionstream", *args]
