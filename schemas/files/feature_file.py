"""Parquet files of feature rows: the same rows give the same bytes. Pure."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from optionstream.schemas.errors import ArchiveError
from optionstream.schemas.files.feature_rows import COLUMNS, Row

if TYPE_CHECKING:
    import polars as pl


def encode_rows(rows: Sequence[Row]) -> bytes:
    """Return the Parquet file (zstd) of the rows, in their order."""
    import polars as pl

    columns = {one.name: [row[one.name] for row in rows] for one in COLUMNS}
    return encode_frame(pl.DataFrame(columns, schema=_schema()))


def encode_frame(frame: pl.DataFrame) -> bytes:
    """Return the Parquet file of a frame with the columns of ``feature_rows``."""
    body = io.BytesIO()
    frame.write_parquet(body, compression="zstd")
    return body.getvalue()


def decode_rows(path: Path) -> list[Row]:
    """Return the rows of a file in their order. Raises as ``read_frame`` does."""
    return read_frame(path).to_dicts()


def read_frame(path: Path) -> pl.DataFrame:
    """Return the file as a frame. Raises ArchiveError if it is damaged or not of features."""
    import polars as pl

    try:
        frame = pl.read_parquet(path, hive_partitioning=False)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
        raise ArchiveError(f"{path}: cannot be read: {str(error).partition(chr(10))[0]}") from None
    if dict(frame.schema) != _schema():
        strange = set(frame.schema.items()) ^ set(_schema().items())
        raise ArchiveError(
            f"{path}: not a file of features: other columns ({', '.join(n for n, _ in strange)})"
        )
    return frame


def one_of_each_bar(frame: pl.DataFrame, keep: Literal["first", "last"]) -> pl.DataFrame:
    """Return the first or last revision of each bar; ``frame`` is in the order of the files."""
    return frame.unique(["product", "interval", "start"], keep=keep, maintain_order=True)


def _schema() -> dict[str, Any]:
    import polars as pl

    types = {"string": pl.String(), "int": pl.Int64(), "float": pl.Float64()}
    return {one.name: types[one.kind] for one in COLUMNS}
