"""Option chains in Parquet files and SQLite databases; the columns say which layout. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from optionstream.producers.feeds.chains import end_of_day, minute_table
from optionstream.producers.feeds.chains.legs import ChainBook, Times, times_of
from optionstream.producers.feeds.files.column_table import sqlite_rows, sqlite_tables
from optionstream.producers.feeds.files.parquet_table import ParquetFile
from optionstream.producers.feeds.format import FeedInput
from optionstream.schemas.events import ChainSnapshot

if TYPE_CHECKING:
    import polars as pl
    from polars._typing import PolarsDataType

_MINUTE: Final = (*minute_table.TEXTS, *minute_table.NUMBERS)
_EOD: Final = (*end_of_day.TEXTS, *end_of_day.DATES, *end_of_day.FLAGS, *end_of_day.NUMBERS)
_SHOWN_COLUMNS: Final = 8


def parquet_chains(file: FeedInput, table: ParquetFile) -> Iterator[ChainSnapshot]:
    """Yield the snapshots of a Parquet file, opened as ``table``. Raises InputError."""
    import polars as pl

    types: dict[str, PolarsDataType]
    if set(table.columns).issuperset(_MINUTE):
        types = dict.fromkeys(minute_table.TEXTS, pl.String)
        types |= dict.fromkeys(minute_table.NUMBERS, pl.Float64)
        times = _times(table, pl.col("timestamp").cast(pl.String), minute_table.stamp_ms)
        legs = minute_table.minute_legs(_rows(table, types), file)
        book = ChainBook(minute_table.SOURCE, "lots", file)
    elif set(table.columns).issuperset(_EOD):
        types = dict.fromkeys(end_of_day.TEXTS, pl.String)
        types |= dict.fromkeys(end_of_day.DATES, pl.Date)
        types |= dict.fromkeys(end_of_day.FLAGS, pl.Boolean)
        types |= dict.fromkeys(end_of_day.NUMBERS, pl.Float64)
        times = _times(table, pl.col("date_t").cast(pl.Date), end_of_day.close_ms)
        legs = end_of_day.eod_legs(_rows(table, types), file)
        book = ChainBook(end_of_day.SOURCE, "shares", file)
    else:
        shown = _shown(table.columns)
        raise file.error(f"Parquet, but no option chain: its columns are {shown}")
    yield from book.stream_snapshots(legs, times, file.source.capture_id())


def _times(table: ParquetFile, column: pl.Expr, ms_of: Callable[[Any], int | None]) -> Times:
    """Describe the times of the rows that have one; runs of one value are parsed once."""
    slices = table.slices([column])
    values = (one for part in slices for one in part.to_series().rle().struct.field("value"))
    return times_of(at for at in map(ms_of, values) if at is not None)


def _rows(table: ParquetFile, types: Mapping[str, PolarsDataType]) -> Iterator[tuple[Any, ...]]:
    """Yield the rows, cut to ``types`` in their order, each value of its type or None (NaN too)."""
    import polars as pl

    columns = [pl.col(column).cast(kind) for column, kind in types.items()]
    for part in table.slices(columns):
        yield from part.fill_nan(None).iter_rows()


def sqlite_chains(file: FeedInput) -> list[ChainSnapshot]:
    """Return the snapshots of the one table that has option chains. Raises InputError."""
    body = file.source.body()
    tables = sqlite_tables(body, file.name)
    found = [table for table, columns in tables.items() if set(columns).issuperset(_MINUTE)]
    if len(found) != 1:
        what = "several tables with option chains" if found else "no table with option chains"
        raise file.error(f"SQLite, but {what}: {_shown(found or tables)}")
    book = ChainBook(minute_table.SOURCE, "lots", file)
    rows = sqlite_rows(body, file.name, found[0], _MINUTE)
    for leg in minute_table.minute_legs(rows, file):
        book.add_leg(*leg)
    return book.snapshots(body)


def _shown(names: Iterable[str]) -> str:
    chosen = list(names)
    more = ", …" if len(chosen) > _SHOWN_COLUMNS else ""
    return (", ".join(chosen[:_SHOWN_COLUMNS]) or "none") + more
