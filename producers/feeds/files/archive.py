"""The files inside a tar archive, one after the other, in constant memory."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from functools import partial
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final

from optionstream.producers.feeds.files.content import MAX_BODY_BYTES, Source
from optionstream.schemas.errors import InputError

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_MAGIC_AT: Final = 257
_MAGIC: Final = b"ustar"
_END_BYTES: Final = 1024
"""A tar archive ends with two empty blocks of 512 bytes."""


def is_archive(head: bytes) -> bool:
    """Whether the content is a tar archive (POSIX or GNU)."""
    return head.startswith(_MAGIC, _MAGIC_AT)


def members(source: Source, problems: list[str]) -> Iterator[Source]:
    """Every regular file of the archive in its order, hidden ones left out.

    A member lies below the archive's path and under its own name. Links, devices and members
    that are too large are told in ``problems``. Raises InputError: damaged, cut short.
    """
    stream = _Stream(source.chunks())
    file = io.BufferedReader(stream)
    try:
        with tarfile.open(fileobj=file, mode="r|") as archive:
            for member in archive:
                name = member.name.lstrip("/")
                if member.isdir() or any(part.startswith(".") for part in _parts(name)):
                    continue
                if not member.isfile():
                    problems.append(f"{name}: no regular file")
                elif member.size > MAX_BODY_BYTES:
                    problems.append(f"{name}: more than {MAX_BODY_BYTES >> 20} MB")
                elif (content := archive.extractfile(member)) is not None:
                    yield Source(source.path / name, partial(io.BytesIO, content.read()))
    except tarfile.TarError as error:
        raise InputError(source.name, f"damaged tar: {error}") from None
    while file.read(_END_BYTES):
        pass  # only when all was read has a packing's checksum been looked at
    if stream.tail != bytes(_END_BYTES):
        raise InputError(source.name, "truncated tar: the file ends before its content does")


def _parts(name: str) -> tuple[str, ...]:
    return tuple(part for part in PurePosixPath(name).parts if part != ".")


class _Stream(io.RawIOBase):
    """Chunks as a file. ``tail`` are the last bytes that were read."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self.tail = b""
        self._chunks = chunks
        self._rest = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        view = memoryview(buffer)
        while not self._rest and (chunk := next(self._chunks, b"")):
            self._rest = chunk
        taken, self._rest = self._rest[: len(view)], self._rest[len(view) :]
        view[: len(taken)] = taken
        self.tail = (self.tail + taken)[-_END_BYTES:]
        return len(taken)
