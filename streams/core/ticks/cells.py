"""One minute of one product, and how minutes merge into longer windows.

A cell keeps, beside the prices, the (time, order) of the ticks that decide open, close and volume,
so that ticks may come in any order and cells may be merged in any order with the same result.
A candle is a cell as well: that of its four prices, in the minute of its start.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from math import lcm
from typing import Final

from msgspec import Struct

CELL_MS: Final = 60_000
WHOLE_SESSION: Final = 1_440
"""Span of a cell that only the whole session may hold; longer than any other window."""
MAX_VOLUME: Final = (1 << 53) - 1
"""The greatest volume that every client holds exactly; a sum above it is no volume."""
_LONGEST_WINDOW: Final = 60
"""Minutes of the longest window below the session; all shorter ones divide it."""


class Cell(Struct, array_like=True):
    """Aggregate of the ticks and candles of one minute (or, merged, of several). Prices in rupees.

    ``ticks`` counts both. ``v_first`` and ``v_last`` are the cumulative day volumes of the least
    and the greatest (time, order) among the ticks that have one; None if none has. ``traded``
    is the sum of the candles' volumes (``MAX_VOLUME + 1``: more than that), ``with_volume`` and
    ``without_volume`` count candles with and without one. ``span`` is the least length in minutes
    that every candle's length divides: only windows that are a multiple of it can hold the cell.
    """

    first_ts: int
    first_order: int
    open: float
    last_ts: int
    last_order: int
    close: float
    high: float
    low: float
    ticks: int
    v_first_ts: int = 0
    v_first_order: int = 0
    v_first: int | None = None
    v_last_ts: int = 0
    v_last_order: int = 0
    v_last: int | None = None
    traded: int = 0
    with_volume: int = 0
    without_volume: int = 0
    span: int = 1

    def merge(self, other: Cell) -> None:
        """Add all ticks and candles of another cell; of equal (ts, order) the own ones decide."""
        self.ticks += other.ticks
        if other.high > self.high:
            self.high = other.high
        if other.low < self.low:
            self.low = other.low
        ts, order = other.last_ts, other.last_order
        if ts > self.last_ts or (ts == self.last_ts and order > self.last_order):
            self.last_ts, self.last_order, self.close = ts, order, other.close
        ts, order = other.first_ts, other.first_order
        if ts < self.first_ts or (ts == self.first_ts and order < self.first_order):
            self.first_ts, self.first_order, self.open = ts, order, other.open
        if other.v_last is not None:
            self._merge_volumes(other)
        if other.with_volume or other.without_volume:
            self._merge_candles(other)

    def _merge_volumes(self, other: Cell) -> None:
        ts, order = other.v_last_ts, other.v_last_order
        known = self.v_last is not None
        if not known or (ts, order) > (self.v_last_ts, self.v_last_order):
            self.v_last_ts, self.v_last_order, self.v_last = ts, order, other.v_last
        ts, order = other.v_first_ts, other.v_first_order
        if not known or (ts, order) < (self.v_first_ts, self.v_first_order):
            self.v_first_ts, self.v_first_order, self.v_first = ts, order, other.v_first

    def _merge_candles(self, other: Cell) -> None:
        self.traded = min(self.traded + other.traded, MAX_VOLUME + 1)
        self.with_volume += other.with_volume
        self.without_volume += other.without_volume
        self.span = _capped(lcm(self.span, other.span))


def new_cell(ts: int, order: int, price: float, volume: int | None) -> Cell:
    """Return the cell of one tick."""
    if volume is None:
        return Cell(ts, order, price, ts, order, price, price, price, 1)
    return Cell(
        ts, order, price, ts, order, price, price, price, 1, ts, order, volume, ts, order, volume
    )


def cell_of_candle(
    first_ts: int,
    last_ts: int,
    minutes: int,
    prices: tuple[float, float, float, float],
    volume: int | None,
) -> Cell:
    """Return the cell of a candle from its first to its last millisecond (UTC epoch ms), of a
    nominal length in minutes; ``prices`` are open, high, low and close in rupees."""
    open_, high, low, close = prices
    return Cell(
        first_ts,
        0,
        open_,
        last_ts,
        0,
        close,
        high,
        low,
        1,
        traded=volume or 0,
        with_volume=0 if volume is None else 1,
        without_volume=1 if volume is None else 0,
        span=_capped(minutes),
    )


def cell_of_run(
    ts: Sequence[int],
    order: Sequence[int],
    price: Sequence[float],
    volume: Sequence[int | None] | None,
    start: int,
    stop: int,
) -> Cell:
    """Return the cell of ticks ``start..stop-1`` of columns whose (ts, order) rise strictly.

    ``volume`` must be None or without None inside the run.
    """
    prices = price[start:stop]
    last = stop - 1
    cell = Cell(
        ts[start],
        order[start],
        price[start],
        ts[last],
        order[last],
        price[last],
        max(prices),
        min(prices),
        stop - start,
    )
    if volume is not None:
        cell.v_first_ts, cell.v_first_order, cell.v_first = ts[start], order[start], volume[start]
        cell.v_last_ts, cell.v_last_order, cell.v_last = ts[last], order[last], volume[last]
    return cell


def merged(cells: Sequence[Cell]) -> Cell:
    """Return a new cell with the ticks and candles of all ``cells`` (at least one)."""
    whole = copy(cells[0])
    for cell in cells[1:]:
        whole.merge(cell)
    return whole


def _capped(span: int) -> int:
    """Return the span, or ``WHOLE_SESSION`` for one that fits no shorter window."""
    return span if _LONGEST_WINDOW % span == 0 else WHOLE_SESSION
