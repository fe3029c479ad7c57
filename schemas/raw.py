"""Payloads as feeds received them, in the records of the raw topics (``topics.RAW_TOPICS``).

A record's value is the payload's bytes, still compressed, or a numbered part of them; its
timestamp is the receipt. Its headers hold the fields of ``RawPart`` by name, as text, and
``schema: raw_part:1``. Fields that are None, empty or false are left out.
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
"""Size of a part: five times an exchange's largest payload, and what the audit archive puts into
one file."""

Hash = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}$")]
Count = Annotated[int, Meta(ge=0)]
Number = Annotated[int, Meta(ge=1)]


class RawPart(Struct, frozen=True, kw_only=True):
    """The headers of one part of a payload.

    ``name`` is the absolute path that the adapter was given (a file's name says what its content
    leaves out). ``capture`` is the same in all parts of one receipt, and in no other.
    """

    name: str
    capture: Annotated[str, Meta(pattern=r"^[0-9a-f]{32}$")]
    received: Count
    """Time when the feed received the payload, UTC epoch ms."""
    stamped: bool
    """True if ``received`` is also the receipt time of the events (live feeds)."""
    bytes: Count
    """Size of the whole payload; ``sha256`` is its hash."""
    sha256: Hash
    part: Number
    """From 1 to ``parts``."""
    parts: Number
    part_sha256: Hash
    product: str = ""
    """This and the following: hints of the caller (``feeds.FeedHints``)."""
    expiry: str = ""
    timestamp: Count | None = None
    nearest_expiry: bool = False
    instruments: bool = False
    """True if a list of instruments was given; it is not stored here."""


def headers_of(part: RawPart) -> list[tuple[str, bytes]]:
    """Return the record headers of a part."""
    headers = [(HEADER, SCHEMA.encode())]
    for name in RawPart.__struct_fields__:
        value = getattr(part, name)
        if value is not None and value != "" and value is not False:
            headers.append((name, os.fsencode(value if isinstance(value, str) else str(value))))
    return headers


def part_of(headers: Headers | None) -> RawPart:
    """Return the part that a record's headers describe; raise RecordError if it is none."""
    schema = header_schema(headers)
    if schema != SCHEMA.encode():
        shown = "none" if schema is None else rejects.short(schema.decode("utf-8", "replace"))
        raise RecordError(rejects.UNKNOWN_SCHEMA, f"its schema is {shown}, not {SCHEMA}")
    fields: dict[str, object] = {"stamped": False, **_texts(headers or ())}
    try:
        part = msgspec.convert(fields, RawPart, strict=False)
    except msgspec.ValidationError as error:
        raise RecordError(rejects.INVALID, f"its headers: {error}") from None
    if part.part > part.parts:
        raise RecordError(rejects.INVALID, f"it is part {part.part} of {part.parts}")
    return part


def _texts(headers: Sequence[tuple[str, bytes | None]]) -> dict[str, str]:
    return {name: os.fsdecode(value or b"") for name, value in headers}
