"""What happens when: everything follows from the seed. Pure."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Fault(StrEnum):
    """Something that goes wrong, each counted as one."""

    KILL_ANALYTICS = "kill analytics"
    KILL_LATEST = "kill latest"
    KILL_HISTORY = "kill history"
    KILL_AUDIT = "kill audit"
    KILL_PRODUCER = "kill producer"
    FREEZE_ANALYTICS = "freeze analytics"
    FREEZE_LATEST = "freeze latest"
    FREEZE_HISTORY = "freeze history"
    REBALANCE = "rebalance"
    RESEND = "resend"
    STOP_KAFKA = "stop kafka"
    STOP_MONGO = "stop mongo"
    STOP_REDIS = "stop redis"
    FLUSH_REDIS = "flush redis"
    FILL_DISK = "fill audit's disk"


WEIGHTS: Final = {
    Fault.KILL_ANALYTICS: 8,
    Fault.KILL_LATEST: 5,
    Fault.KILL_HISTORY: 5,
    Fault.KILL_AUDIT: 3,
    Fault.KILL_PRODUCER: 4,
    Fault.FREEZE_ANALYTICS: 1,
    Fault.FREEZE_LATEST: 1,
    Fault.FREEZE_HISTORY: 1,
    Fault.REBALANCE: 3,
    Fault.RESEND: 3,
    Fault.STOP_KAFKA: 2,
    Fault.STOP_MONGO: 2,
    Fault.STOP_REDIS: 2,
    Fault.FLUSH_REDIS: 3,
    Fault.FILL_DISK: 2,
}
"""How often each comes: what costs most time (a session that has to end) comes seldom."""

LONGEST_PAUSE_S: Final = 1.5


@dataclass(frozen=True, slots=True)
class Step:
    """One fault; ``at`` is the part of the input that may have been sent by then, and
    ``pause_s`` how long after that it comes."""

    fault: Fault
    at: float
    pause_s: float


def schedule(
    seed: int, faults: int, replays: int, kinds: Sequence[Fault] = tuple(Fault)
) -> list[list[Step]]:
    """Return the steps of each replay.

    Each of the kinds comes at least once in all, if there is room for it; the rest are drawn by
    weight.
    """
    rng = random.Random(seed)
    drawn = list(kinds)[:faults]
    weights = [WEIGHTS[kind] for kind in kinds]
    drawn += rng.choices(kinds, weights, k=faults - len(drawn))
    rng.shuffle(drawn)
    return [_spread(drawn[number::replays], rng) for number in range(replays)]


def _spread(faults: Sequence[Fault], rng: random.Random) -> list[Step]:
    return [
        Step(fault, (number + 1) / (len(faults) + 1), rng.uniform(0.0, LONGEST_PAUSE_S))
        for number, fault in enumerate(faults)
    ]
