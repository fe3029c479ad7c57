"""From Kafka messages to checked records, for sinks.

A sink does not report what it cannot read: ``analytics`` reads the same topics and writes the
reject records. Here it is counted and left.
"""

from __future__ import annotations

from datetime import date

from confluent_kafka import Message

from optionstream.schemas import rejects
from optionstream.schemas.checks import check_candles, check_frame
from optionstream.schemas.codec import Record, decode
from optionstream.schemas.derived import Bar, ChainAnalytics, Gap, VolatilitySurface
from optionstream.schemas.errors import RecordError
from optionstream.schemas.events import CandleFrame, Heartbeat, Tick, TickFrame
from optionstream.schemas.identity import frame_of_tick
from optionstream.schemas.topics import partition_for

LAST_MS = 253_402_214_400_000
"""9999-12-31 UTC: the last day that dates can say in every zone."""


def read(message: Message) -> Record:
    """The record. Raises RecordError as schemas.codec.decode."""
    # The stubs allow str values; a consumer without deserialisers yields bytes.
    return decode(message.value(), message.headers())  # type: ignore[arg-type]


def read_ticks(message: Message) -> TickFrame | None:
    """The well-formed ticks of a record of the underlying topic; None for candles, which are
    no ticks, and for a heartbeat.

    Rules 1 to 3 for whole records of docs/semantics.md; RecordError when one is broken. A single
    tick becomes a frame of one.
    """
    record = read(message)
    if isinstance(record, TickFrame):
        check_frame(record)
        return record
    if isinstance(record, CandleFrame):
        check_candles(record)
        return None
    if isinstance(record, Heartbeat):
        return None
    if isinstance(record, Tick):
        return frame_of_tick(record, message.timestamp()[1])
    raise RecordError(rejects.WRONG_TOPIC, type(record).__name__)


def check_bar(bar: Bar) -> None:
    """Its times can be written as dates; else RecordError ``bad_time``."""
    _check_times(bar.start, bar.end, bar.known_at)


def check_gap(gap: Gap) -> None:
    """Its times can be written as dates; else RecordError ``bad_time``."""
    _check_times(gap.start, gap.end, gap.known_at)


def check_chain(chain: ChainAnalytics) -> None:
    """Its times can be written as dates and its expiry is one; else RecordError."""
    _check_times(chain.ts_event, chain.ts_recv, chain.known_at)
    try:
        date.fromisoformat(chain.expiry)
    except ValueError:
        raise RecordError(rejects.INVALID, f"expiry {chain.expiry!r} is no date") from None


def check_surface(surface: VolatilitySurface) -> None:
    """Its times can be written as dates; else RecordError ``bad_time``."""
    moments = (smile.ts_event for smile in surface.smiles)
    _check_times(surface.ts_event, surface.ts_recv, surface.known_at, *moments)


def check_place(message: Message, product: str, partitions: int) -> None:
    """Rules 4 and 5: key and partition are the product's; else RecordError."""
    if message.key() != product.encode():
        raise RecordError(rejects.KEY_MISMATCH, f"key {message.key()!r}, product {product}")
    if message.partition() != partition_for(product, partitions):
        raise RecordError(rejects.FOREIGN_PARTITION, f"partition {message.partition()}")


def _check_times(*moments: int) -> None:
    for moment in moments:
        if not 0 <= moment <= LAST_MS:
            raise RecordError(rejects.BAD_TIME, f"{moment} ms")
