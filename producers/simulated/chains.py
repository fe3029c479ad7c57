"""The simulated option chains of one product: every expiry at every capture."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from optionstream.producers.simulated.config import SOURCE, SimulationConfig
from optionstream.producers.simulated.expiries import expiries_of, expiry_ms
from optionstream.producers.simulated.interest import simulate_activity
from optionstream.producers.simulated.pricing import price_options
from optionstream.producers.simulated.randomness import stream
from optionstream.producers.simulated.specs import ProductSpec
from optionstream.producers.simulated.underlying import (
    TICK_SIZE,
    Floats,
    Ints,
    Ticks,
    to_tick_size,
)
from optionstream.schemas.events import ChainSnapshot, Legs

Column = list[list[float | None]]
"""By capture, then by strike."""

_SPREAD: Final = 0.004
"""Half the distance of bid and ask, as a share of the price; a tick at least."""


@dataclass(frozen=True, slots=True)
class _Captures:
    """When the chain is taken, and what it is taken around."""

    ts_ms: Ints
    spot: Floats
    grid: Floats
    """Every strike that a chain of the day shows."""
    columns: Ints
    """Captures × strikes: positions in ``grid``."""
    at_the_money: Floats
    """Volatility a month out at each capture."""


def simulate_chains(
    config: SimulationConfig, spec: ProductSpec, ticks: Ticks
) -> Iterator[ChainSnapshot]:
    """Snapshots in order of time and expiry, numbered from 1; one capture has all expiries."""
    captures = _captures(config, spec, ticks)
    if not captures.ts_ms.size:
        return
    expiries = expiries_of(spec, config.day)
    sides = [
        _sides(config, spec, captures, day.isoformat(), rank, expiry_ms(day))
        for rank, day in enumerate(expiries)
    ]
    strikes = captures.grid[captures.columns].tolist()
    stamps, spot = captures.ts_ms.tolist(), captures.spot.tolist()
    for at, ts_event in enumerate(stamps):
        for rank, day in enumerate(expiries):
            calls, puts = sides[rank]
            yield ChainSnapshot(
                product=spec.product,
                expiry=day.isoformat(),
                source=SOURCE,
                ts_event=ts_event,
                ts_recv=ts_event,
                oi_unit="shares",
                strikes=strikes[at],
                calls=Legs(*(column[at] for column in calls)),
                puts=Legs(*(column[at] for column in puts)),
                underlying_price=spot[at],
                capture_id=f"{config.label}-{at + 1}",
                expiries_in_capture=len(expiries),
                session=config.label,
                seq=at * len(expiries) + rank + 1,
            )


def _captures(config: SimulationConfig, spec: ProductSpec, ticks: Ticks) -> _Captures:
    every = config.chain_every_s * 1000
    # Products take turns, as one poller would.
    first = config.open + every - 137 * config.products.index(spec.product) % every
    ts_ms = np.arange(first, config.close, every, dtype=np.int64)
    spot = ticks.price_at(ts_ms)
    if not ts_ms.size:
        nothing = np.empty(0, np.float64)
        return _Captures(ts_ms, spot, nothing, np.empty((0, 0), np.int64), nothing)
    middle = np.rint(spot / spec.strike_step).astype(np.int64)
    low = middle - spec.strikes // 2
    lowest = max(int(low.min()), 1)
    offsets = np.maximum(low, lowest) - lowest
    columns = offsets[:, None] + np.arange(spec.strikes)
    steps = np.arange(lowest, lowest + int(columns.max()) + 1)
    grid = (steps * spec.strike_step).astype(np.float64)
    random = stream(config.seed, config.date, spec.product, "volatility")
    drift = np.cumsum(random.standard_normal(ts_ms.size)) * (0.03 / np.sqrt(ts_ms.size))
    return _Captures(ts_ms, spot, grid, columns, spec.volatility * np.exp(drift))


def _sides(
    config: SimulationConfig,
    spec: ProductSpec,
    captures: _Captures,
    expiry: str,
    rank: int,
    expires_ms: int,
) -> tuple[tuple[Column, ...], tuple[Column, ...]]:
    """Calls and puts of one expiry: the seven columns of ``Legs``."""
    strikes = captures.grid[captures.columns]
    to_expiry = (expires_ms - captures.ts_ms).astype(np.float64)
    quotes = price_options(captures.spot, strikes, to_expiry, captures.at_the_money)
    iv = (np.rint(quotes.volatility * 10_000.0) / 100.0).tolist()
    both = []
    for name, side, fair in (("calls", 1, quotes.call), ("puts", -1, quotes.put)):
        random = stream(config.seed, config.date, spec.product, expiry, name)
        activity = simulate_activity(random, spec, captures.grid, captures.spot, side, rank)
        lots = (activity.oi, activity.oi - activity.oi_before, activity.volume)
        taken = (np.take_along_axis(each, captures.columns, axis=1) for each in lots)
        both.append((*((each * spec.lot).tolist() for each in taken), iv, *_prices(random, fair)))
    return both[0], both[1]


def _prices(random: np.random.RandomState, fair: Floats) -> tuple[Column, Column, Column]:
    """Last, bid and ask around fair values; no bid where it would be below one tick."""
    half = np.maximum(fair * _SPREAD, TICK_SIZE)
    middle = fair + half * random.uniform(-0.5, 0.5, fair.shape)
    bid = to_tick_size(middle - half)
    ask = np.maximum(to_tick_size(middle + half), np.maximum(bid, 0.0) + TICK_SIZE)
    last = np.maximum(
        to_tick_size(middle + half * random.uniform(-1.0, 1.0, fair.shape)), TICK_SIZE
    )
    shown = [[price if price >= TICK_SIZE else None for price in row] for row in bid.tolist()]
    return last.tolist(), shown, to_tick_size(ask).tolist()
