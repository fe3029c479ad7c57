"""The seed of a run of tests, and the slices of long checks that follow from it."""

from __future__ import annotations

import os
import random
import secrets
from collections.abc import MutableMapping, Sequence
from typing import TypeVar

T = TypeVar("T")

SEED_VARIABLE = "OPTIONSTREAM_TEST_SEED"
WHOLE_VARIABLE = "OPTIONSTREAM_TEST_WHOLE"
_SEEDS = 1_000_000


def choose_seed(env: MutableMapping[str, str]) -> int:
    """Return the seed of this run: the one in ``env``, else a new one, which is put there.

    Processes of the run inherit it. ValueError if what is there is no whole number.
    """
    raw = env.get(SEED_VARIABLE)
    seed = int(raw) if raw else secrets.randbelow(_SEEDS)
    env[SEED_VARIABLE] = str(seed)
    return seed


def again(seed: int) -> str:
    """Say how to repeat a run."""
    return f"seed {seed} (again with {SEED_VARIABLE}={seed})"


def new_seed() -> int:
    """Return the seed of this run and print it, so that a failed test shows it."""
    seed = choose_seed(os.environ)
    print(again(seed))
    return seed


def is_whole() -> bool:
    """Return True if everything is to run, and not a slice of it."""
    return os.environ.get(WHOLE_VARIABLE) == "1"


def amount(whole: T, part: T) -> T:
    """Return ``whole`` if everything is to run, else ``part``."""
    return whole if is_whole() else part


def slice_of(cases: Sequence[T], count: int, name: str) -> list[T]:
    """Return ``count`` of the cases, in their order: a slice of the run's seed, or all in a soak.

    The cases are dealt into slices of that size by ``name``, and the seed chooses one of them. All
    cases are returned under OPTIONSTREAM_TEST_WHOLE=1.
    """
    if is_whole() or count >= len(cases):
        return list(cases)
    places = random.Random(name).sample(range(len(cases)), len(cases))
    slices = -(-len(cases) // count)
    begin = choose_seed(os.environ) % slices * count
    chosen = [places[at % len(cases)] for at in range(begin, begin + count)]
    return [cases[at] for at in sorted(chosen)]
