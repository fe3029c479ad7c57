"""The bytes of a file, unpacked: plain, gzip or zstd, told by the first bytes, not by the name.

Files are read in small chunks. A packed file that ends early, or whose checksum is wrong, is an
InputError: what was cut off cannot be told from what was never there.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final, Protocol

import zstandard

from optionstream.schemas.errors import InputError

CHUNK_BYTES: Final = 8 * 1024
"""Read at once. Unpacked it may be a hundred times as much: small, so that memory stays small."""
MAX_BODY_BYTES: Final = 512 * 1024 * 1024
"""Largest unpacked body that is read as a whole (JSON, CSV); real ones are below 2 MB."""
MAX_LINE_BYTES: Final = 32 * 1024 * 1024
_GZIP_MAGIC: Final = b"\x1f\x8b"
_ZSTD_MAGIC: Final = b"\x28\xb5\x2f\xfd"
_BOM: Final = b"\xef\xbb\xbf"


class _Unpacker(Protocol):
    """What zlib's and zstandard's decompression objects share."""

    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, /) -> bytes: ...


def read_head(path: Path) -> bytes:
    """The first unpacked bytes of the file, b"" when there are none."""
    return next(unpacked(path), b"")


def read_body(path: Path) -> bytes:
    """All unpacked bytes of the file, at most MAX_BODY_BYTES."""
    chunks: list[bytes] = []
    size = 0
    for chunk in unpacked(path):
        size += len(chunk)
        if size > MAX_BODY_BYTES:
            raise InputError(str(path), f"more than {MAX_BODY_BYTES >> 20} MB unpacked")
        chunks.append(chunk)
    return b"".join(chunks)


def read_lines(path: Path) -> Iterator[bytes]:
    """The lines of the unpacked file without their ends, in constant memory."""
    rest = b""
    for chunk in unpacked(path):
        *lines, rest = (rest + chunk).split(b"\n")
        yield from lines
        if len(rest) > MAX_LINE_BYTES:
            raise InputError(str(path), f"a line of more than {MAX_LINE_BYTES >> 20} MB")
    if rest:
        yield rest


def unpacked(path: Path) -> Iterator[bytes]:
    """The content in chunks, a byte-order mark taken off. Raises InputError naming the file."""
    try:
        with path.open("rb") as file:
            first = True
            for chunk in _chunks(path, file):
                if chunk:
                    yield chunk.removeprefix(_BOM) if first else chunk
                    first = False
    except OSError as error:
        raise InputError(str(path), error.strerror or str(error)) from None


def _chunks(path: Path, file: BinaryIO) -> Iterator[bytes]:
    chunk = file.read(CHUNK_BYTES)
    kind = _packing(chunk)
    if kind is not None:
        yield from _unpack(path, file, chunk, kind)
        return
    while chunk:
        yield chunk
        chunk = file.read(CHUNK_BYTES)


def _packing(head: bytes) -> str | None:
    if head.startswith(_GZIP_MAGIC):
        return "gzip"
    return "zstd" if head.startswith(_ZSTD_MAGIC) else None


def _unpack(path: Path, file: BinaryIO, chunk: bytes, kind: str) -> Iterator[bytes]:
    unpacker = _unpacker(kind)
    fresh = False  # between two members: the file may end here
    while chunk:
        try:
            yield unpacker.decompress(chunk)
        except (zlib.error, zstandard.ZstdError) as error:
            raise InputError(str(path), f"damaged {kind}: {error}") from None
        fresh = unpacker.eof
        rest = unpacker.unused_data if fresh else b""
        if fresh:
            unpacker = _unpacker(kind)
        chunk = rest or file.read(CHUNK_BYTES)
    if not fresh:
        raise InputError(str(path), f"truncated {kind}: the file ends before its content does")


def _unpacker(kind: str) -> _Unpacker:
    if kind == "gzip":
        return zlib.decompressobj(wbits=31)
    return zstandard.ZstdDecompressor().decompressobj()
