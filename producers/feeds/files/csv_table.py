"""CSV with a header row, cell by cell as it was written. Pure."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from math import isfinite
from typing import Final

from optionstream.producers.feeds.times import instant_ms
from optionstream.schemas.errors import InputError

EMPTY: Final = frozenset(("", "-", "na", "nan", "none", "null"))
"""Cells without a value, in lower case."""
_NUMBER: Final = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?", re.ASCII)
EXACT: Final = 1 << 53
_SHOWN_CHARS: Final = 40


@dataclass(frozen=True, slots=True)
class Table:
    """``columns`` are the header's names (``normal_name``); the first of equal ones counts."""

    columns: dict[str, int]
    rows: Iterator[tuple[int, list[str]]]
    """Line number in the file and cells, as many as the header has. Empty rows are left out, those
    of another length are reported as problems."""

    def find_column(self, names: Iterable[str]) -> int | None:
        """Return the place of the first of ``names`` that the header has."""
        return next((self.columns[name] for name in names if name in self.columns), None)

    def instant_reader(self, names: Iterable[str]) -> Callable[[list[str]], int] | None:
        """Return a function that reads a row's time (``times.instant_ms``), UTC epoch ms.

        It uses ``date`` and ``time`` where the header has both, else the first of ``names``. None
        if the header has none of them.
        """
        columns = self.columns
        if "date" in columns and "time" in columns:
            date_at, time_at = columns["date"], columns["time"]
            return lambda cells: instant_ms(f"{cells[date_at].strip()} {cells[time_at].strip()}")
        at = self.find_column(names)
        return None if at is None else lambda cells: instant_ms(cells[at])


def normal_name(text: str) -> str:
    """Return ``last_price`` for ``Last Price``."""
    return "_".join(text.lower().split())


def header_names(head: bytes) -> frozenset[str]:
    """Return the names in the first line that is not empty, to recognise a format by them."""
    for line in head.decode("utf-8", "backslashreplace").splitlines():
        if line.strip():
            return frozenset(normal_name(name.strip('" ')) for name in line.split(","))
    return frozenset()


def read_table(body: bytes, name: str, problems: list[str]) -> Table:
    """Read the header at once, the rows as they are consumed.

    Both raise InputError naming ``name`` for damaged CSV: an open quote, a NUL, a cell of more than
    128 kB.
    """
    cells = _records(body, name)
    _, header = next(cells, (0, list[str]()))
    columns: dict[str, int] = {}
    for at, text in enumerate(header):
        columns.setdefault(normal_name(text), at)
    return Table(columns, _of_length(cells, len(header), problems))


def parse_number(text: str) -> float:
    """Parse a finite number; commas between digits are grouping, Indian or other. Raises
    ValueError."""
    plain = text.strip().replace(",", "")
    if not _NUMBER.fullmatch(plain):
        raise ValueError(f"{text[:_SHOWN_CHARS]!r} is not a number")
    number = float(plain)
    if not isfinite(number):
        raise ValueError(f"{text[:_SHOWN_CHARS]} is not finite")
    return number


def cell_number(text: str) -> float | None:
    """Parse ``2,05,721`` → 205721.0; None for an empty cell, ``-`` or ``NA``. Raises ValueError."""
    return None if text == "-" or is_empty(text) else parse_number(text)


def parse_whole(text: str) -> int | None:
    """Parse a whole number (``75`` or ``75.0``); None for an empty cell. Raises ValueError."""
    return None if is_empty(text) else as_whole(parse_number(text))


def is_empty(text: str) -> bool:
    """True if the cell stands for no value."""
    return text.strip().lower() in EMPTY


def as_whole(number: float) -> int:
    """Return the number as int. Raises ValueError unless it is whole and below 2^53, so that every
    client can hold it exactly."""
    if abs(number) >= EXACT or number != int(number):
        raise ValueError(f"{number:.17g} is not a whole number below 2^53")
    return int(number)


def _records(body: bytes, name: str) -> Iterator[tuple[int, list[str]]]:
    text = io.StringIO(body.decode("utf-8", "backslashreplace"), newline="")
    reader = csv.reader(text, strict=True)
    try:
        for cells in reader:
            if any(cell and not cell.isspace() for cell in cells):
                yield reader.line_num, cells
    except csv.Error as error:
        raise InputError(name, f"damaged CSV: line {reader.line_num}: {error}") from None


def _of_length(
    records: Iterator[tuple[int, list[str]]], length: int, problems: list[str]
) -> Iterator[tuple[int, list[str]]]:
    for number, cells in records:
        if len(cells) == length:
            yield number, cells
        else:
            problems.append(f"row {number}: {len(cells)} cells, the header has {length}")
