"""Parquet files and SQLite databases with option chains: which layout, by their columns. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING, Final

from optionstream.producers.feeds.chains import end_of_day, minute_table
from optionstream.producers.feeds.files.column_table import (
    parquet_rows,
    sqlite_rows,
    sqlite_tables,
)
from optionstream.schemas.errors import InputError
from optionstream.schemas.events import ChainSnapshot

if TYPE_CHECKING:
    from polars._typing import PolarsDataType

_MINUTE: Final = (*minute_table.TEXTS, *minute_table.NUMBERS)
_EOD: Final = (*end_of_day.TEXTS, *end_of_day.DATES, *end_of_day.FLAGS, *end_of_day.NUMBERS)
_SHOWN_COLUMNS: Final = 8


def parquet_chains(
    body: bytes, columns: Collection[str], name: str, problems: list[str]
) -> list[ChainSnapshot]:
    """The snapshots of a Parquet file with these columns. Raises InputError naming ``name``."""
    import polars as pl

    types: dict[str, PolarsDataType]
    if set(columns).issuperset(_MINUTE):
        types = dict.fromkeys(minute_table.TEXTS, pl.String)
        types |= dict.fromkeys(minute_table.NUMBERS, pl.Float64)
        rows = parquet_rows(body, name, types)
        return minute_table.minute_chains(rows, body, name, problems)
    if set(columns).issuperset(_EOD):
        types = dict.fromkeys(end_of_day.TEXTS, pl.String)
        types |= dict.fromkeys(end_of_day.DATES, pl.Date)
        types |= dict.fromkeys(end_of_day.FLAGS, pl.Boolean)
        types |= dict.fromkeys(end_of_day.NUMBERS, pl.Float64)
        rows = parquet_rows(body, name, types)
        return end_of_day.eod_parquet_chains(rows, body, name, problems)
    raise InputError(name, f"Parquet, but no option chain: its columns are {_shown(columns)}")


def sqlite_chains(body: bytes, name: str, problems: list[str]) -> list[ChainSnapshot]:
    """The snapshots of the one table that has option chains. Raises InputError naming ``name``."""
    tables = sqlite_tables(body, name)
    found = [table for table, columns in tables.items() if set(columns).issuperset(_MINUTE)]
    if len(found) != 1:
        what = "several tables with option chains" if found else "no table with option chains"
        raise InputError(name, f"SQLite, but {what}: {_shown(found or tables)}")
    rows = sqlite_rows(body, name, found[0], _MINUTE)
    return minute_table.minute_chains(rows, body, name, problems)


def _shown(names: Iterable[str]) -> str:
    chosen = list(names)
    more = ", …" if len(chosen) > _SHOWN_COLUMNS else ""
    return (", ".join(chosen[:_SHOWN_COLUMNS]) or "none") + more
