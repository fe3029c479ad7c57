"""CSV with a header row, cell by cell as it was written. Pure."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Final

from optionstream.producers.feeds.times import instant_ms
from optionstream.schemas.errors import InputError

EMPTY: Final = frozenset(("", "-", "na", "nan", "none", "null"))
"""What stands for nothing in a cell, in lower case."""
_NUMBER: Final = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?", re.ASCII)
EXACT: Final = 1 << 53
_SHOWN_CHARS: Final = 40


@dataclass(frozen=True, slots=True)
class Table:
    """``columns`` are the header's names (``normal_name``); the first of equal ones counts."""

    columns: dict[str, int]
    rows: Iterator[tuple[int, list[str]]]
    """Line number in the file and cells, as many as the header has; rows with cells in none of
    their columns are passed over, those of another length are told in ``problems``."""


def normal_name(text: str) -> str:
    """``Last Price`` → ``last_price``."""
    return "_".join(text.lower().split())


def header_names(head: bytes) -> frozenset[str]:
    """The names in the first line that is not empty, for telling a format by its columns."""
    for line in head.decode("utf-8", "backslashreplace").splitlines():
        if line.strip():
            return frozenset(normal_name(name.strip('" ')) for name in line.split(","))
    return frozenset()


def read_table(body: bytes, name: str, problems: list[str]) -> Table:
    """The header at once, the rows as they are taken. Both raise InputError naming ``name`` when
    the text is no CSV: an open quote, a NUL, a cell of more than 128 kB."""
    cells = _records(body, name)
    _, header = next(cells, (0, list[str]()))
    columns: dict[str, int] = {}
    for at, text in enumerate(header):
        columns.setdefault(normal_name(text), at)
    return Table(columns, _of_length(cells, len(header), problems))


def first_of(columns: Mapping[str, int], names: Iterable[str]) -> int | None:
    """Where the first of ``names`` that the header has lies."""
    return next((columns[name] for name in names if name in columns), None)


def instant_reader(
    columns: Mapping[str, int], names: Iterable[str]
) -> Callable[[list[str]], int] | None:
    """Reads the UTC epoch ms of a row (``instants.instant_ms``) from ``date`` and ``time`` where
    the header has both, else from the first of ``names``; None where it has none of them."""
    if "date" in columns and "time" in columns:
        date_at, time_at = columns["date"], columns["time"]
        return lambda cells: instant_ms(f"{cells[date_at].strip()} {cells[time_at].strip()}")
    at = first_of(columns, names)
    return None if at is None else lambda cells: instant_ms(cells[at])


def parse_number(text: str) -> float:
    """A finite number; commas between digits are grouping, Indian or other. Raises ValueError."""
    plain = text.strip().replace(",", "")
    if not _NUMBER.fullmatch(plain):
        raise ValueError(f"{text[:_SHOWN_CHARS]!r} is no number")
    number = float(plain)
    if not isfinite(number):
        raise ValueError(f"{text[:_SHOWN_CHARS]} is not finite")
    return number


def parse_whole(text: str) -> int | None:
    """A whole number (``75`` or ``75.0``), None for an empty cell. Raises ValueError."""
    return None if text.strip().lower() in EMPTY else as_whole(parse_number(text))


def as_whole(number: float) -> int:
    """The number, if it is whole and below 2^53, so that every client holds it exactly. Raises
    ValueError."""
    if abs(number) >= EXACT or number != int(number):
        raise ValueError(f"{number:.17g} is no whole number below 2^53")
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
