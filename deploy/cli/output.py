"""What the user sees: JSON lines and tables on stdout; notes and progress on stderr."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from optionstream.schemas.errors import InputError

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

_WIDE = 200
"""Columns of a table that goes into a file or a pipe."""

_IDENTIFIERS = frozenset({"pid"})

Row = Mapping[str, Any]


def json_line(row: Row) -> None:
    """One JSON object on a line of its own."""
    import msgspec

    sys.stdout.write(msgspec.json.encode(row).decode() + "\n")


def table(title: str, columns: Sequence[str], rows: Iterable[Row]) -> None:
    """A table of the named columns; numbers to the right, what is null as a dash.
    Nothing where there are no rows."""
    from rich.table import Table

    shown = list(rows)
    if not shown:
        return
    grid = Table(title=title or None, title_justify="left", header_style="bold")
    for name in columns:
        numbers = any(isinstance(row.get(name), int | float) for row in shown)
        grid.add_column(name.replace("_", " "), justify="right" if numbers else "left")
    for row in shown:
        grid.add_row(*(cell(row.get(name), name in _IDENTIFIERS) for name in columns))
    console(sys.stdout).print(grid)


def show(title: str, columns: Sequence[str], rows: Iterable[Row], as_json: bool) -> None:
    """The rows as JSON lines (all their fields) or as a table (the named columns)."""
    if as_json:
        for row in rows:
            json_line(row)
    else:
        table(title, columns, rows)


def cell(value: object, identifier: bool = False) -> str:
    """A value as table text; a number that is a name has no thousands."""
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
        value = ", ".join(f"{cell(one)} {name}" for name, one in value.items())
    elif isinstance(value, list | tuple):
        value = ", ".join(cell(one) for one in value)
    return str(value).replace("[", "\\[") or "–"


def say(text: str) -> None:
    """One line on stdout."""
    sys.stdout.write(text + "\n")


def note(text: str) -> None:
    """One line on stderr."""
    print(" ".join(text.split()), file=sys.stderr, flush=True)


def console(stream: Any) -> Console:
    """A rich console; wide and plain when nobody sits in front of it."""
    from rich.console import Console

    return Console(file=stream, width=None if stream.isatty() else _WIDE, soft_wrap=False)


@contextmanager
def progress(as_json: bool = False) -> Iterator[Progress]:
    """A progress display on stderr, only when a person watches.

    With JSON lines running over the same terminal there is none: the lines show the progress.
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
    """Bad input among good: each is told on stderr at once; the exit code remembers."""

    def __init__(self, quiet: bool = False) -> None:
        self._quiet = quiet
        self._sources: list[str] = []

    def add(self, error: InputError) -> None:
        self._sources.append(error.source)
        if not self._quiet:
            note(f"error: {error}")

    def has(self, path: Path) -> bool:
        """Whether something was said about this file."""
        return str(path) in self._sources

    def add_problems(self, source: str, problems: Sequence[str]) -> None:
        """Rows of a file that could not be used: one line, with the first of them."""
        if problems:
            more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
            self.add(InputError(source, f"{problems[0]}{more}"))

    def finish(self) -> None:
        """Ends the command with exit code 2 when something was bad."""
        if self._sources:
            import typer

            raise typer.Exit(2)
