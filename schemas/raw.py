"""Bodies as feeds received them, in the records of the raw topics (``topics.RAW_TOPICS``).

A record's value is the body's bytes as they lay there, packing included, or a numbered part of
them; its stamp is the receipt. The headers of every part tell all of ``RawPart``, each under the
field's name and as text, beside ``schema: raw_part:1``. What is None, empty or false is left out.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Annotated, Final

import msgspec
from msgspec import Meta, Struct

from optionstream.schemas import rejects
from optionstream.schemas.codec import HEADER, Headers, header_schema
from optionstream.schemas.errors import RecordError

SCHEMA: Final = "raw_part:1"
PART_BYTES: Final = 4 * 1024 * 1024
"""A longer body goes in parts: five times what an exchange's reaches, and what the audit archive
puts into one file."""

Hash = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}$")]
Count = Annotated[int, Meta(ge=0)]
Number = Annotated[int, Meta(ge=1)]


class RawPart(Struct, frozen=True, kw_only=True):
    """What the headers say. ``name`` is the absolute path that the adapter was given (a file's name
    says what its content leaves out), ``capture`` is the same in all parts of one receipt, and in
    no other."""

    name: str
    capture: Annotated[str, Meta(pattern=r"^[0-9a-f]{32}$")]
    received: Count
    """When the feed received the body, UTC epoch ms."""
    stamped: bool
    """Whether ``received`` is also the receipt of the events (live feeds); else they have their
    own."""
    bytes: Count
    """Of the whole body, as is ``sha256``."""
    sha256: Hash
    part: Number
    """From 1 to ``parts``."""
    parts: Number
    part_sha256: Hash
    product: str = ""
    """From here on: what the caller said where the file is silent (``feeds.FeedHints``)."""
    expiry: str = ""
    timestamp: Count | None = None
    nearest_expiry: bool = False
    instruments: bool = False
    """Whether there was a list of instruments; it is not here."""


def headers_of(part: RawPart) -> list[tuple[str, bytes]]:
    """The record headers of a part."""
    told = [(HEADER, SCHEMA.encode())]
    for name in RawPart.__struct_fields__:
        value = getattr(part, name)
        if value is not None and value != "" and value is not False:
            told.append((name, os.fsencode(value if isinstance(value, str) else str(value))))
    return told


def part_of(headers: Headers | None) -> RawPart:
    """What the headers of a record say. Raises RecordError: no part of a body."""
    schema = header_schema(headers)
    if schema != SCHEMA.encode():
        shown = "none" if schema is None else rejects.short(schema.decode("utf-8", "replace"))
        raise RecordError(rejects.UNKNOWN_SCHEMA, f"its schema is {shown}, not {SCHEMA}")
    told: dict[str, object] = {"stamped": False}
    told.update(_texts(headers or ()))
    try:
        part = msgspec.convert(told, RawPart, strict=False)
    except msgspec.ValidationError as error:
        raise RecordError(rejects.INVALID, f"its headers: {error}") from None
    if part.part > part.parts:
        raise RecordError(rejects.INVALID, f"it is part {part.part} of {part.parts}")
    return part


def _texts(headers: Sequence[tuple[str, bytes | None]]) -> dict[str, str]:
    return {name: os.fsdecode(value or b"") for name, value in headers}
