"""What the user sees: JSON lines and tables on stdout; notes and progress on stderr."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from optionstream.schemas.errors import InputError

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

_PIPED_WIDTH = 200
"""Columns available to a table that goes into a file or a pipe."""

_HEADINGS = {
    "at": "at (IST)",
    "atm_iv": "ATM IV",
    "atm_strike": "ATM",
    "butterfly_25": "BF 25Δ",
    "clock": "clock (IST)",
    "created_at": "created (IST)",
    "first_at": "first (IST)",
    "last_at": "last (IST)",
    "legs_with_iv": "legs",
    "max_pain": "max\npain",
    "oi_unit": "OI unit",
    "outside_session": "outside session",
    "pcr_oi": "PCR OI",
    "pcr_volume": "PCR volume",
    "rate": "rate (/s)",
    "risk_reversal_25": "RR 25Δ",
    "start": "start\n(IST)",
    "time": "time\n(IST)",
    "timestamp": "time (IST)",
    "underlying_price": "under-\nlying",
}
"""Headings of fields whose name alone lacks the unit or is too wide."""

_IDENTIFIERS = frozenset({"pid"})
_INDIAN_TIME = re.compile(r"(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d)(\.\d+)?\+05:30")

Row = Mapping[str, Any]


def print_json(row: Row) -> None:
    """Print one JSON object on a line of its own."""
    import msgspec

    sys.stdout.write(msgspec.json.encode(row).decode() + "\n")


def print_table(
    title: str, columns: Sequence[str], rows: Iterable[Row], shared: Sequence[str] = ()
) -> None:
    """Print the named columns of the rows; print nothing without rows.

    Numbers stand on the right, null is a dash, times are IST to the second. A column of
    ``shared`` whose value is the same in all rows moves into the title. A table with a title is
    followed by an empty line.
    """
    from rich import box
    from rich.table import Table

    shown = list(rows)
    if not shown:
        return
    common = [name for name in shared if all(row[name] == shown[0][name] for row in shown)]
    values = [f"{heading(name)} {plain_cell(shown[0][name])}" for name in common if shown[0][name]]
    heads = ", ".join(part for part in (title, *values) if part)
    if heads:
        print_line(heads)
    grid = Table(
        box=box.SIMPLE_HEAD,
        header_style="bold",
        show_edge=False,
        pad_edge=False,
        collapse_padding=True,
    )
    kept = [name for name in columns if name not in common]
    for name in kept:
        numbers = any(isinstance(row.get(name), int | float) for row in shown)
        grid.add_column(heading(name), justify="right" if numbers else "left", overflow="fold")
    for row in shown:
        grid.add_row(*(format_cell(row.get(name), name in _IDENTIFIERS) for name in kept))
    console(sys.stdout).print(grid)
    if heads:
        print_line("")


def print_rows(title: str, columns: Sequence[str], rows: Iterable[Row], as_json: bool) -> None:
    """Print the rows as JSON lines (all their fields) or as a table (the named columns)."""
    if as_json:
        for row in rows:
            print_json(row)
    else:
        print_table(title, columns, rows)


def heading(name: str) -> str:
    """Return the heading of a field, with its unit."""
    return _HEADINGS.get(name, name.replace("_", " "))


def plain_cell(value: object, identifier: bool = False) -> str:
    """Return a value as text; an ``identifier`` has no thousands separators."""
    if value is None or value == "":
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return str(value) if identifier else f"{value:,}"
    if isinstance(value, float):
        text = f"{value:,.2f}" if abs(value) >= 100 else f"{value:.4f}"
        return text.rstrip("0").rstrip(".")
    if isinstance(value, Mapping):
        value = ", ".join(f"{plain_cell(one)} {name}" for name, one in value.items())
    elif isinstance(value, list | tuple):
        value = ", ".join(plain_cell(one) for one in value)
    text = str(value) or "–"
    time = _INDIAN_TIME.fullmatch(text)
    return f"{time[1]} {time[2]}" if time else text


def format_cell(value: object, identifier: bool = False) -> str:
    """Return ``plain_cell`` with brackets escaped, which a table would read as markup."""
    return plain_cell(value, identifier).replace("[", "\\[")


def print_line(text: str) -> None:
    """Print one line on stdout."""
    sys.stdout.write(text + "\n")


def note(text: str) -> None:
    """Print one line on stderr."""
    print(" ".join(text.split()), file=sys.stderr, flush=True)


def console(stream: Any) -> Console:
    """Return a rich console, which is wide when the stream is no terminal."""
    from rich.console import Console

    width = None if stream.isatty() else _PIPED_WIDTH
    return Console(file=stream, width=width, soft_wrap=False)


@contextmanager
def progress(as_json: bool = False) -> Iterator[Progress]:
    """Draw progress on stderr while the block runs, if stderr is a terminal.

    Nothing is drawn when JSON lines go to the same terminal: they show the progress.
    """
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
    from rich.progress import TimeElapsedColumn as Elapsed

    watched = sys.stderr.isatty() and not (as_json and sys.stdout.isatty())
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[detail]}"),
        Elapsed(),
        console=console(sys.stderr),
        disable=not watched,
        transient=True,
        redirect_stdout=False,
    ) as bars:
        yield bars


class Failures:
    """Bad input among good: each is reported on stderr at once; the exit code remembers."""

    def __init__(self, quiet: bool = False) -> None:
        self._quiet = quiet
        self._sources: list[str] = []

    def add_error(self, error: InputError) -> None:
        """Report an error and remember its file."""
        self._sources.append(error.source)
        if not self._quiet:
            note(f"error: {error}")

    def has_error(self, path: Path) -> bool:
        """Return True if an error of this file was reported."""
        return str(path) in self._sources

    def add_problems(self, source: str, problems: Sequence[str]) -> None:
        """Report unusable rows of a file in one line: the first of them, and how many more."""
        if problems:
            more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
            self.add_error(InputError(source, f"{problems[0]}{more}"))

    def require(self, found: bool, path: Path, complaint: str) -> None:
        """Report ``complaint`` unless something was found, or the file's error reported before."""
        if not found and not self.has_error(path):
            self.add_error(InputError(str(path), complaint))

    def finish(self) -> None:
        """End the command with exit code 2 if an error was reported."""
        if self._sources:
            import typer

            raise typer.Exit(2)
