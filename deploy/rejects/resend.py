"""From a reject to the record that is sent again. Pure.

As it was: the same bytes, key and headers on the same partition; of a frame of which some ticks
were refused, these alone. Normalised: decoded and encoded by the present code, with the key, topic
and partition that its content asks for.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

import msgspec
from msgspec import Struct

from optionstream.producers.kafka.publisher import address_of
from optionstream.schemas import codec, rejects
from optionstream.schemas.derived import Reject
from optionstream.schemas.errors import RecordError
from optionstream.schemas.events import (
    CandleFrame,
    ChainSnapshot,
    Heartbeat,
    OptionQuoteFrame,
    Tick,
    TickFrame,
)
from optionstream.schemas.topics import partition_for

_FRAMES = (TickFrame, CandleFrame, OptionQuoteFrame)
_EVENTS = (TickFrame, Tick, CandleFrame, Heartbeat, OptionQuoteFrame, ChainSnapshot)

Headers = list[tuple[str, bytes]]
S = TypeVar("S", bound=Struct)


class Resent(Struct, frozen=True):
    """A record to send; ``topic`` is without the namespace, ``timestamp`` epoch ms."""

    topic: str
    partition: int
    key: bytes | None
    value: bytes | None
    headers: Headers
    timestamp: int


def resent(reject: Reject, partitions: int, *, normalise: bool) -> Resent:
    """The record that follows from a reject whose bytes are there.

    Raises RecordError when it cannot be decoded and has to be, or is no market record.
    """
    if normalise:
        return _normalised(reject, partitions)
    key, value, headers = reject.raw_key, reject.raw, list(reject.headers)
    if reject.indices:
        record = codec.decode(value, headers)
        if isinstance(record, _FRAMES) and (part := cut(record, reject.indices)) is not record:
            value = codec.encode(part)
            headers = _with_schema(headers, codec.headers_for(part))
    return Resent(
        reject.topic,
        reject.partition,
        key,
        value,
        rejects.redriven_headers(headers, reject.id),
        reject.record_ts,
    )


def cut(frame: S, indices: Sequence[int]) -> S:
    """The frame with these positions alone; the frame itself when it holds no others (a tick that
    waited in vain comes as a frame of its own, with its position in the old one)."""
    columns = {
        name: column
        for name in frame.__struct_fields__
        if isinstance(column := getattr(frame, name), list)
    }
    if len(next(iter(columns.values()))) <= len(indices):
        return frame
    changed = {name: [column[at] for at in indices] for name, column in columns.items()}
    return msgspec.structs.replace(frame, **changed)


def _normalised(reject: Reject, partitions: int) -> Resent:
    record: Any = codec.decode(reject.raw, reject.headers)
    if not isinstance(record, _EVENTS):
        kind = codec.schema_of(record)
        raise RecordError(rejects.WRONG_TOPIC, f"{kind} is no record of the market")
    if isinstance(record, _FRAMES) and reject.indices:
        record = cut(record, reject.indices)
    topic, key = address_of(record)  # a Tick goes where frames go
    headers = _with_schema(list(reject.headers), codec.headers_for(record))
    return Resent(
        topic,
        partition_for(record.product, partitions),
        key.encode(),
        codec.encode(record),
        rejects.redriven_headers(headers, reject.id),
        reject.record_ts,
    )


def _with_schema(headers: Headers, schema: Headers) -> Headers:
    return [*schema, *((name, value) for name, value in headers if name != codec.HEADER)]
