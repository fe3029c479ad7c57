"""Tables of typed columns: Parquet files and SQLite databases, read whole. Pure."""

from __future__ import annotations

import io
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Any, Final

from optionstream.schemas.errors import InputError

if TYPE_CHECKING:
    from polars._typing import PolarsDataType

_PARQUET_MAGIC: Final = b"PAR1"
_SQLITE_MAGIC: Final = b"SQLite format 3\x00"


def is_parquet(head: bytes) -> bool:
    return head.startswith(_PARQUET_MAGIC)


def is_sqlite(head: bytes) -> bool:
    return head.startswith(_SQLITE_MAGIC)


def parquet_columns(body: bytes, name: str) -> tuple[str, ...]:
    """Raises InputError naming ``name`` when the file is damaged or cut short."""
    import polars as pl

    try:
        return tuple(pl.read_parquet_schema(io.BytesIO(body)))
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
        raise InputError(name, f"damaged Parquet: {_first_line(error)}") from None


def parquet_rows(
    body: bytes, name: str, columns: Mapping[str, PolarsDataType]
) -> Iterator[tuple[Any, ...]]:
    """The rows, cut to ``columns`` in their order, each value of its type or None; NaN is None.
    Raises InputError: damaged, a column that cannot be of its type."""
    import polars as pl

    cast = [pl.col(column).cast(kind) for column, kind in columns.items()]
    try:
        frame = pl.read_parquet(io.BytesIO(body), columns=list(columns)).select(cast)
    except pl.exceptions.InvalidOperationError as error:
        raise InputError(name, f"Parquet with a wrong column: {_first_line(error)}") from None
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
        raise InputError(name, f"damaged Parquet: {_first_line(error)}") from None
    return frame.fill_nan(None).iter_rows()


def sqlite_tables(body: bytes, name: str) -> dict[str, tuple[str, ...]]:
    """Column names by table. Raises InputError naming ``name`` when the database is damaged."""
    try:
        with closing(_database(body)) as database:
            names = database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            return {table: _columns(database, table) for (table,) in names.fetchall()}
    except sqlite3.Error as error:
        raise InputError(name, f"damaged SQLite: {error}") from None


def sqlite_rows(
    body: bytes, name: str, table: str, columns: Sequence[str]
) -> Iterator[tuple[Any, ...]]:
    """The rows of one table in their order, cut to ``columns``. Raises InputError: damaged."""
    chosen = ", ".join(map(_quoted, columns))
    try:
        with closing(_database(body)) as database:
            yield from database.execute(f"SELECT {chosen} FROM {_quoted(table)} ORDER BY rowid")
    except sqlite3.Error as error:
        raise InputError(name, f"damaged SQLite: {error}") from None


def _database(body: bytes) -> sqlite3.Connection:
    database = sqlite3.connect(":memory:")
    database.deserialize(body)
    return database


def _columns(database: sqlite3.Connection, table: str) -> tuple[str, ...]:
    return tuple(row[1] for row in database.execute(f"PRAGMA table_info({_quoted(table)})"))


def _quoted(identifier: str) -> str:
    return '"' + identifier.replace('"', '""') + '"'


def _first_line(error: BaseException) -> str:
    return str(error).partition("\n")[0]
