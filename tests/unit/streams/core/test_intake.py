"""Whole records that are refused, each with its reason and all its bytes."""

from __future__ import annotations

import random

import msgspec
import pytest

from optionstream.schemas import codec, rejects
from optionstream.schemas.derived import Reject
from optionstream.schemas.events import MAX_STRIKES
from optionstream.schemas.topics import UNDERLYING
from optionstream.streams.core.intake import Source
from optionstream.streams.core.ticks.partition import TickPartition
from tests.unit.streams.core.chains.small_chains import chain, new_partition
from tests.unit.streams.core.ticks.helpers import OPEN, Record, frames_of, partition, record, tick

FRAME = frames_of([tick(OPEN + i, 1.0, i) for i in range(3)], [3])[0]


def refused(part: object, one: Record) -> Reject:
    (out,) = part.apply([one])  # type: ignore[attr-defined]
    assert isinstance(out.record, Reject)
    assert (out.record.raw, out.record.raw_key) == (one.value, one.key)
    return out.record


def test_a_frame_whose_columns_differ_in_length_is_invalid_and_counts_its_ticks() -> None:
    broken = record(msgspec.structs.replace(FRAME, price=[1.0]))
    reject = refused(partition(), broken)
    assert (reject.reason, reject.events) == (rejects.INVALID, 3)


def test_an_empty_frame_is_invalid() -> None:
    empty = msgspec.structs.replace(FRAME, ts_ms=[], price=[], seq=[], volume=None)
    assert refused(partition(), record(empty)).reason == rejects.INVALID


def test_a_foreign_key_is_refused() -> None:
    for key in (None, b"BANKNIFTY", b"\xff"):
        one = record(FRAME)._replace(key=key)
        assert refused(partition(), one).reason == rejects.KEY_MISMATCH


def test_a_record_on_a_foreign_partition_is_refused() -> None:
    part = partition()
    stranger = TickPartition(Source(UNDERLYING, (part.source.partition + 1) % 6, 6), part.rules)
    assert refused(stranger, record(FRAME)).reason == rejects.FOREIGN_PARTITION


def test_a_chain_on_the_tick_topic_and_a_frame_on_the_chain_topic_are_refused() -> None:
    one = chain([1.0], [1.0])
    as_record = Record(0, 0, b"NIFTY", codec.encode(one), codec.headers_for(one))
    assert refused(partition(), as_record).reason == rejects.WRONG_TOPIC
    reject = refused(new_partition(), record(FRAME))
    assert (reject.reason, reject.events) == (rejects.WRONG_TOPIC, 1)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"strikes": [200.0, 100.0]}, rejects.INVALID),
        ({"strikes": [100.0]}, rejects.INVALID),
        ({"strikes": [0.0, 100.0]}, rejects.INVALID),
        ({"underlying_price": -1.0}, rejects.INVALID),
        ({"strikes": []}, rejects.EMPTY_CHAIN),
        ({"expiry": "2026-13-45"}, rejects.INVALID),
    ],
)
def test_a_chain_with_bad_strikes_or_prices_is_refused(
    change: dict[str, object], reason: str
) -> None:
    one = msgspec.structs.replace(chain([1.0, 2.0], [1.0, 2.0]), **change)
    as_record = Record(0, 0, b"NIFTY:2026-01-13", codec.encode(one), codec.headers_for(one))
    assert refused(new_partition(), as_record).reason == reason


def test_a_chain_without_any_leg_is_refused() -> None:
    one = chain([None, None], [None, None])
    as_record = Record(0, 0, b"NIFTY:2026-01-13", codec.encode(one), codec.headers_for(one))
    assert refused(new_partition(), as_record).reason == rejects.EMPTY_CHAIN


def test_random_bytes_never_stop_a_partition_and_good_records_around_them_count() -> None:
    rng = random.Random(1)
    part = partition()
    good = [record(tick(OPEN + i, 1.0, i)) for i in range(50)]
    junk = [
        Record(i, 0, rng.randbytes(5), rng.randbytes(rng.randrange(60)), headers)
        for i in range(200)
        for headers in ([], [("schema", b"tick_frame:1")], [("schema", rng.randbytes(4))])
    ]
    mixed = good + junk
    rng.shuffle(mixed)
    outputs = part.apply(mixed)
    assert len([out for out in outputs if isinstance(out.record, Reject)]) == len(junk)
    assert sum(counts.accepted for counts in part.counts()) == len(good)


def test_a_record_too_large_to_carry_is_refused_by_place_and_size() -> None:
    huge = Record(5, 0, b"NIFTY", b"x" * (rejects.MAX_KEPT_BYTES + 1), [("schema", b"tick:1")])
    (out,) = partition().apply([huge])
    reject = out.record
    assert isinstance(reject, Reject)
    assert (reject.raw, reject.raw_key, reject.headers, reject.offset) == (None, None, [], 5)
    assert "8,388,609 bytes" in reject.detail


def test_what_a_record_holds_never_makes_a_message_long() -> None:
    long = "N" * 1_000_000
    for one in (
        record(FRAME)._replace(key=long.encode()),
        record(FRAME)._replace(headers=[("schema", long.encode())]),
        Record(0, 0, b"k", b'{"product":"%s","ts_ms":1,"price":1}' % long.encode(), []),
    ):
        assert len(refused(partition(), one).detail) < 300


def test_a_chain_with_more_strikes_than_any_exchange_lists_is_refused() -> None:
    size = MAX_STRIKES + 1
    one = chain([1.0] * size, [1.0] * size)
    as_record = Record(0, 0, b"NIFTY:2026-01-13", codec.encode(one), codec.headers_for(one))
    assert refused(new_partition(), as_record).reason == rejects.INVALID
