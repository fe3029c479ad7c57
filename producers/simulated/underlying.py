"""The simulated underlying: ticks of one product as arrays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from optionstream.producers.simulated.config import SimulationConfig
from optionstream.producers.simulated.randomness import stream
from optionstream.producers.simulated.specs import ProductSpec

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

TICK_SIZE: Final = 0.05
_TRADING_DAYS: Final = 252
_DAY_MS: Final = 22_500_000
"""A regular session; the underlying's daily variance is spread over it."""
_GRID: Final = 1025


@dataclass(frozen=True, slots=True)
class Ticks:
    """Ticks in order: UTC epoch ms, rupees in steps of 0.05, shares traded so far in the day."""

    ts_ms: Ints
    price: Floats
    volume: Ints

    def price_at(self, ts_ms: Ints) -> Floats:
        """The last price at or before each instant; the first one before there is any."""
        at = np.searchsorted(self.ts_ms, ts_ms, side="right") - 1
        return self.price[np.maximum(at, 0)]


def simulate_ticks(config: SimulationConfig, spec: ProductSpec) -> Ticks:
    """A random walk with more ticks and larger moves near the open and the close."""
    random = stream(config.seed, config.date, spec.product, "ticks")
    length = config.close - config.open
    count = max(1, length // config.tick_interval_ms)
    moments = np.sort(random.random_sample(count))
    at = np.interp(moments, *_inverse_activity())
    ts_ms = config.open + np.clip((at * length).astype(np.int64), 1, length - 1)
    return Ticks(
        ts_ms=ts_ms,
        price=_walk(random, spec, at, length),
        volume=np.cumsum(random.poisson(_mean_lots(spec, at, length))) * spec.lot,
    )


def to_tick_size(values: Floats) -> Floats:
    """Rounded to 0.05. Division by 20 gives the double that the decimal number has."""
    rounded: Floats = np.rint(values * 20.0) / 20.0
    return rounded


def activity(at: Any) -> Any:
    """U-shape over the session (0 to 1): mean 1, three times as high at the ends as at noon."""
    return 0.6 + 1.2 * (2.0 * at - 1.0) ** 2


def _inverse_activity() -> tuple[Floats, Floats]:
    grid = np.linspace(0.0, 1.0, _GRID)
    # The integral of ``activity`` from 0, in closed form; it is 1 at 1.
    reached = 0.6 * grid + 0.2 * ((2.0 * grid - 1.0) ** 3 + 1.0)
    return reached, grid


def _walk(random: np.random.RandomState, spec: ProductSpec, at: Floats, length_ms: int) -> Floats:
    steps = np.diff(at, prepend=0.0)
    daily = spec.volatility / np.sqrt(_TRADING_DAYS)
    spread = daily * np.sqrt(activity(at) * steps * length_ms / _DAY_MS)
    moves = random.standard_normal(at.size) * spread
    opening = spec.price * (1.0 + 0.01 * random.standard_normal())
    return to_tick_size(opening * np.exp(np.cumsum(moves)))


def _mean_lots(spec: ProductSpec, at: Floats, length_ms: int) -> Floats:
    seconds = np.diff(at, prepend=0.0) * length_ms / 1000.0
    mean: Floats = spec.lots_a_second * seconds * activity(at)
    return mean
