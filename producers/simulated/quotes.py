"""The simulated chains as a feed of single contracts: quotes of what has changed since the last."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby
from operator import attrgetter
from typing import Final, NamedTuple

import numpy as np

from optionstream.producers.simulated.chains import simulate_chains
from optionstream.producers.simulated.config import SOURCE, SimulationConfig
from optionstream.producers.simulated.randomness import stream
from optionstream.producers.simulated.specs import ProductSpec
from optionstream.producers.simulated.underlying import Ticks
from optionstream.schemas.events import (
    LEG_COLUMNS,
    ChainSnapshot,
    OptionKind,
    OptionQuoteFrame,
)

_PRICES: Final = ("last", "bid", "ask")
_KINDS: Final[tuple[OptionKind, ...]] = ("CE", "PE")

_Figures = tuple[float | None, ...]
_Contract = tuple[str, float, OptionKind]
"""Expiry, strike, kind."""


class _Quote(NamedTuple):
    ts_ms: int
    strike: float
    kind: OptionKind
    figures: _Figures
    """In the order of ``LEG_COLUMNS``, None for what has not changed."""


def simulate_quotes(
    config: SimulationConfig, spec: ProductSpec, ticks: Ticks
) -> Iterator[OptionQuoteFrame]:
    """Frames, in order of their last quote, of the quotes that lead to ``simulate_chains``.

    The quotes of a capture fall into the time since the one before, up to its own; together with
    those before they tell the legs of its snapshots. They are numbered from 1 by capture, expiry
    and time. A contract that shows nothing new has no quote.
    """
    told: dict[_Contract, _Figures] = {}
    random = stream(config.seed, config.date, spec.product, "quotes")
    number = 1
    for _, capture in groupby(simulate_chains(config, spec, ticks), attrgetter("capture_id")):
        frames = []
        for chain in capture:
            quotes = _quotes(config, random, chain, told)
            for part in _cut(config, quotes):
                frames.append(_frame(chain, part, number, ticks))
                number += len(part)
        yield from sorted(frames, key=lambda frame: (frame.ts_recv, frame.seq))


def _quotes(
    config: SimulationConfig,
    random: np.random.RandomState,
    chain: ChainSnapshot,
    told: dict[_Contract, _Figures],
) -> list[_Quote]:
    """The quotes that lead to one snapshot, in order of time."""
    span = min(config.chain_every_s * 1000, chain.ts_event - config.open)
    ages = (random.random_sample((len(_KINDS), len(chain.strikes))) * span).astype(np.int64)
    return sorted(_changes(chain, ages.tolist(), told))


def _changes(
    chain: ChainSnapshot, ages: list[list[int]], told: dict[_Contract, _Figures]
) -> Iterator[_Quote]:
    """What the chain's legs show that was not told before; ``ages`` are ms before the chain."""
    for kind, legs, side in zip(_KINDS, (chain.calls, chain.puts), ages, strict=True):
        columns = (
            # A quote says 0 where there is no price; None would say nothing.
            [value or 0.0 for value in column] if name in _PRICES else column
            for name, column in ((name, getattr(legs, name)) for name in LEG_COLUMNS)
        )
        for strike, age, *figures in zip(chain.strikes, side, *columns, strict=True):
            contract = (chain.expiry, strike, kind)
            before = told.get(contract, (None,) * len(figures))
            told[contract] = tuple(figures)
            news = tuple(
                None if new == old else new for new, old in zip(figures, before, strict=True)
            )
            if any(value is not None for value in news):
                yield _Quote(chain.ts_event - age, strike, kind, news)


def _cut(config: SimulationConfig, quotes: list[_Quote]) -> Iterator[list[_Quote]]:
    """Frames of at most ``frame_ticks`` quotes, none across a multiple of ``frame_ms``."""
    for _, group in groupby(quotes, lambda quote: (quote.ts_ms - config.open) // config.frame_ms):
        part = list(group)
        for low in range(0, len(part), config.frame_ticks):
            yield part[low : low + config.frame_ticks]


def _frame(
    chain: ChainSnapshot, quotes: list[_Quote], number: int, ticks: Ticks
) -> OptionQuoteFrame:
    stamps = [quote.ts_ms for quote in quotes]
    figures = zip(*(quote.figures for quote in quotes), strict=True)
    columns = {name: _column(values) for name, values in zip(LEG_COLUMNS, figures, strict=True)}
    return OptionQuoteFrame(
        product=chain.product,
        expiry=chain.expiry,
        source=SOURCE,
        session=chain.session,
        ts_recv=stamps[-1],
        oi_unit=chain.oi_unit,
        ts_ms=stamps,
        seq=list(range(number, number + len(quotes))),
        strike=[quote.strike for quote in quotes],
        kind=[quote.kind for quote in quotes],
        underlying_price=ticks.price_at(np.array(stamps, dtype=np.int64)).tolist(),
        **columns,
    )


def _column(values: Iterable[float | None]) -> list[float | None] | None:
    """None when no quote of the frame tells the figure."""
    column = list(values)
    return None if all(value is None for value in column) else column
