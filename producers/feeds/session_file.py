"""The project's own session format: market events as JSON lines, packed with zstd.

docs/session-format.md has the format and the reasons. Both directions work line by line, in
constant memory; the file appears under its name only when it is complete.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any, Final

import msgspec
import zstandard
from msgspec import Raw, Struct

from optionstream.producers.feeds.files.content import file_source
from optionstream.producers.feeds.format import FeedInput
from optionstream.producers.feeds.frames import check_event
from optionstream.schemas import codec, rejects
from optionstream.schemas.errors import InputError, RecordError
from optionstream.schemas.events import MarketEvent

FORMAT: Final = "optionstream.session"
VERSION: Final = 1
SUFFIX: Final = ".jsonl.zst"
_LEVEL: Final = 3
_SCHEMA: Final = b'{"schema":"'
_VALUE: Final = b'","value":'


class SessionHeader(Struct, frozen=True, kw_only=True):
    """The first line. ``created_from`` is the origin of the session (seed, settings, input names),
    never its time: the same session is the same bytes."""

    format: str = FORMAT
    version: int = VERSION
    products: list[str]
    created_from: dict[str, Any] = {}


class _Line(Struct, frozen=True):
    schema: str
    value: Raw


def is_session(head: bytes) -> bool:
    """True if the first line is (the start of) a session header."""
    line = head.lstrip().partition(b"\n")[0]
    return line.startswith(b"{") and f'"{FORMAT}"'.encode() in line


def read_header(path: Path) -> SessionHeader:
    """Read the first line of the file. Raises InputError."""
    return _header(path, next(file_source(path).lines(), b""))


def read_session(file: FeedInput) -> Iterator[MarketEvent]:
    """Yield the events in the order in which they were written.

    A line that cannot be read is reported with its number; a file that ends early is an InputError.
    """
    lines = file.source.lines()
    _header(file.path, next(lines, b""))
    for number, line in enumerate(lines, 2):
        try:
            yield check_event(_event(line))
        except (RecordError, msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            file.problems.append(f"line {number}: {error}")


def write_session(path: Path, header: SessionHeader, events: Iterable[MarketEvent]) -> int:
    """Write a session file and return the number of events in it.

    The content goes to a temporary file beside ``path``, which then takes its name; after an
    error in ``events`` no file is left. Raises InputError when the place cannot be
    written.
    """
    try:
        file = tempfile.NamedTemporaryFile(  # noqa: SIM115 - closed and renamed below
            dir=path.parent, prefix=f".{path.name}.", delete=False
        )
    except OSError as error:
        raise InputError(str(path), error.strerror or str(error)) from None
    try:
        with file:
            count = _write(file.file, header, events)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(file.name, 0o644)
        os.replace(file.name, path)
    except BaseException:
        Path(file.name).unlink(missing_ok=True)
        raise
    return count


def header_for(products: Iterable[str], created_from: Mapping[str, Any]) -> SessionHeader:
    """Return a header with the products in order and ``created_from`` as plain JSON values."""
    plain: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(created_from))
    return SessionHeader(products=sorted(products), created_from=plain)


def encode_line(event: MarketEvent) -> bytes:
    """Return one line: the schema's name and the same bytes as on the wire."""
    schema, value = codec.schema_of(event).encode(), codec.encode(event)
    return _SCHEMA + schema + _VALUE + value + b"}\n"


def _write(file: IO[bytes], header: SessionHeader, events: Iterable[MarketEvent]) -> int:
    count = 0
    packer = zstandard.ZstdCompressor(level=_LEVEL, write_checksum=True)
    with packer.stream_writer(file, closefd=False) as out:
        out.write(msgspec.json.encode(header, order="deterministic") + b"\n")
        for event in events:
            out.write(encode_line(event))
            count += 1
    return count


def _header(path: Path, line: bytes) -> SessionHeader:
    try:
        header = msgspec.json.decode(line, type=SessionHeader)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InputError(str(path), f"no session header in the first line: {error}") from None
    if header.format != FORMAT or header.version != VERSION:
        raise InputError(
            str(path),
            f"{header.format} version {header.version}; this release reads version {VERSION}",
        )
    return header


def _event(line: bytes) -> MarketEvent:
    """Parse the event of a line.

    A line in the form of ``encode_line`` is split where its value starts, so that the JSON of the
    value is read once. A line of another form, or with an error, is read as plain JSON.
    """
    schema, found, value = line.partition(_VALUE)
    if found and schema.startswith(_SCHEMA) and value.endswith(b"}"):
        try:
            return _decoded(value[:-1], schema[len(_SCHEMA) :])
        except (RecordError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            pass
    parts = _decode_line(line)
    return _decoded(bytes(parts.value), parts.schema.encode())


def _decoded(value: bytes, schema: bytes) -> MarketEvent:
    record = codec.decode(value, [(codec.HEADER, schema)])
    if isinstance(record, MarketEvent):
        return record
    raise RecordError(rejects.WRONG_TOPIC, f"{schema.decode()} is not a market event")


_decode_line = msgspec.json.Decoder(_Line).decode
