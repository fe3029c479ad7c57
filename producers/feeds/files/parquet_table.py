"""Parquet files, read a slice of rows at a time, so that memory does not grow with the file."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from optionstream.producers.feeds.files.content import Source
from optionstream.schemas.errors import InputError

if TYPE_CHECKING:
    import polars as pl

_MAGIC: Final = b"PAR1"
SLICE_ROWS: Final = 100_000
"""Read at once: a few megabytes, and enough that opening the file anew does not count."""


def is_parquet(head: bytes) -> bool:
    return head.startswith(_MAGIC)


@contextmanager
def parquet_file(source: Source) -> Iterator[ParquetFile]:
    """The table of a source: read where it lies when it lies there unpacked, else from a copy that
    is deleted behind. Raises InputError naming the source when it is damaged or cut short."""
    if source.file is not None and _lies_there(source.file):
        yield ParquetFile(source.file, source.name)
        return
    with tempfile.NamedTemporaryFile(prefix="optionstream-", suffix=".parquet") as copy:
        for chunk in source.chunks():
            copy.write(chunk)
        copy.flush()
        yield ParquetFile(Path(copy.name), source.name)


class ParquetFile:
    """A table on disk; ``name`` is what errors call it."""

    def __init__(self, path: Path, name: str) -> None:
        import polars as pl

        self._name = name
        self._table = pl.scan_parquet(path)
        with self._readable():
            self.columns: dict[str, pl.DataType] = dict(self._table.collect_schema())

    def slices(self, columns: Sequence[pl.Expr]) -> Iterator[pl.DataFrame]:
        """The rows in file order, cut to ``columns``, SLICE_ROWS at a time. Raises InputError:
        damaged, a column that cannot be what is asked of it."""
        at = 0
        while True:
            with self._readable():
                found = self._table.slice(at, SLICE_ROWS).select(*columns).collect()
            if not found.height:
                return
            yield found
            at += SLICE_ROWS

    @contextmanager
    def _readable(self) -> Iterator[None]:
        import polars as pl

        try:
            yield
        except pl.exceptions.InvalidOperationError as error:
            raise InputError(self._name, f"Parquet with a wrong column: {_why(error)}") from None
        except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
            raise InputError(self._name, f"damaged Parquet: {_why(error)}") from None


def _why(error: BaseException) -> str:
    return str(error).partition("\n")[0]


def _lies_there(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return is_parquet(file.read(len(_MAGIC)))
    except OSError:
        return False  # whoever copies it says why
