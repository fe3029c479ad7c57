"""Open interest and traded volume of the simulated contracts, in lots, on a fixed strike grid."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from optionstream.producers.simulated.specs import ProductSpec
from optionstream.producers.simulated.underlying import Floats

_PULL: Final = 0.01
"""Share of the distance to its target that open interest goes from one capture to the next."""
_UNREST: Final = 0.004
"""Standard deviation of one step, as a share of the target."""
_ROUND_STEPS: Final = 10
"""Every tenth strike is a round number, at which positions gather."""


@dataclass(frozen=True, slots=True)
class Activity:
    """Captures × strikes, in lots: open interest, the previous day's (one row), volume so far."""

    oi: Floats
    oi_before: Floats
    volume: Floats


def simulate_activity(
    random: np.random.RandomState,
    spec: ProductSpec,
    grid: Floats,
    spot: Floats,
    side: int,
    expiry_rank: int,
) -> Activity:
    """``grid`` are the strikes, ``spot`` the underlying at each capture, ``side`` 1 for calls and
    -1 for puts, ``expiry_rank`` 0 for the nearest expiry."""
    size = spec.near_oi_lots / (1.0 + 1.5 * expiry_rank)
    target = size * _profile(spec, grid, float(spot[0]), side)
    before = np.rint(target * random.uniform(0.75, 1.25, grid.size))
    return Activity(
        oi=_interest(random, target, before, spot.size),
        oi_before=before,
        volume=_volume(random, spec, grid, spot, size),
    )


def _profile(spec: ProductSpec, grid: Floats, spot: float, side: int) -> Floats:
    """Open interest by strike: most a little out of the money, more at round numbers."""
    steps = (grid - spot) / spec.strike_step
    hump = np.exp(-(((steps - 4.0 * side) / 9.0) ** 2))
    at_round_number = np.rint(grid / spec.strike_step) % _ROUND_STEPS == 0
    profile: Floats = (0.04 + hump) * np.where(at_round_number, 1.8, 1.0)
    return profile


def _interest(
    random: np.random.RandomState, target: Floats, before: Floats, captures: int
) -> Floats:
    unrest = random.standard_normal((captures, target.size)) * (_UNREST * target)
    oi = np.empty_like(unrest)
    now = before
    for capture in range(captures):
        now = np.maximum(now + _PULL * (target - now) + unrest[capture], 0.0)
        oi[capture] = now
    return np.rint(oi)


def _volume(
    random: np.random.RandomState, spec: ProductSpec, grid: Floats, spot: Floats, size: float
) -> Floats:
    """Trading follows the money: most at the strikes near the underlying of the moment."""
    steps = (grid[None, :] - spot[:, None]) / spec.strike_step
    mean = 0.02 * size * np.exp(-((steps / 5.0) ** 2)) + 0.05
    volume: Floats = np.cumsum(random.poisson(mean), axis=0).astype(np.float64)
    return volume
