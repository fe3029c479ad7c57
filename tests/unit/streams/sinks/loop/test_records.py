"""What a sink leaves out: the records of the tick topic that analytics refuses, no others."""

from __future__ import annotations

from typing import NamedTuple

import msgspec
import pytest

from optionstream.schemas import codec
from optionstream.schemas.errors import RecordError
from optionstream.schemas.events import CandleFrame, Heartbeat, Tick
from optionstream.schemas.topics import UNDERLYING, partition_for
from optionstream.streams.core.intake import Refused, Source
from optionstream.streams.core.intake import read as core_read
from optionstream.streams.sinks.loop.records import check_ticks_place, read_ticks
from tests.harness.records import OPEN_MS, bar, frame
from tests.unit.streams.core.ticks.helpers import Record

HOME = partition_for("NIFTY", 6)
TICK = Tick(product="NIFTY", source="a", session="s", ts_ms=OPEN_MS, price=1.0)
CANDLES = CandleFrame(
    product="NIFTY",
    source="a",
    session="s",
    ts_recv=OPEN_MS,
    interval_ms=60_000,
    start_ms=[OPEN_MS],
    open=[1.0],
    high=[1.0],
    low=[1.0],
    close=[1.0],
)
HEARTBEAT = Heartbeat(product="NIFTY", source="a", ts_event=OPEN_MS, ts_recv=OPEN_MS)


class Message(NamedTuple):
    """As the consumer gives it, with methods."""

    record: Record
    at: int

    def value(self) -> bytes | None:
        return self.record.value

    def key(self) -> bytes | None:
        return self.record.key

    def headers(self) -> list[tuple[str, bytes]]:
        return self.record.headers  # type: ignore[return-value]

    def timestamp(self) -> tuple[int, int]:
        return 1, self.record.timestamp

    def partition(self) -> int:
        return self.at


def _record(event: codec.Record, key: bytes = b"NIFTY") -> Record:
    return Record(0, OPEN_MS, key, codec.encode(event), codec.headers_for(event))


@pytest.mark.parametrize(
    ("record", "at"),
    [
        (_record(frame()), HOME),
        (_record(TICK), HOME),
        (_record(CANDLES), HOME),
        (_record(HEARTBEAT), HOME),
        (_record(frame(), b"BANKNIFTY"), HOME),
        (_record(TICK, b""), HOME),
        (_record(frame())._replace(key=None), HOME),
        (_record(frame()), HOME + 1),
        (_record(bar()), HOME),
        (_record(msgspec.structs.replace(frame(), price=[1.0])), HOME),
        (_record(msgspec.structs.replace(CANDLES, interval_ms=61_000)), HOME),
        (_record(frame())._replace(value=None), HOME),
        (_record(frame())._replace(value=b"{"), HOME),
        (_record(frame())._replace(headers=[("schema", b"tick_frame:9")]), HOME),
    ],
)
def test_a_sink_leaves_out_what_the_core_refuses_for_the_same_reason(
    record: Record, at: int
) -> None:
    assert _reason_of_sink(record, at) == _reason_of_core(record, at)


def _reason_of_core(record: Record, at: int) -> str | None:
    try:
        core_read(record, Source(UNDERLYING, at, 6))
    except Refused as error:
        return error.reason
    return None


def _reason_of_sink(record: Record, at: int) -> str | None:
    message = Message(record, at)
    try:
        ticks = read_ticks(message)  # type: ignore[arg-type]
        if ticks is not None:
            check_ticks_place(message, ticks, 6)  # type: ignore[arg-type]
    except RecordError as error:
        return error.reason
    return None
