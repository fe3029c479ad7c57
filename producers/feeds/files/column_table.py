"""Read whole SQLite databases. Pure."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import Any, Final

from optionstream.schemas.errors import InputError

_SQLITE_MAGIC: Final = b"SQLite format 3\x00"


def is_sqlite(head: bytes) -> bool:
    """True if the content is an SQLite database."""
    return head.startswith(_SQLITE_MAGIC)


def sqlite_tables(body: bytes, name: str) -> dict[str, tuple[str, ...]]:
    """Return column names by table. Raises InputError naming ``name`` for a damaged database."""
    try:
        with closing(_database(body)) as database:
            names = database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            return {table: _columns(database, table) for (table,) in names.fetchall()}
    except sqlite3.Error as error:
        raise InputError(name, f"damaged SQLite: {error}") from None


def sqlite_rows(
    body: bytes, name: str, table: str, columns: Sequence[str]
) -> Iterator[tuple[Any, ...]]:
    """Yield the rows of one table in order, cut to ``columns``. Raises InputError if damaged."""
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
