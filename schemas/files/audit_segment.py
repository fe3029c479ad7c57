"""Parquet files of the audit archive: records as they were in Kafka. Pure.

| column | type | |
|---|---|---|
| topic | string | without namespace |
| partition, offset | int64 | |
| timestamp | int64 | the record's own, UTC epoch ms |
| timestamp_type | string | ``create``, ``append`` (by the broker) or ``none`` |
| archived | int64 | when the archive received it, UTC epoch ms |
| key, value | binary | null where the record has none |
| headers | list of (name string, value binary) | in their order; null where it has none |
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from optionstream.schemas.errors import ArchiveError

if TYPE_CHECKING:
    import polars as pl


class ArchivedRecord(NamedTuple):
    """One record; the fields are the columns."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    timestamp_type: str
    archived: int
    key: bytes | None
    headers: Sequence[tuple[str, bytes | None]]
    value: bytes | None


COLUMNS: Final = ArchivedRecord._fields


def encode_records(records: Sequence[ArchivedRecord]) -> bytes:
    """Return the Parquet file (zstd) of the records, in their order."""
    import polars as pl

    plain = {
        name: [record[at] for record in records]
        for at, name in enumerate(COLUMNS)
        if name != "headers"
    }
    schema = _schema()
    frame = pl.DataFrame(plain, schema={name: schema[name] for name in plain})
    frame = frame.with_row_index("row").join(_headers(records), on="row", how="left").sort("row")
    body = io.BytesIO()
    frame.select(COLUMNS).write_parquet(body, compression="zstd", statistics=False)
    return body.getvalue()


def _headers(records: Sequence[ArchivedRecord]) -> pl.DataFrame:
    """Return the headers of the records that have some, by row.

    They are grouped from a flat table: polars takes 60 µs to make one list of structs from Python
    objects.
    """
    import polars as pl

    flat = [(row, *pair) for row, record in enumerate(records) for pair in record.headers]
    columns = {
        "row": [row for row, _, _ in flat],
        "name": [name for _, name, _ in flat],
        "value": [value for _, _, value in flat],
    }
    schema = {"row": pl.get_index_type(), "name": pl.String(), "value": pl.Binary()}
    pairs = pl.struct("name", "value").alias("headers")
    return pl.DataFrame(columns, schema=schema).group_by("row", maintain_order=True).agg(pairs)


def decode_records(body: bytes) -> Iterator[ArchivedRecord]:
    """Yield the records of a file in their order. Raises ArchiveError if it is damaged."""
    for row in _read(io.BytesIO(body), COLUMNS).iter_rows():
        *plain, headers, value = row
        pairs = [(header["name"], header["value"]) for header in headers or ()]
        yield ArchivedRecord._make((*plain, pairs, value))


def read_places(path: Path) -> pl.DataFrame:
    """Return ``topic``, ``partition`` and ``offset`` of a file's records.

    Raises ArchiveError if the file is missing or damaged.
    """
    return _read(path, ("topic", "partition", "offset"))


def _read(source: Any, columns: Sequence[str]) -> pl.DataFrame:
    import polars as pl

    try:
        frame = pl.read_parquet(source, columns=list(columns))
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
        raise ArchiveError(f"not an archive file: {str(error).partition(chr(10))[0]}") from None
    schema = _schema()
    if dict(frame.schema) != {name: schema[name] for name in columns}:
        raise ArchiveError(f"not an archive file: its columns are {dict(frame.schema)}")
    return frame


def _schema() -> dict[str, Any]:
    import polars as pl

    return {
        "topic": pl.String(),
        "partition": pl.Int64(),
        "offset": pl.Int64(),
        "timestamp": pl.Int64(),
        "timestamp_type": pl.String(),
        "archived": pl.Int64(),
        "key": pl.Binary(),
        "headers": pl.List(pl.Struct({"name": pl.String(), "value": pl.Binary()})),
        "value": pl.Binary(),
    }
