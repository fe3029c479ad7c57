"""The bytes of a file, unpacked: plain, gzip, xz or zstd, told by the first bytes, not by the name.

Files are read in small chunks. A packed file that ends early, or whose checksum is wrong, is an
InputError: what was cut off cannot be told from what was never there.
"""

from __future__ import annotations

import lzma
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from hashlib import blake2b
from pathlib import Path
from typing import BinaryIO, Final, Protocol

import zstandard

from optionstream.schemas.errors import InputError

CHUNK_BYTES: Final = 8 * 1024
"""Read at once. Unpacked it may be a hundred times as much: small, so that memory stays small."""
MAX_BODY_BYTES: Final = 512 * 1024 * 1024
"""Largest unpacked body that is read as a whole (JSON, CSV); real ones are below 2 MB."""
MAX_LINE_BYTES: Final = 32 * 1024 * 1024
HEAD_BYTES: Final = 8 * 1024
"""Enough to tell a format by: the header of a table, the first object of a list. Every format
looks at it, so it is no more."""
_GZIP_MAGIC: Final = b"\x1f\x8b"
_XZ_MAGIC: Final = b"\xfd7zXZ\x00"
_ZSTD_MAGIC: Final = b"\x28\xb5\x2f\xfd"
_BOM: Final = b"\xef\xbb\xbf"

_hash = partial(blake2b, digest_size=8)

Opener = Callable[[], BinaryIO]


class _Unpacker(Protocol):
    """What the decompression objects of zlib, lzma and zstandard share."""

    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, /) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Source:
    """Content that a format reads: a file, or a member of an archive.

    ``path`` is where it lies, or lay when it was received (a member lies below its archive), and
    what errors call it; ``open`` gives its bytes from the start, as they lie there. ``file`` is
    where the same bytes are on disk now, None for nowhere. Every reading raises InputError.
    """

    path: Path
    open: Opener
    file: Path | None = None

    @property
    def name(self) -> str:
        return str(self.path)

    def chunks(self) -> Iterator[bytes]:
        """The unpacked content in chunks, a byte-order mark taken off."""
        try:
            with self.open() as file:
                first = True
                for chunk in _chunks(self.name, file):
                    if chunk:
                        yield chunk.removeprefix(_BOM) if first else chunk
                        first = False
        except OSError as error:
            raise InputError(self.name, error.strerror or str(error)) from None

    def head(self) -> bytes:
        """The first HEAD_BYTES unpacked bytes, all when there are fewer.

        What is damaged behind them is told by whoever reads on.
        """
        head = b""
        try:
            for chunk in self.chunks():
                head += chunk
                if len(head) >= HEAD_BYTES:
                    break
        except InputError:
            if not head:
                raise
        return head[:HEAD_BYTES]

    def body(self) -> bytes:
        """All unpacked bytes, at most MAX_BODY_BYTES."""
        chunks: list[bytes] = []
        size = 0
        for chunk in self.chunks():
            size += len(chunk)
            if size > MAX_BODY_BYTES:
                raise InputError(self.name, f"more than {MAX_BODY_BYTES >> 20} MB unpacked")
            chunks.append(chunk)
        return b"".join(chunks)

    def capture_id(self) -> str:
        """Names the unpacked content, as ``content_id`` does, in constant memory."""
        found = _hash()
        for chunk in self.chunks():
            found.update(chunk)
        return found.hexdigest()

    def lines(self) -> Iterator[bytes]:
        """The unpacked lines without their ends, in constant memory."""
        parts: list[bytes] = []
        size = 0
        for chunk in self.chunks():
            end, *more = chunk.split(b"\n")
            parts.append(end)
            size += len(end)
            if more:
                yield b"".join(parts)
                *lines, rest = more
                yield from lines
                parts, size = [rest], len(rest)
            if size > MAX_LINE_BYTES:
                raise InputError(self.name, f"a line of more than {MAX_LINE_BYTES >> 20} MB")
        if size:
            yield b"".join(parts)


def content_id(body: bytes) -> str:
    """Names a body by its content: 16 hex digits of BLAKE2b."""
    return _hash(body).hexdigest()


def file_source(path: Path) -> Source:
    """The file at ``path``; it is opened when it is read."""
    return Source(path, lambda: path.open("rb"), path)


def _chunks(name: str, file: BinaryIO) -> Iterator[bytes]:
    chunk = file.read(CHUNK_BYTES)
    kind = _packing(chunk)
    if kind is not None:
        yield from _unpack(name, file, chunk, kind)
        return
    while chunk:
        yield chunk
        chunk = file.read(CHUNK_BYTES)


def _packing(head: bytes) -> str | None:
    if head.startswith(_GZIP_MAGIC):
        return "gzip"
    if head.startswith(_XZ_MAGIC):
        return "xz"
    return "zstd" if head.startswith(_ZSTD_MAGIC) else None


def _unpack(name: str, file: BinaryIO, chunk: bytes, kind: str) -> Iterator[bytes]:
    unpacker = _unpacker(kind)
    fresh = False  # between two members: the file may end here
    while chunk:
        try:
            yield unpacker.decompress(chunk)
        except (zlib.error, lzma.LZMAError, zstandard.ZstdError) as error:
            raise InputError(name, f"damaged {kind}: {error}") from None
        fresh = unpacker.eof
        rest = unpacker.unused_data if fresh else b""
        if fresh:
            unpacker = _unpacker(kind)
        chunk = rest or file.read(CHUNK_BYTES)
    if not fresh:
        raise InputError(name, f"truncated {kind}: the file ends before its content does")


def _unpacker(kind: str) -> _Unpacker:
    if kind == "gzip":
        return zlib.decompressobj(wbits=31)
    if kind == "xz":
        return lzma.LZMADecompressor(format=lzma.FORMAT_XZ)
    return zstandard.ZstdDecompressor().decompressobj()
