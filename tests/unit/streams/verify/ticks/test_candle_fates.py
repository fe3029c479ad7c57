"""What becomes of each candle: docs/semantics.md, Whole records and Candles."""

from __future__ import annotations

from typing import Any

import pytest

from optionstream.schemas import rejects, topics
from optionstream.schemas.codec import encode
from optionstream.streams.verify.expect import Expectation
from tests.unit.streams.verify.world import (
    DAY,
    HOME,
    MINUTE,
    OPEN,
    Log,
    candle_record,
    heartbeat,
    tick_record,
)

FIVE = 5 * MINUTE


def counts(expected: Expectation, topic: str = topics.UNDERLYING) -> dict[str, Any]:
    total = expected.counts()[topic]
    assert total.balanced
    return total.to_dict()


def refused(expected: Expectation) -> list[tuple[int, str, list[int], int]]:
    """Offset, reason, indices and events of every reject."""
    return [
        (key.offset, key.reason, sorted(one.indices), one.events)
        for key, one in sorted(expected.rejects().items())
    ]


def running() -> Log:
    """A log whose first record, candles of two minutes, makes Monday the current session."""
    log = Log()
    log.add(candle_record([OPEN, OPEN + MINUTE]))
    return log


def test_two_candles_of_a_session_make_it_current_and_both_are_accepted() -> None:
    fates = counts(running().expectation())
    assert (fates["source"], fates["accepted"], fates["held"]) == (2, 2, 0)


def test_a_single_candle_waits_and_a_heartbeat_confirms_it() -> None:
    log = Log()
    log.add(candle_record([OPEN]))
    assert counts(log.expectation())["held"] == 1
    log.add(heartbeat(OPEN + MINUTE))
    assert counts(log.expectation())["accepted"] == 1


def test_a_tick_and_a_candle_confirm_each_other() -> None:
    log = Log()
    log.add(candle_record([OPEN]))
    log.add(tick_record([OPEN], [OPEN]))
    assert counts(log.expectation())["accepted"] == 2


def test_the_waiting_candle_again_is_a_duplicate() -> None:
    log = Log()
    log.add(candle_record([OPEN, OPEN]))
    fates = counts(log.expectation())
    assert (fates["held"], fates["duplicates"]) == (1, 1)


def test_duplicates_go_by_source_label_length_and_start() -> None:
    log = running()
    log.add(candle_record([OPEN]))
    log.add(candle_record([OPEN], session="s2"))
    log.add(candle_record([OPEN], source="other"))
    log.add(candle_record([OPEN], interval_ms=FIVE))
    log.add(tick_record([OPEN], [OPEN]))
    fates = counts(log.expectation())
    assert (fates["accepted"], fates["duplicates"]) == (6, 1)


def test_a_candle_of_a_session_before_is_too_late() -> None:
    log = running()
    log.add(candle_record([OPEN + DAY]))  # waits, and is dropped
    log.add(candle_record([OPEN + 2 * DAY, OPEN + 2 * DAY + MINUTE, OPEN + FIVE]))
    assert refused(log.expectation()) == [(1, "too_late", [0], 1), (2, "too_late", [2], 1)]


def test_a_ninth_waiting_session_is_refused() -> None:
    days = [1, 2, 3, 4, 7, 8, 9, 10, 11]
    log = running()
    log.add(candle_record([OPEN + day * DAY for day in days]))
    assert refused(log.expectation()) == [(1, "unconfirmed_session", [8], 1)]


GOOD = (100.0, 101.0, 99.0, 100.5)


@pytest.mark.parametrize(
    ("start", "prices", "volume", "reason"),
    [
        (946_684_799_999, GOOD, 1, rejects.BAD_TIME),
        (4_102_444_800_000, (0.0, 0.0, 0.0, 0.0), 1, rejects.BAD_TIME),
        (OPEN + 2 * MINUTE, (0.0, 101.0, 99.0, 100.5), 1, rejects.BAD_CANDLE),
        (OPEN + 2 * MINUTE, (100.0, 101.0, 0.0, 100.5), 1, rejects.BAD_CANDLE),
        (OPEN + 2 * MINUTE, (100.0, 99.5, 99.0, 99.0), 1, rejects.BAD_CANDLE),
        (OPEN + 2 * MINUTE, (100.0, 101.0, 100.1, 100.5), 1, rejects.BAD_CANDLE),
        (OPEN + 2 * MINUTE, (100.0, 101.0, 99.0, 98.0), 1, rejects.BAD_CANDLE),
        (OPEN + 2 * MINUTE, (100.0, 101.0, 99.0, 101.5), 1, rejects.BAD_CANDLE),
        (OPEN + 2 * MINUTE, GOOD, -1, rejects.BAD_CANDLE),
        (946_684_800_000, (100.0, 99.0, 99.0, 100.0), 1, rejects.BAD_CANDLE),
        (946_684_800_000, GOOD, 1, rejects.NO_CALENDAR),
        (OPEN + 2 * MINUTE + 1, GOOD, 1, rejects.MISALIGNED_CANDLE),
        (OPEN + DAY + 1, GOOD, 1, rejects.MISALIGNED_CANDLE),
    ],
)
def test_each_reason_to_refuse_a_candle(
    start: int, prices: tuple[float, float, float, float], volume: int, reason: str
) -> None:
    log = running()
    log.add(candle_record([OPEN + FIVE, start], [GOOD, prices], [None, volume], ts_recv=OPEN))
    assert refused(log.expectation()) == [(1, reason, [1], 1)]


def test_an_infinite_price_is_refused() -> None:
    log = running()
    frame = candle_record([OPEN + FIVE], [(100.0, 123.0, 99.0, 100.0)])
    log.add(frame, value=encode(frame).replace(b"123.0", b"1e999"))
    assert [reason for _, reason, *_ in refused(log.expectation())] in (
        [rejects.BAD_CANDLE],
        [rejects.INVALID],
    )


def test_a_price_may_be_the_extreme() -> None:
    log = running()
    log.add(candle_record([OPEN + FIVE], [(101.0, 101.0, 99.0, 99.0)], [0]))
    assert refused(log.expectation()) == []


def test_alignment_is_to_the_open_of_the_session() -> None:
    log = running()
    log.add(candle_record([OPEN + 15 * MINUTE, OPEN + 45 * MINUTE], interval_ms=30 * MINUTE))
    assert refused(log.expectation()) == [(1, rejects.MISALIGNED_CANDLE, [0, 1], 2)]


def test_a_misaligned_candle_of_an_earlier_session_is_misaligned() -> None:
    log = Log()
    log.add(candle_record([OPEN + DAY, OPEN + DAY + MINUTE, OPEN + 1]))
    assert refused(log.expectation()) == [(0, rejects.MISALIGNED_CANDLE, [2], 1)]


def test_candles_outside_every_session_are_counted_by_phase() -> None:
    log = Log()
    starts = [OPEN - 7 * MINUTE, OPEN + 375 * MINUTE, OPEN - DAY, OPEN - 10 * 60 * MINUTE]
    log.add(candle_record(starts))
    fates = counts(log.expectation())
    assert fates["outside_session"] == 4
    assert fates["outside"] == {"pre_open": 1, "after_close": 1, "closed": 2}


def test_the_future_is_refused_in_live_only() -> None:
    log = running()
    starts = [OPEN + MINUTE, OPEN + 2 * MINUTE]
    log.add(candle_record(starts, source="b", ts_recv=OPEN))
    assert refused(log.expectation()) == []
    assert refused(log.expectation(live=True)) == [(1, rejects.FUTURE_EVENT, [1], 1)]


FRAME = candle_record([OPEN, OPEN + MINUTE, OPEN + 2 * MINUTE])


@pytest.mark.parametrize(
    ("change", "reason", "events"),
    [
        ({"topic": topics.OPTION_CHAIN}, rejects.WRONG_TOPIC, 1),
        ({"topic": topics.OPTION_QUOTE}, rejects.WRONG_TOPIC, 1),
        ({"key": b"BANKNIFTY"}, rejects.KEY_MISMATCH, 3),
        ({"partition": HOME ^ 1}, rejects.FOREIGN_PARTITION, 3),
    ],
)
def test_each_reason_to_refuse_a_record(change: dict[str, Any], reason: str, events: int) -> None:
    log = Log()
    record = log.add(FRAME, **change)
    expected = log.expectation()
    assert refused(expected) == [(0, reason, [], events)]
    assert counts(expected, record.topic)["source"] == events


@pytest.mark.parametrize(
    ("changed", "events"),
    [
        ({"open": [1.0]}, 3),
        ({"volume": [1]}, 3),
        ({"start_ms": []}, 0),
        ({"interval_ms": 90_000}, 3),
    ],
)
def test_a_frame_of_wrong_shape_counts_its_starts(changed: dict[str, Any], events: int) -> None:
    log = Log()
    log.add(candle_record(FRAME.start_ms, **changed))
    assert refused(log.expectation()) == [(0, rejects.INVALID, [], events)]


def test_candles_are_not_kept_as_raw_ticks() -> None:
    stored = running().expectation().stored
    assert stored.frame().is_empty()
    assert stored.latest() == {}


def test_frames_of_any_size_have_the_same_fates() -> None:
    starts = [OPEN + s for s in (0, MINUTE, 0, 7, DAY, FIVE, -MINUTE, DAY + MINUTE, 2 * MINUTE)]
    whole, single = Log(), Log()
    whole.add(candle_record(starts))
    for start in starts:
        single.add(candle_record([start]))
    assert counts(whole.expectation()) == counts(single.expectation())
