"""Records of a topic as pieces of a replay."""

from __future__ import annotations

from typing import Any

import pytest

from optionstream.deploy.replays.sources.copied_piece import CopiedPiece
from optionstream.schemas import codec
from optionstream.schemas.events import Tick, TickFrame
from optionstream.streams.kafka.records import Headers, RawRecord
from tests.unit.producers.playback.support import beat, candles, frame, quotes


class Taker:
    """A publisher that remembers the copies."""

    def __init__(self) -> None:
        self.taken: list[tuple[Any, ...]] = []

    def publish_copy(self, *args: Any) -> None:
        self.taken.append(args)


def record(value: bytes | None, headers: Headers, stamp: int = 70_000) -> RawRecord:
    return RawRecord("market.underlying", 4, 12, stamp, b"NIFTY", headers, value)


def of(event: Any, *others: tuple[str, bytes]) -> RawRecord:
    # Spaces that no encoder of ours writes: the bytes must be the record's own.
    return record(codec.encode(event) + b" ", [*others, *codec.headers_for(event)])


def sent(piece: CopiedPiece) -> tuple[Any, ...]:
    taker: Any = Taker()
    piece.send(taker)
    (only,) = taker.taken
    return tuple(only)


@pytest.mark.parametrize("event", [frame(1, 2, 3), candles(0), quotes(5, 6), beat(9)])
def test_a_whole_record_goes_on_with_all_that_it_had(event: Any) -> None:
    raw = of(event, ("trace", b"x"))
    told = sent(CopiedPiece(raw, event))
    assert told == (
        "market.underlying", 4, b"NIFTY", raw.value, raw.headers, 70_000, event,
    )  # fmt: skip


def test_what_cannot_be_read_goes_on_too_at_its_stamp() -> None:
    raw = record(b"\xff garbage", [])
    piece = CopiedPiece(raw, None)
    assert list(piece.reach) == [70_000]
    assert (piece.schema, piece.events, piece.product) == ("unreadable", 1, "")
    assert sent(piece) == ("market.underlying", 4, b"NIFTY", raw.value, [], 70_000, None)


def test_a_foreign_tick_keeps_its_bytes_and_its_lack_of_a_header() -> None:
    tick = Tick(product="NIFTY", ts_ms=5, price=2.0)
    raw = record(b'{"product":"NIFTY","ts_ms":5,"price":2}', [])
    piece = CopiedPiece(raw, tick)
    assert list(piece.reach) == [5]
    assert sent(piece)[3:5] == (raw.value, [])


def test_the_parts_of_a_record_are_written_anew_under_its_key_and_headers() -> None:
    whole = frame(1_000, 2_000, 3_000)
    first, rest = CopiedPiece(of(whole, ("trace", b"x")), whole).cut(2)
    topic, partition, key, _, headers, stamp, _ = sent(first)
    assert (topic, partition, key, stamp) == ("market.underlying", 4, b"NIFTY", 2_000)
    assert dict(headers) == {"schema": b"tick_frame:1", "trace": b"x"}
    told = [codec.decode(one[3], one[4]) for one in (sent(first), sent(rest))]
    assert [one.ts_ms for one in told if isinstance(one, TickFrame)] == [[1_000, 2_000], [3_000]]
