"""From a Kafka record to an event, or to a reject (docs/semantics.md, "Whole records")."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple, Protocol

from optionstream.schemas import rejects
from optionstream.schemas.checks import check_candles, check_chain, check_frame, check_quotes
from optionstream.schemas.codec import Headers, decode
from optionstream.schemas.derived import Bar, ChainAnalytics, Gap, Reject, VolatilitySurface
from optionstream.schemas.errors import RecordError
from optionstream.schemas.events import (
    CandleFrame,
    ChainSnapshot,
    Heartbeat,
    OptionQuoteFrame,
    Tick,
    TickFrame,
)
from optionstream.schemas.topics import (
    OPTION_CHAIN,
    OPTION_QUOTE,
    REJECTS,
    UNDERLYING,
    chain_key,
    partition_for,
)


class Incoming(Protocol):
    """A consumed record, as Kafka clients give it; ``timestamp`` is UTC epoch ms."""

    @property
    def offset(self) -> int: ...
    @property
    def timestamp(self) -> int: ...
    @property
    def key(self) -> bytes | None: ...
    @property
    def value(self) -> bytes | None: ...
    @property
    def headers(self) -> Sequence[tuple[str, bytes]]: ...


class Output(NamedTuple):
    """A derived record for ``topic`` (before the namespace's prefix); goes to the partition it
    came from."""

    topic: str
    key: bytes | None
    record: Bar | Gap | ChainAnalytics | VolatilitySurface | Reject
    timestamp: int


class Source(NamedTuple):
    """The partition that records come from, and how many its topic has."""

    topic: str
    partition: int
    partitions: int


MarketRecord = TickFrame | Tick | CandleFrame | Heartbeat | OptionQuoteFrame | ChainSnapshot
_BELONGS: dict[str, tuple[type, ...]] = {
    UNDERLYING: (TickFrame, Tick, CandleFrame, Heartbeat),
    OPTION_CHAIN: (ChainSnapshot,),
    OPTION_QUOTE: (OptionQuoteFrame,),
}
_CHECKS: dict[type, Callable[[Any], None]] = {
    TickFrame: check_frame,
    CandleFrame: check_candles,
    OptionQuoteFrame: check_quotes,
    ChainSnapshot: check_chain,
}
"""What rule 3 says of each kind of record; the others are checked by their types alone."""


class Refused(RecordError):
    """A record refused as a whole; ``events`` says how many events it was."""

    def __init__(self, error: RecordError, events: int) -> None:
        super().__init__(error.reason, error.detail)
        self.detail = error.detail
        self.events = events


def read(incoming: Incoming, source: Source) -> MarketRecord:
    """Return the event of a record; raises Refused by the first of rules 1 to 5 it breaks."""
    record = read_content(incoming.value, incoming.headers, source.topic)
    check_place(record, incoming.key, source)
    return record


def read_content(value: bytes | None, headers: Headers | None, topic: str) -> MarketRecord:
    """Return the event of a record on a market topic (its name without the namespace's prefix);
    raises Refused by the first of rules 1 to 3 it breaks."""
    events = 1
    try:
        record = decode(value, headers)
        if not isinstance(record, _BELONGS[topic]):
            raise RecordError(
                rejects.WRONG_TOPIC, f"{type(record).__name__} does not belong on {topic}"
            )
        events = _count_events(record)  # type: ignore[arg-type]
        check = _CHECKS.get(type(record))
        if check is not None:
            check(record)
    except RecordError as error:
        raise Refused(error, events) from None
    return record  # type: ignore[return-value]  # _BELONGS lets only market records through


def check_place(record: MarketRecord, key: bytes | None, source: Source) -> None:
    """Check that key and partition are those of the record's content, rules 4 and 5; else raise
    Refused."""
    try:
        _check_place(record, key, source)
    except RecordError as error:
        raise Refused(error, _count_events(record)) from None


def _count_events(record: MarketRecord) -> int:
    """Return how many events a record counts as when it is refused."""
    if isinstance(record, TickFrame | OptionQuoteFrame):
        return len(record.ts_ms)
    return len(record.start_ms) if isinstance(record, CandleFrame) else 1


def _check_place(record: MarketRecord, key: bytes | None, source: Source) -> None:
    product = record.product
    expected, home = _place(product, source.partitions)
    if isinstance(record, ChainSnapshot | OptionQuoteFrame):
        expected = chain_key(product, record.expiry).encode()
    if key != expected:
        shown = rejects.short(None if key is None else key.decode("utf-8", "backslashreplace"))
        wanted = expected.decode()
        raise RecordError(rejects.KEY_MISMATCH, f"key {shown}, the content asks for {wanted!r}")
    if source.partition != home:
        raise RecordError(
            rejects.FOREIGN_PARTITION, f"{product} belongs on partition {home} of {source.topic}"
        )


@lru_cache(maxsize=4_096)
def _place(product: str, partitions: int) -> tuple[bytes, int]:
    """The key of a product's ticks, and its partition."""
    return product.encode(), partition_for(product, partitions)


def reject(
    incoming: Incoming,
    source: Source,
    reason: str,
    detail: str,
    events: int = 1,
    indices: list[int] | None = None,
) -> Output:
    """The reject of a record, or of some of its ticks."""
    key, value, headers = incoming.key, incoming.value, incoming.headers
    if not rejects.is_kept(key, headers, value):
        size = len(value or b"")
        detail += f" (a record of {size:,} bytes: left where it is)"
        key, value, headers = None, None, ()
    return Output(
        REJECTS,
        key,
        Reject(
            reason=reason,
            detail=detail,
            topic=source.topic,
            partition=source.partition,
            offset=incoming.offset,
            record_ts=incoming.timestamp,
            events=events,
            indices=indices or [],
            raw_key=key,
            raw=value,
            headers=[(name, data or b"") for name, data in headers],
        ),
        max(0, incoming.timestamp),
    )
