"""Reading the feature data set of a namespace, and writing a part of it elsewhere."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

from optionstream.schemas.errors import OptionstreamError, UsageError
from optionstream.schemas.files.feature_file import encode_frame, one_of_each_bar, read_frame
from optionstream.schemas.files.feature_rows import SUFFIX, date_of_folder, file_path
from optionstream.streams.sinks.features.store import read_positions

if TYPE_CHECKING:
    import polars as pl

CSV = ".csv"


@dataclass(frozen=True, slots=True)
class Selection:
    """Which rows: IST dates, both inclusive; None for every product or interval. ``first_known``
    takes the first revision of each bar instead of the newest."""

    start: date
    end: date
    product: str | None = None
    interval: str | None = None
    first_known: bool = False


@dataclass(frozen=True, slots=True)
class Part:
    """The selected rows of one date and product, in the order of interval and time."""

    date: str
    product: str
    rows: pl.DataFrame


def selected(folder: Path, selection: Selection) -> Iterator[Part]:
    """The parts that have rows, by date and product. Raises UsageError when there is no data set,
    ArchiveError for a file that is none of it."""
    if not folder.is_dir():
        raise UsageError(
            f"no features at {folder}: `optionstream worker features` makes them "
            f"(with --namespace for another namespace)"
        )
    for day, product, path in _files(folder, selection):
        frame = read_frame(path)
        if selection.interval is not None:
            frame = frame.filter(frame["interval"] == selection.interval)
        rows = one_of_each_bar(frame, "first" if selection.first_known else "last")
        if len(rows):
            yield Part(day, product, rows)


def waiting(folder: Path, product: str | None) -> int:
    """Bars that the worker has read and that have no row yet."""
    counts = read_positions(folder).waiting
    return sum(count for name, count in counts.items() if product in (None, name))


def write_parts(parts: list[Part], out: Path) -> None:
    """One file when ``out`` ends in .parquet or .csv, else a folder laid out as the data set; each
    file is there whole or not at all. Raises OptionstreamError when it cannot be written."""
    import polars as pl

    try:
        if out.suffix == CSV:
            _write(out, pl.concat([part.rows for part in parts]).write_csv().encode())
        elif out.suffix == SUFFIX:
            _write(out, encode_frame(pl.concat([part.rows for part in parts])))
        else:
            for part in parts:
                _write(out / file_path(part.date, part.product), encode_frame(part.rows))
    except OSError as error:
        raise OptionstreamError(f"--out {out}: {error.strerror or error}") from None


def _files(folder: Path, selection: Selection) -> Iterator[tuple[str, str, Path]]:
    first, last = selection.start.isoformat(), selection.end.isoformat()
    for place in sorted(folder.iterdir()):
        day = date_of_folder(place.name)
        if day is None or not first <= day <= last:
            continue
        for path in sorted(place.glob(f"*{SUFFIX}")):
            if selection.product in (None, path.stem):
                yield day, path.stem, path


def _write(path: Path, body: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{uuid4().hex[:8]}.partial")
    try:
        with partial.open("xb") as file:
            file.write(body)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError:
        partial.unlink(missing_ok=True)
        raise
