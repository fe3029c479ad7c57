"""The simulated market: ticks, chains or option quotes, and heartbeats of several products in order
of event time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from heapq import merge
from typing import Final

import numpy as np

from optionstream.producers.simulated.chains import simulate_chains
from optionstream.producers.simulated.config import SOURCE, SimulationConfig
from optionstream.producers.simulated.quotes import simulate_quotes
from optionstream.producers.simulated.specs import ProductSpec
from optionstream.producers.simulated.underlying import Ints, Ticks, simulate_ticks
from optionstream.schemas.events import (
    ChainSnapshot,
    Heartbeat,
    MarketEvent,
    OptionQuoteFrame,
    TickFrame,
)

CLOSING_HEARTBEAT_MS: Final = 5_000
"""How long after the close the last heartbeat says that the session is over."""

Placed = tuple[int, int, int, int, MarketEvent]
"""Event time, kind, product and number within both: a total order, the event never compared."""
_FRAME, _CHAIN, _QUOTES, _HEARTBEAT = range(4)


class SimulatedMarket:
    """A market made from its configuration alone: no clock, no IO.

    The ticks of a day are computed when ``events`` starts (some MB), the events one by one.
    """

    def __init__(self, config: SimulationConfig) -> None:
        self.config = config

    def events(self) -> Iterator[MarketEvent]:
        """All events in order of event time, a frame standing at its last tick. A heartbeat of a
        time comes after the ticks up to that time. Receipt time equals event time."""
        products = [self._product(at, name) for at, name in enumerate(self.config.products)]
        for *_, event in merge(*(stream for streams in products for stream in streams)):
            yield event

    def _product(self, at: int, product: str) -> tuple[Iterable[Placed], ...]:
        config, spec = self.config, self.config.spec(product)
        ticks = simulate_ticks(config, spec)
        beats = heartbeat_times(config)
        return (
            _placed_frames(at, _FRAME, frames(config, spec, ticks, beats)),
            self._options(at, spec, ticks),
            _placed_beats(at, product, beats),
        )

    def _options(self, at: int, spec: ProductSpec, ticks: Ticks) -> Iterable[Placed]:
        if self.config.quotes:
            return _placed_frames(at, _QUOTES, simulate_quotes(self.config, spec, ticks))
        return _placed_chains(at, simulate_chains(self.config, spec, ticks))


def heartbeat_times(config: SimulationConfig) -> list[int]:
    """Every ``heartbeat_every_s`` inside the session, and once behind the close."""
    every = config.heartbeat_every_s * 1000
    inside = range(config.open + every, config.close, every)
    return [*inside, config.close + CLOSING_HEARTBEAT_MS]


def frames(
    config: SimulationConfig, spec: ProductSpec, ticks: Ticks, beats: list[int]
) -> Iterator[TickFrame]:
    """The ticks, cut after ``frame_ticks`` ticks, every ``frame_ms`` and at each heartbeat: a
    heartbeat must not overtake a tick that still waits in an open frame."""
    for low, high in _cuts(config, ticks.ts_ms, beats):
        stamps = ticks.ts_ms[low:high].tolist()
        yield TickFrame(
            product=spec.product,
            source=SOURCE,
            session=config.label,
            ts_recv=stamps[-1],
            ts_ms=stamps,
            price=ticks.price[low:high].tolist(),
            seq=list(range(low + 1, high + 1)),
            volume=ticks.volume[low:high].tolist(),
        )


def _cuts(config: SimulationConfig, ts_ms: Ints, beats: list[int]) -> Iterator[tuple[int, int]]:
    times = {*range(config.open, config.close, config.frame_ms), *beats}
    ends = np.searchsorted(ts_ms, np.array(sorted(times), dtype=np.int64), side="right")
    low = 0
    for end in ends.tolist():
        while low < end:
            high = min(end, low + config.frame_ticks)
            yield low, high
            low = high


def _placed_frames(
    at: int, kind: int, frames: Iterable[TickFrame | OptionQuoteFrame]
) -> Iterator[Placed]:
    return ((frame.ts_recv, kind, at, n, frame) for n, frame in enumerate(frames))


def _placed_chains(at: int, chains: Iterable[ChainSnapshot]) -> Iterator[Placed]:
    return ((chain.ts_event, _CHAIN, at, n, chain) for n, chain in enumerate(chains))


def _placed_beats(at: int, product: str, beats: list[int]) -> Iterator[Placed]:
    for n, time in enumerate(beats):
        beat = Heartbeat(product=product, source=SOURCE, ts_event=time, ts_recv=time)
        yield time, _HEARTBEAT, at, n, beat
