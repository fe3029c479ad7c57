"""Chain tables with a strike in each row: calls on one side, puts on the other. Pure.

The three tables of the exchange's pages (website export, pages of 2018–19, flat files of a
scraper) share it; ``-``, ``NA`` and an empty cell are none, commas inside a number are grouping.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from optionstream.producers.feeds.chains.legs import Leg, make_leg
from optionstream.producers.feeds.files.csv_table import EMPTY, parse_number

Columns = Mapping[str, int]
LegColumns = tuple[int | None, ...]
"""Where a leg's figures stand, in the order of ``Leg``; None for what the table lacks."""


@dataclass(frozen=True, slots=True)
class WideLayout:
    strike: int
    call: LegColumns
    put: LegColumns
    spot: int | None = None


class WideRow(NamedTuple):
    number: int
    cells: list[str]
    strike: float | None
    call: Leg
    put: Leg
    spot: float | None


def wide_rows(
    rows: Iterable[tuple[int, list[str]]], layout: WideLayout, problems: list[str]
) -> Iterator[WideRow]:
    """The rows whose cells are numbers or empty; the others are told in ``problems``."""
    for number, cells in rows:
        try:
            strike = cell_number(cells[layout.strike])
            call, put = _leg(cells, layout.call), _leg(cells, layout.put)
            spot = None if layout.spot is None else cell_number(cells[layout.spot])
        except ValueError as error:
            problems.append(f"row {number}: {error}")
            continue
        yield WideRow(number, cells, strike, call, put, spot)


def cell_number(text: str) -> float | None:
    """``2,05,721`` → 205721.0; None for an empty cell, ``-`` or ``NA``. Raises ValueError."""
    if text == "-" or text.strip().lower() in EMPTY:
        return None
    return parse_number(text)


def leg_columns(names: tuple[str | None, ...], columns: Columns) -> LegColumns:
    """Where the named figures stand in a table."""
    return tuple(None if name is None else columns.get(name) for name in names)


def _leg(cells: list[str], at: LegColumns) -> Leg:
    return make_leg(*(None if index is None else cell_number(cells[index]) for index in at))
