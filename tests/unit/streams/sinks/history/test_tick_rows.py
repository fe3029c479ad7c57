"""Rows for MongoDB, and which of them count when they are read."""

from __future__ import annotations

from datetime import UTC
from itertools import pairwise
from pathlib import Path
from typing import Any

from bson import ObjectId
from hypothesis import given
from hypothesis import strategies as st

from optionstream.schemas import rejects
from optionstream.schemas.settings import Settings
from optionstream.schemas.topics import Namespace
from optionstream.streams.core.rules import Rules
from optionstream.streams.sinks.history.storable import keep_storable
from optionstream.streams.sinks.history.tick_reading import Ownership
from optionstream.streams.sinks.history.tick_rows import tick_rows
from optionstream.streams.sinks.latest.newest import frame_tick
from tests.harness.records import OPEN_MS, frame

LIMITS = Rules.of(Namespace("test"), Settings(data_dir=Path("/nonexistent")))
EPOCH = ObjectId()


def test_a_stored_tick_says_what_redis_and_the_interface_say() -> None:
    one = frame(7, 3)
    rows, left_out = tick_rows(one, 2, 40, EPOCH, LIMITS)
    assert left_out == 0
    for at, row in enumerate(rows):
        document = frame_tick(one, at)
        assert row.pop("timestamp").replace(tzinfo=UTC) == document.pop("timestamp")
        assert row == {**document, "p": 2, "o": 40, "i": at, "e": EPOCH}


@given(
    st.sampled_from([OPEN_MS, 10**17, -1, 4_070_908_800_000]),
    st.sampled_from([1.0, 0.0, -1.0]),
    st.none() | st.integers(0, 9),
    st.none() | st.integers(0, 9),
)
def test_one_tick_makes_the_same_row_alone_as_in_a_frame(
    ts_ms: int, price: float, volume: int | None, tick_id: int | None
) -> None:
    def of(count: int) -> Any:
        return tick_rows(
            frame(
                0,
                count,
                ts_recv=OPEN_MS,
                ts_ms=[ts_ms] * count,
                price=[price] * count,
                volume=[volume] * count,
                tick_id=None if tick_id is None else [tick_id] * count,
            ),
            1,
            2,
            EPOCH,
            LIMITS,
        )

    (alone, left_out), (together, _) = of(1), of(2)
    assert alone == together[:1]
    assert left_out == 1 - len(alone)


def test_a_frame_without_volume_has_null_and_not_zero() -> None:
    rows, _ = tick_rows(frame(0, 2, volume=None), 0, 0, EPOCH, LIMITS)
    assert [row["volume"] for row in rows] == [None, None]


def test_the_identity_of_unnumbered_ticks_is_kept() -> None:
    rows, _ = tick_rows(frame(0, 2, tick_id=[11, 12]), 0, 0, EPOCH, LIMITS)
    assert [row["tick_id"] for row in rows] == [11, 12]


def test_times_that_dates_cannot_hold_are_left_out_and_refused_ticks_are_marked() -> None:
    strange = frame(0, 4, ts_ms=[OPEN_MS, 10**17, OPEN_MS, -1], price=[1.0, 1.0, -1.0, 1.0])
    rows, left_out = tick_rows(strange, 0, 0, EPOCH, LIMITS)
    assert left_out == 2
    assert [(row["i"], row.get("refused")) for row in rows] == [(0, None), (2, rejects.BAD_PRICE)]


def test_what_mongodb_cannot_hold_is_left_out_and_the_rest_kept() -> None:
    good = {"_id": "a", "volume": 2**63 - 1}
    assert keep_storable([good, {"_id": "b", "volume": 2**63}], "ohlc") == [good]
    assert keep_storable([{"_id": "c", "raw": b"x" * 2**24}], "rejects") == []


def test_a_row_counts_when_a_range_of_its_epoch_holds_its_offset() -> None:
    other = ObjectId()
    spans = [(0, 4), (10, 10), (20, 29)]
    owned = Ownership(
        [{"epoch": EPOCH, "partition": 1, "first": a, "last": b} for a, b in reversed(spans)]
    )

    def holds(offset: int, epoch: ObjectId = EPOCH, partition: int = 1) -> bool:
        return owned.holds({"e": epoch, "p": partition, "o": offset})

    inside = {offset for first, last in spans for offset in range(first, last + 1)}
    assert {offset for offset in range(40) if holds(offset)} == inside
    assert all(first[1] < second[0] for first, second in pairwise(spans))
    assert not holds(2, epoch=other)
    assert not holds(2, partition=0)
