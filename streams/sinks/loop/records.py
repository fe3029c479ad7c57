"""From Kafka messages to checked records, for sinks.

A sink does not report what it cannot read: ``analytics`` reads the same topics and writes the
reject records. Here it is counted and left.
"""

from __future__ import annotations

from datetime import date

from confluent_kafka import Message

from optionstream.schemas import rejects
from optionstream.schemas.codec import Record, decode
from optionstream.schemas.derived import Bar, ChainAnalytics, Gap, VolatilitySurface
from optionstream.schemas.errors import RecordError
from optionstream.schemas.events import Tick, TickFrame
from optionstream.schemas.identity import frame_of_tick
from optionstream.schemas.times import LAST_MS
from optionstream.schemas.topics import UNDERLYING
from optionstream.streams.core.intake import Source, check_place, read_content


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
    record = read_content(message.value(), message.headers(), UNDERLYING)  # type: ignore[arg-type]
    if isinstance(record, Tick):
        return frame_of_tick(record, message.timestamp()[1])
    return record if isinstance(record, TickFrame) else None


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


def check_ticks_place(message: Message, frame: TickFrame, partitions: int) -> None:
    """Check that key and partition are the product's, rules 4 and 5 for whole records; else raise
    RecordError. ``partitions`` is how many the topic has."""
    source = Source(UNDERLYING, message.partition() or 0, partitions)
    check_place(frame, message.key(), source)


def _check_times(*moments: int) -> None:
    for moment in moments:
        if not 0 <= moment <= LAST_MS:
            raise RecordError(rejects.BAD_TIME, f"{moment} ms")
