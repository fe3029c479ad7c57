"""The wire: JSON values, with the schema's name and version in the record header ``schema``.

``schema: tick_frame:1``. A record without that header is read as "tick v1 JSON", the form that
foreign producers send. Every version ever shipped stays decodable (tests/golden).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import msgspec

from optionstream.schemas import rejects
from optionstream.schemas.derived import Bar, ChainAnalytics, Gap, Reject, VolatilitySurface
from optionstream.schemas.errors import RecordError
from optionstream.schemas.events import (
    PRODUCT_PATTERN,
    CandleFrame,
    ChainSnapshot,
    Heartbeat,
    OptionQuoteFrame,
    Tick,
    TickFrame,
)

HEADER = "schema"

Record = (
    TickFrame
    | Tick
    | CandleFrame
    | Heartbeat
    | OptionQuoteFrame
    | ChainSnapshot
    | Bar
    | Gap
    | ChainAnalytics
    | VolatilitySurface
    | Reject
)

SCHEMAS: dict[str, type[Any]] = {
    "tick_frame:1": TickFrame,
    "tick:1": Tick,
    "candle_frame:1": CandleFrame,
    "heartbeat:1": Heartbeat,
    "option_quote_frame:1": OptionQuoteFrame,
    "chain_snapshot:1": ChainSnapshot,
    "bar:1": Bar,
    "gap:1": Gap,
    "chain_analytics:1": ChainAnalytics,
    "volatility_surface:1": VolatilitySurface,
    "reject:1": Reject,
}
"""Every schema ever shipped, by the header's value."""

_CURRENT: dict[type[Any], str] = {type_: name for name, type_ in SCHEMAS.items()}
FOREIGN_SCHEMA = "tick:1"

Headers = Sequence[tuple[str, bytes | None]]

_LONGEST_PRODUCT = 32
_product = re.compile(PRODUCT_PATTERN)
_encoder = msgspec.json.Encoder()
_decoders = {name.encode(): msgspec.json.Decoder(type_) for name, type_ in SCHEMAS.items()}
_foreign_decoder = _decoders[FOREIGN_SCHEMA.encode()]


def schema_of(record: Record) -> str:
    """Return the value of the header ``schema`` for ``record``."""
    return _CURRENT[type(record)]


def headers_for(record: Record) -> list[tuple[str, bytes]]:
    """Return the record headers to send with ``encode(record)``."""
    return [(HEADER, _CURRENT[type(record)].encode())]


def encode(record: Record) -> bytes:
    """Return the record's value as JSON bytes."""
    return _encoder.encode(record)


def header_schema(headers: Headers | None) -> bytes | None:
    """Return the value of the ``schema`` header; None if there is none."""
    if not headers:
        return None
    for name, value in headers:
        if name == HEADER:
            return value or b""
    return None


def decode(value: bytes | None, headers: Headers | None) -> Record:
    """Return the record in a Kafka value.

    Raises RecordError with reason ``unknown_schema``, ``undecodable`` (not JSON at all) or
    ``invalid`` (JSON that breaks the schema, or a product that is not a symbol). Lengths and ranges
    within a frame or a chain are checked by ``schemas.checks``.
    """
    name = header_schema(headers)
    decoder = _foreign_decoder if name is None else _decoders.get(name)
    if decoder is None:
        assert name is not None
        known = ", ".join(SCHEMAS)
        shown = rejects.short(name.decode("utf-8", "backslashreplace"))
        raise RecordError(rejects.UNKNOWN_SCHEMA, f"schema {shown} is not one of {known}")
    if value is None:
        raise RecordError(rejects.UNDECODABLE, "the record has no value")
    try:
        record: Record = decoder.decode(value)
    except msgspec.ValidationError as error:
        raise RecordError(rejects.INVALID, str(error)) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise RecordError(rejects.UNDECODABLE, str(error)) from None
    except RecursionError:
        raise RecordError(rejects.UNDECODABLE, "the JSON is nested too deeply") from None
    if not isinstance(record, Reject) and not is_product(record.product):
        shown = rejects.short(record.product)
        raise RecordError(rejects.INVALID, f"product {shown} does not match {PRODUCT_PATTERN}")
    return record


def is_product(text: str) -> bool:
    """Return True if ``text`` is an exchange's symbol."""
    return len(text) <= _LONGEST_PRODUCT and _matches(text)


@lru_cache(maxsize=4_096)
def _matches(text: str) -> bool:
    return _product.match(text) is not None
