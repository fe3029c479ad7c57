"""What befalls the workers of one group while its input comes."""

from __future__ import annotations

import random
import signal
from collections.abc import Callable

from tests.harness.input import pause
from tests.harness.running import Running

FROZEN_S = 9.0
"""Past the session timeout of 6 s."""
_KILLS = 4


def killed_again_and_again(
    world: Running,
    group: str,
    rng: random.Random,
    while_dead: Callable[[], None] = lambda: None,
) -> None:
    """The first worker, by SIGKILL, each time followed by another."""
    for _ in range(_KILLS):
        pause(rng, 0.5, 2.5)
        world.kill(world.workers[f"{group}-1"], signal.SIGKILL)
        while_dead()
        world.start(group)


def joined_frozen_and_killed(world: Running, group: str, rng: random.Random) -> None:
    """A second worker joins; the first freezes past its session and thaws; the second is killed."""
    world.start(group, "2")
    pause(rng, 1.0, 3.0)
    world.workers[f"{group}-1"].send(signal.SIGSTOP)
    pause(rng, FROZEN_S, FROZEN_S)
    world.workers[f"{group}-1"].send(signal.SIGCONT)
    pause(rng, 0.0, 1.0)
    world.kill(world.workers[f"{group}-2"], signal.SIGKILL)
    world.start(group, "2")
