"""Single quotes of option contracts, taken out of their frames."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import repeat
from math import isfinite
from typing import Final, NamedTuple

from optionstream.schemas.events import (
    LARGEST_FIGURE,
    LEG_COLUMNS,
    OiUnit,
    OptionKind,
    OptionQuoteFrame,
)
from optionstream.streams.core.ticks.columns import Feed

Column = list[float | None]

_NOT_NEGATIVE: Final = ("oi", "volume", "last", "bid", "ask")


class Origin(NamedTuple):
    """What the quotes of a frame have in common."""

    feed: Feed
    oi_unit: OiUnit
    ts_recv: int


class Quote(NamedTuple):
    """One quote. The first four fields order quotes and no two agree in all of them.

    ``offset`` is that of its record, ``position`` its place in the frame. ``figures`` are in the
    order of ``LEG_COLUMNS``, as the source told them, None where it told nothing.
    """

    ts: int
    seq: int
    offset: int
    position: int
    strike: float
    kind: OptionKind
    figures: tuple[float | None, ...]
    underlying_price: float | None
    origin: Origin


def quotes_of(frame: OptionQuoteFrame, offset: int) -> list[Quote]:
    """The quotes of a frame that came in the record at ``offset``."""
    untold: Column = [None] * len(frame.ts_ms)
    columns = (getattr(frame, name) or untold for name in LEG_COLUMNS)
    origin = Origin((frame.source, frame.session), frame.oi_unit, frame.ts_recv)
    rows = zip(
        frame.ts_ms,
        frame.seq,
        repeat(offset),
        range(len(frame.ts_ms)),
        frame.strike,
        frame.kind,
        zip(*columns, strict=True),
        frame.underlying_price or untold,
        repeat(origin),
        strict=False,
    )
    return list(map(Quote._make, rows))


def is_sound(frame: OptionQuoteFrame) -> bool:
    """Whether no quote of the frame can be at fault for its numbers, judged by columns."""
    figures: list[tuple[str, Column | None]] = [
        (name, getattr(frame, name)) for name in LEG_COLUMNS
    ]
    return (
        _are_prices(frame.strike)
        and _are_prices(_told(frame.underlying_price))
        and all(_are_figures(_told(column), name in _NOT_NEGATIVE) for name, column in figures)
    )


def is_sound_quote(quote: Quote) -> bool:
    """Whether the quote's strike and figures can be ("Option quotes", rule 1)."""
    price = quote.underlying_price
    figures = zip(LEG_COLUMNS, quote.figures, strict=True)
    return (
        0 < quote.strike <= LARGEST_FIGURE
        and (price is None or 0 < price <= LARGEST_FIGURE)
        and all(_are_figures(_told([value]), name in _NOT_NEGATIVE) for name, value in figures)
    )


def _told(column: Column | None) -> list[float]:
    return [value for value in column or () if value is not None]


def _are_prices(values: Sequence[float]) -> bool:
    return _are_within(values, 0.0) and 0.0 not in values


def _are_figures(values: Sequence[float], not_negative: bool) -> bool:
    return _are_within(values, 0.0 if not_negative else -LARGEST_FIGURE)


def _are_within(values: Sequence[float], least: float) -> bool:
    """All from ``least`` to the largest figure; the sum finds a NaN, which has no order."""
    return not values or (
        isfinite(sum(values)) and min(values) >= least and max(values) <= LARGEST_FIGURE
    )
