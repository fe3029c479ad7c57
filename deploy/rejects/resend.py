"""Rejects turned back into records to send. Pure.

As it was: the same bytes, key and headers for the same partition; of a frame of which some ticks
were refused, these alone. Normalised: decoded and encoded by the present code, with the key, topic
and partition that its content asks for.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec import Struct

from optionstream.producers.kafka.publisher import address_of
from optionstream.producers.playback.pieces import F, reach_of, some_rows
from optionstream.schemas import codec, rejects
from optionstream.schemas.derived import Reject
from optionstream.schemas.errors import RecordError
from optionstream.schemas.events import (
    CandleFrame,
    MarketEvent,
    OptionQuoteFrame,
    Tick,
    TickFrame,
)
from optionstream.schemas.topics import partition_for

_FRAMES = (TickFrame, CandleFrame, OptionQuoteFrame)

Headers = list[tuple[str, bytes]]


class Resent(Struct, frozen=True):
    """A record to send; ``topic`` is without the namespace, ``timestamp`` epoch ms."""

    topic: str
    partition: int
    key: bytes | None
    value: bytes | None
    headers: Headers
    timestamp: int


def resent(reject: Reject, partitions: int, *, normalise: bool) -> Resent:
    """Return the record to send for a reject that has its bytes.

    ``partitions`` is the partition count of the topics. Raises RecordError when the record has
    to be decoded and cannot be, or is not a market event.
    """
    place = reject.topic, reject.partition, reject.raw_key
    value, headers = reject.raw, list(reject.headers)
    if normalise or reject.indices:
        record: Any = codec.decode(value, headers)
        if normalise and not isinstance(record, MarketEvent | Tick):
            kind = codec.schema_of(record)
            raise RecordError(rejects.WRONG_TOPIC, f"{kind} is not a market event")
        whole = not isinstance(record, _FRAMES) or not reject.indices
        event = record if whole else cut(record, reject.indices)
        if normalise or event is not record:
            value = codec.encode(event)
            others = [(name, data) for name, data in headers if name != codec.HEADER]
            headers = [*codec.headers_for(event), *others]
        if normalise:
            topic, key = address_of(event)  # a Tick goes where frames go
            place = topic, partition_for(event.product, partitions), key.encode()
    return Resent(*place, value, rejects.redriven_headers(headers, reject.id), reject.record_ts)


def cut(frame: F, indices: Sequence[int]) -> F:
    """Return the frame with these rows alone; the frame itself when it has no others.

    (A tick that was held back in vain comes as a frame of its own, with its position in the old
    one.)
    """
    return frame if len(reach_of(frame)) <= len(indices) else some_rows(frame, indices)
