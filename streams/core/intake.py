"""Turn Kafka records into events or rejects (docs/semantics.md, "Whole records")."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple, Protocol

from optionstream.schemas import rejects
from optionstream.schemas.checks import check_candles, check_chain, check_frame, check_quotes
from optionstream.schemas.codec import Headers, decode, encode, headers_for
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
    """A consumed record, as Kafka clients return it."""

    @property
    def offset(self) -> int:
        """Offset in its partition."""

    @property
    def timestamp(self) -> int:
        """Kafka's timestamp, UTC epoch ms."""

    @property
    def key(self) -> bytes | None:
        """Key as received."""

    @property
    def value(self) -> bytes | None:
        """Value as received."""

    @property
    def headers(self) -> Sequence[tuple[str, bytes]]:
        """Headers in their order."""


class Output(NamedTuple):
    """A derived record for ``topic`` (without the namespace's prefix); it goes to the partition
    it came from. ``timestamp`` is UTC epoch ms."""

    topic: str
    key: bytes | None
    record: Bar | Gap | ChainAnalytics | VolatilitySurface | Reject
    timestamp: int


class Source(NamedTuple):
    """The partition that records come from (the topic without the namespace's prefix), and how
    many its topic has."""

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
    product = record.product
    expected, home = _place(product, source.partitions)
    if isinstance(record, ChainSnapshot | OptionQuoteFrame):
        expected = chain_key(product, record.expiry).encode()
    if key != expected:
        shown = rejects.short(None if key is None else key.decode("utf-8", "backslashreplace"))
        detail = f"key {shown}, the content asks for {expected.decode()!r}"
        raise Refused(RecordError(rejects.KEY_MISMATCH, detail), _count_events(record))
    if source.partition != home:
        detail = f"{product} belongs on partition {home} of {source.topic}"
        raise Refused(RecordError(rejects.FOREIGN_PARTITION, detail), _count_events(record))


def is_home(product: str, key: bytes | None, source: Source) -> bool:
    """True if key and partition of a record are those of its product's ticks, rules 4 and 5."""
    return (key, source.partition) == _place(product, source.partitions)


def _count_events(record: MarketRecord) -> int:
    """Return how many events a record counts as when it is refused."""
    if isinstance(record, TickFrame | OptionQuoteFrame):
        return len(record.ts_ms)
    return len(record.start_ms) if isinstance(record, CandleFrame) else 1


@lru_cache(maxsize=4_096)
def _place(product: str, partitions: int) -> tuple[bytes, int]:
    """Return the key of a product's ticks, and its partition."""
    return product.encode(), partition_for(product, partitions)


class HeldEvent(Protocol):
    """An event that was held for its session."""

    @property
    def ts_recv(self) -> int:
        """Receipt time, UTC epoch ms."""

    @property
    def offset(self) -> int:
        """Offset of the record it came in."""

    @property
    def position(self) -> int:
        """Position in that record."""


def reject_record(incoming: Incoming, source: Source, error: Refused) -> Output:
    """Return the reject of a whole record."""
    return _reject(incoming, source, error.reason, error.detail, error.events, [])


def reject_events(incoming: Incoming, source: Source, reason: str, indices: list[int]) -> Output:
    """Return the reject of the events at some positions of a record."""
    detail = rejects.MEANING[reason]
    return _reject(incoming, source, reason, detail, len(indices), indices)


def reject_held(
    event: HeldEvent, frame: TickFrame | CandleFrame | OptionQuoteFrame, key: bytes, source: Source
) -> Output:
    """Return the reject ``too_late`` of an event whose session never started.

    Its record is long gone, so the bytes are those of ``frame``, which holds this event alone.
    """
    record = Reject(
        reason=rejects.TOO_LATE,
        detail=rejects.MEANING[rejects.TOO_LATE],
        topic=source.topic,
        partition=source.partition,
        offset=event.offset,
        record_ts=event.ts_recv,
        events=1,
        indices=[event.position],
        raw_key=key,
        raw=encode(frame),
        headers=headers_for(frame),
    )
    return Output(REJECTS, key, record, max(0, event.ts_recv))


def _reject(
    incoming: Incoming, source: Source, reason: str, detail: str, events: int, indices: list[int]
) -> Output:
    key, value, headers = incoming.key, incoming.value, incoming.headers
    if not rejects.is_kept(key, headers, value):
        size = len(value or b"")
        detail += f" (a record of {size:,} bytes: left where it is)"
        key, value, headers = None, None, ()
    record = Reject(
        reason=reason,
        detail=detail,
        topic=source.topic,
        partition=source.partition,
        offset=incoming.offset,
        record_ts=incoming.timestamp,
        events=events,
        indices=indices,
        raw_key=key,
        raw=value,
        headers=[(name, data or b"") for name, data in headers],
    )
    return Output(REJECTS, key, record, max(0, incoming.timestamp))
