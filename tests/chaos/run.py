"""Replays under faults, one after the other, each in a namespace of its own."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from optionstream.deploy.stack import Addresses, Stack
from optionstream.schemas.settings import Settings
from tests.chaos.outcome import Outcome, archived, not_in_topics, outcome
from tests.chaos.schedule import Fault, Step, schedule
from tests.chaos.world import Chaos
from tests.harness.seeded import messy_input

_S_A_FAULT = 4.0
"""Seconds of input for each fault: so long the sender takes if nothing holds it."""

OnStep = Callable[[int, Step], None]


@dataclass(frozen=True, slots=True)
class Plan:
    """How much of what; ``ticks`` and ``chains`` are of each replay."""

    seed: int
    faults: int
    replays: int
    ticks: int
    chains: int
    kinds: tuple[Fault, ...] = tuple(Fault)


def run(
    plan: Plan, stack: Stack, settings: Settings, folder: Path, on_step: OnStep
) -> Iterator[Outcome]:
    """The outcome of each replay as it ends. ``on_step`` is told a replay's number and each fault
    before it happens."""
    addresses = stack.up()
    for number, steps in enumerate(schedule(plan.seed, plan.faults, plan.replays, plan.kinds)):
        place = folder / f"replay-{number}"
        place.mkdir()
        yield _replay(plan, number, steps, stack, addresses, settings, place, on_step)


def _replay(
    plan: Plan,
    number: int,
    steps: list[Step],
    stack: Stack,
    addresses: Addresses,
    settings: Settings,
    folder: Path,
    on_step: OnStep,
) -> Outcome:
    began_s = time.monotonic()
    rng = random.Random(f"{plan.seed}|{number}")
    records = messy_input(rng.randrange(1 << 30), plan.ticks, plan.chains)
    over_s = max(1, len(steps)) * _S_A_FAULT
    chaos = Chaos(stack, addresses, settings, folder, records, over_s, rng)
    try:
        for step in steps:
            on_step(number, step)
            chaos.suffer(step)
        chaos.finish()
        held, unsent = not_in_topics(addresses.kafka, chaos.world.namespace, records)
        report, kept = chaos.world.report(), archived(chaos.world)
    finally:
        chaos.close()
    seconds = time.monotonic() - began_s
    return outcome(number, len(steps), len(chaos.revived), report, held, unsent, seconds, kept)
