"""One minute of one product, and how minutes merge into longer windows.

A cell keeps, beside the prices, the (time, order) of the ticks that decide open, close and volume,
so that ticks may come in any order and cells may be merged in any order with the same result.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

CELL_MS = 60_000
BLOCK_MS = 900_000
"""Closed minutes are stored by blocks; no window is longer than a block or crosses two."""


class Cell(Struct, array_like=True):
    """Aggregate of the ticks of one minute (or, merged, of several). Prices in rupees.

    ``v_first`` and ``v_last`` are the cumulative day volumes of the least and the greatest
    (time, order) among the ticks that tell one; None when none does.
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

    def add(self, ts: int, order: int, price: float, volume: int | None) -> None:
        """Take one tick; of equal (ts, order) the first taken decides."""
        self.ticks += 1
        if price > self.high:
            self.high = price
        elif price < self.low:
            self.low = price
        if ts > self.last_ts or (ts == self.last_ts and order > self.last_order):
            self.last_ts, self.last_order, self.close = ts, order, price
        elif ts < self.first_ts or (ts == self.first_ts and order < self.first_order):
            self.first_ts, self.first_order, self.open = ts, order, price
        if volume is not None:
            self.add_volume(ts, order, volume)

    def add_volume(self, ts: int, order: int, volume: int) -> None:
        """Take the cumulative volume that one tick tells."""
        if self.v_last is None:
            self.v_first_ts, self.v_first_order, self.v_first = ts, order, volume
            self.v_last_ts, self.v_last_order, self.v_last = ts, order, volume
        elif (ts, order) > (self.v_last_ts, self.v_last_order):
            self.v_last_ts, self.v_last_order, self.v_last = ts, order, volume
        elif (ts, order) < (self.v_first_ts, self.v_first_order):
            self.v_first_ts, self.v_first_order, self.v_first = ts, order, volume

    def merge(self, other: Cell) -> None:
        """Take all ticks of another cell."""
        self.ticks += other.ticks
        self.high = max(self.high, other.high)
        self.low = min(self.low, other.low)
        if (other.last_ts, other.last_order) > (self.last_ts, self.last_order):
            self.last_ts, self.last_order, self.close = (
                other.last_ts,
                other.last_order,
                other.close,
            )
        if (other.first_ts, other.first_order) < (self.first_ts, self.first_order):
            self.first_ts, self.first_order, self.open = (
                other.first_ts,
                other.first_order,
                other.open,
            )
        if other.v_first is not None and other.v_last is not None:
            self.add_volume(other.v_first_ts, other.v_first_order, other.v_first)
            self.add_volume(other.v_last_ts, other.v_last_order, other.v_last)


def new_cell(ts: int, order: int, price: float, volume: int | None) -> Cell:
    """The cell of one tick."""
    cell = Cell(ts, order, price, ts, order, price, price, price, 1)
    if volume is not None:
        cell.add_volume(ts, order, volume)
    return cell


def cell_of_run(
    ts: Sequence[int],
    order: Sequence[int],
    price: Sequence[float],
    volume: Sequence[int | None] | None,
    start: int,
    stop: int,
) -> Cell:
    """The cell of ticks ``start..stop-1`` of columns whose (ts, order) rise strictly.

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
    """A new cell with the ticks of all ``cells`` (at least one)."""
    first = cells[0]
    whole = Cell(*(getattr(first, name) for name in Cell.__struct_fields__))
    for cell in cells[1:]:
        whole.merge(cell)
    return whole
