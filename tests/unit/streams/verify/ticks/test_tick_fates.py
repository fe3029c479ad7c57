"""What becomes of each tick: docs/semantics.md, Whole records, Ticks and Heartbeats."""

from __future__ import annotations

from typing import Any

import pytest

from optionstream.schemas import rejects, topics
from optionstream.schemas.codec import encode, headers_for
from optionstream.schemas.events import TickFrame
from optionstream.schemas.identity import tick_id
from optionstream.streams.core.market.calendar import always_open_calendar
from optionstream.streams.verify.expect import Expectation
from tests.unit.streams.verify.world import (
    DAY,
    HOME,
    MINUTE,
    OPEN,
    PRODUCT,
    Log,
    heartbeat,
    legs,
    snapshot,
    tick_record,
)


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
    """A log whose first record, ticks 1 and 2, makes Monday the current session."""
    log = Log()
    log.add(tick_record([1, 2], [OPEN, OPEN + 1_000]))
    return log


def test_two_ticks_of_a_session_make_it_current_and_both_are_accepted() -> None:
    assert counts(running().expectation()) == {
        "source": 2,
        "accepted": 2,
        "outside_session": 0,
        "outside": {},
        "duplicates": 0,
        "held": 0,
        "rejects": {},
    }


def test_a_single_tick_waits() -> None:
    log = Log()
    log.add(tick_record([1], [OPEN]))
    assert counts(log.expectation())["held"] == 1


def test_the_same_tick_again_does_not_confirm_its_session() -> None:
    log = Log()
    log.add(tick_record([1, 1], [OPEN, OPEN + 5]))
    fates = counts(log.expectation())
    assert (fates["held"], fates["duplicates"], fates["accepted"]) == (1, 1, 0)


def test_a_heartbeat_confirms_the_session_of_a_waiting_tick() -> None:
    log = Log()
    log.add(tick_record([1], [OPEN]))
    log.add(heartbeat(OPEN + MINUTE))
    fates = counts(log.expectation())
    assert (fates["source"], fates["accepted"], fates["held"]) == (1, 1, 0)


def test_a_heartbeat_without_a_waiting_tick_confirms_nothing() -> None:
    log = Log()
    log.add(heartbeat(OPEN + MINUTE))
    log.add(tick_record([1], [OPEN]))
    assert counts(log.expectation())["held"] == 1


def test_a_heartbeat_after_the_close_counts_for_the_session_that_ended() -> None:
    log = Log()
    log.add(tick_record([1], [OPEN]))
    log.add(heartbeat(OPEN + 10 * 60 * MINUTE))  # 19:15 IST
    assert counts(log.expectation())["accepted"] == 1


def test_a_heartbeat_before_the_open_or_on_a_holiday_is_ignored() -> None:
    log = Log()
    log.add(tick_record([1], [OPEN]))
    log.add(heartbeat(OPEN - 1))
    log.add(heartbeat(OPEN - DAY))  # a Sunday
    assert counts(log.expectation())["held"] == 1


def test_duplicates_go_by_source_label_and_number() -> None:
    log = running()
    log.add(tick_record([2], [OPEN + 7_000]))
    log.add(tick_record([2], [OPEN + 7_000], session="s2"))
    log.add(tick_record([2], [OPEN + 7_000], source="other"))
    log.add(tick_record([3, 4, 3], [OPEN + 8_000, OPEN + 8_001, OPEN + 8_002]))
    fates = counts(log.expectation())
    assert (fates["accepted"], fates["duplicates"]) == (6, 2)


def test_a_tick_id_is_an_identity_within_its_minute_and_apart_from_numbers() -> None:
    log = running()
    log.add(tick_record([10, 11], [OPEN + 1, OPEN + 2], tick_id=[2, 2]))
    log.add(tick_record([12], [OPEN + MINUTE], tick_id=[2]))
    fates = counts(log.expectation())
    assert (fates["accepted"], fates["duplicates"]) == (4, 1)


def test_a_foreign_tick_goes_by_its_content() -> None:
    log = running()
    value = b'{"product":"NIFTY","ts_ms":%d,"price":100.5,"volume":7}' % (OPEN + 3_000)
    log.add_raw(value)
    log.add_raw(value)
    log.add_raw(value.replace(b"100.5", b"100.6"))
    expected = log.expectation()
    fates = counts(expected)
    assert (fates["accepted"], fates["duplicates"]) == (4, 1)
    order = expected.stored.frame().filter(price=100.5)["order"][0]
    assert order == tick_id(OPEN + 3_000, 100.5, 7)


def test_a_number_is_new_again_in_the_next_session() -> None:
    log = running()
    log.add(tick_record([1, 2], [OPEN + DAY, OPEN + DAY + 1]))
    assert counts(log.expectation())["accepted"] == 4


def test_one_tick_of_a_later_session_closes_nothing() -> None:
    log = running()
    log.add(tick_record([3], [OPEN + DAY]))
    log.add(tick_record([4], [OPEN + 2_000]))
    fates = counts(log.expectation())
    assert (fates["accepted"], fates["held"]) == (3, 1)


def test_a_confirmed_session_makes_earlier_ones_too_late() -> None:
    log = running()
    log.add(tick_record([3], [OPEN + DAY]))  # waits, and is dropped
    log.add(tick_record([4], [OPEN + 2 * DAY]))
    log.add(tick_record([5], [OPEN + 3 * DAY]))  # goes on waiting
    log.add(tick_record([6, 7], [OPEN + 2 * DAY + 1, OPEN + 5_000]))
    expected = log.expectation()
    assert counts(expected)["held"] == 1
    assert counts(expected)["accepted"] == 4
    assert refused(expected) == [(1, "too_late", [0], 1), (4, "too_late", [1], 1)]


def test_a_ninth_waiting_session_is_refused() -> None:
    trading = [1, 2, 3, 4, 7, 8, 9, 10, 11]
    log = running()
    log.add(tick_record(range(10, 19), [OPEN + day * DAY for day in trading]))
    expected = log.expectation()
    assert counts(expected)["held"] == 8
    assert refused(expected) == [(1, "unconfirmed_session", [8], 1)]


def test_ticks_outside_every_session_are_counted_and_nothing_else() -> None:
    log = Log()
    times = [OPEN - 1, OPEN + 375 * MINUTE, OPEN - DAY, OPEN + 25 * DAY]  # 26 January
    log.add(tick_record([1, 1, 1, 1], times))
    fates = counts(log.expectation())
    assert fates["outside_session"] == 4
    assert fates["outside"] == {"pre_open": 1, "after_close": 1, "closed": 2}


@pytest.mark.parametrize(
    ("tick", "reason"),
    [
        ((946_684_799_999, 100.0), rejects.BAD_TIME),
        ((4_102_444_800_000, 100.0), rejects.BAD_TIME),
        ((-5, 0.0), rejects.BAD_TIME),
        ((OPEN, 0.0), rejects.BAD_PRICE),
        ((OPEN, -1.0), rejects.BAD_PRICE),
        ((946_684_800_000, 0.0), rejects.BAD_PRICE),
        ((946_684_800_000, 1.0), rejects.NO_CALENDAR),
        ((4_070_908_800_000, 1.0), rejects.NO_CALENDAR),
    ],
)
def test_each_reason_to_refuse_a_tick(tick: tuple[int, float], reason: str) -> None:
    log = running()
    log.add(tick_record([3, 4], [OPEN + 2_000, tick[0]], [100.0, tick[1]], ts_recv=OPEN))
    expected = log.expectation()
    assert refused(expected) == [(1, reason, [1], 1)]
    assert counts(expected)["accepted"] == 3


def test_the_future_is_refused_in_live_only() -> None:
    log = running()
    log.add(tick_record([3, 4], [OPEN + 60_000, OPEN + 60_001], ts_recv=OPEN))
    assert refused(log.expectation()) == []
    live = log.expectation(live=True)
    assert refused(live) == [(1, rejects.FUTURE_EVENT, [1], 1)]


def test_a_heartbeat_from_the_future_is_ignored_in_live() -> None:
    log = Log()
    log.add(tick_record([1], [OPEN]))
    beat = heartbeat(OPEN + 2 * MINUTE)
    late = type(beat)(beat.product, beat.source, beat.ts_event, OPEN)
    log.add(late)
    assert counts(log.expectation())["accepted"] == 1
    assert counts(log.expectation(live=True))["held"] == 1


def test_a_market_that_never_closes_has_no_tick_outside() -> None:
    log = Log()
    log.add(tick_record([1, 2], [OPEN - 8 * 60 * MINUTE, OPEN - 8 * 60 * MINUTE + 1]))
    fates = counts(log.expectation(calendar=always_open_calendar()))
    assert (fates["accepted"], fates["outside_session"]) == (2, 0)


FRAME = tick_record([1, 2, 3], [OPEN, OPEN + 1, OPEN + 2])


@pytest.mark.parametrize(
    ("change", "reason", "events"),
    [
        ({"headers": [("schema", b"tick_frame:99")]}, rejects.UNKNOWN_SCHEMA, 1),
        ({"headers": [("schema", None)]}, rejects.UNKNOWN_SCHEMA, 1),
        ({"value": b"\xff\x00"}, rejects.UNDECODABLE, 1),
        ({"value": None}, rejects.UNDECODABLE, 1),
        ({"value": b"{}"}, rejects.INVALID, 1),
        ({"topic": topics.OPTION_CHAIN}, rejects.WRONG_TOPIC, 1),
        ({"key": b"BANKNIFTY"}, rejects.KEY_MISMATCH, 3),
        ({"key": None}, rejects.KEY_MISMATCH, 3),
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
    ("frame", "events"),
    [
        (tick_record([1], [OPEN, OPEN + 1]), 2),
        (tick_record([], []), 0),
        (tick_record(range(10_001), range(OPEN, OPEN + 10_001)), 10_001),
    ],
)
def test_a_frame_of_wrong_length_counts_its_times(frame: TickFrame, events: int) -> None:
    log = Log()
    log.add(frame)
    assert refused(log.expectation()) == [(0, rejects.INVALID, [], events)]


def test_the_first_rule_that_applies_gives_the_reason() -> None:
    log = Log()
    log.add(tick_record([1], [OPEN, OPEN]), key=b"X", partition=HOME ^ 1)
    log.add(FRAME, key=b"X", partition=HOME ^ 1)
    assert [reason for _, reason, *_ in refused(log.expectation())] == ["invalid", "key_mismatch"]


def test_a_heartbeat_in_the_wrong_place_is_one_event() -> None:
    log = Log()
    log.add(heartbeat(OPEN), partition=HOME ^ 1)
    log.add(heartbeat(OPEN), topic=topics.OPTION_CHAIN)
    expected = log.expectation()
    assert counts(expected)["source"] == 1
    assert counts(expected, topics.OPTION_CHAIN)["rejects"] == {"wrong_topic": 1}


def test_a_chain_on_the_tick_topic_is_refused() -> None:
    log = Log()
    chain = snapshot([100.0], legs([1.0]), legs([1.0]))
    log.add(chain, topic=topics.UNDERLYING)
    assert refused(log.expectation()) == [(0, rejects.WRONG_TOPIC, [], 1)]


def test_frames_of_any_size_have_the_same_fates() -> None:
    seqs = [1, 2, 3, 3, 4, 5, 6, 7, 8, 2]
    times = [OPEN + s for s in (0, 5, -1, 9, 70_000, 3, DAY, 80_000, DAY + 1, 4)]
    prices = [100.0] * 4 + [0.0] + [100.0] * 5
    whole, single = Log(), Log()
    whole.add(tick_record(seqs, times, prices, ts_recv=OPEN))
    for seq, ts_ms, price in zip(seqs, times, prices, strict=True):
        single.add(tick_record([seq], [ts_ms], [price], ts_recv=OPEN))
    assert counts(whole.expectation()) == counts(single.expectation())


def test_numbers_that_no_store_could_hold_exactly_are_invalid() -> None:
    log = running()
    for seq, ts_ms, volume in ((1 << 70, OPEN, 1), (3, 1 << 80, 1), (3, OPEN, -(1 << 53))):
        log.add(tick_record([seq], [ts_ms], volumes=[volume], ts_recv=OPEN))
    expected = log.expectation()
    assert [fate[1] for fate in refused(expected)] == [rejects.INVALID] * 3
    assert expected.stored.frame().height == 2


def test_what_the_history_must_hold() -> None:
    log = running()
    log.add(tick_record([3, 4], [OPEN, 5], [0.0, 1.0], volumes=[None, 2]))
    log.add(FRAME, key=b"X")
    frame = log.expectation().stored.frame()
    rows = frame.select("offset", "index", "price", "refused").rows()
    assert rows[2:] == [(1, 0, 0.0, "bad_price"), *((2, at, 100.0, None) for at in range(3))]


def test_the_latest_tick_is_of_the_greatest_time_then_number() -> None:
    log = running()
    log.add(tick_record([5, 4], [OPEN + 9_000, OPEN + 9_000], [7.0, 8.0], ts_recv=OPEN))
    log.add(tick_record([6], [OPEN + 10_000], [0.0]))
    log.add(tick_record([6], [OPEN + 11_000], [9.0]), key=b"X")
    log.add(tick_record([7], [OPEN + 8_000], [6.0]))
    latest = log.expectation().stored.latest()
    assert {product: [t.price for t in ticks] for product, ticks in latest.items()} == {
        PRODUCT: [7.0]
    }


def test_a_record_without_header_is_a_tick() -> None:
    log = Log()
    log.add_raw(encode(FRAME), headers=[("other", b"x")])
    assert refused(log.expectation()) == [(0, rejects.INVALID, [], 1)]
    assert headers_for(FRAME) == [("schema", b"tick_frame:1")]
