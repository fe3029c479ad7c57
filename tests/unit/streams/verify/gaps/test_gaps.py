"""Silences and missing numbers, every revision, by hand: docs/semantics.md, Gaps."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from optionstream.streams.verify.gaps.facts import GapFacts
from optionstream.streams.verify.gaps.holes import holes
from optionstream.streams.verify.gaps.silences import silences
from tests.unit.streams.verify.gaps.gap_model import GapModel
from tests.unit.streams.verify.world import (
    DAY,
    LATENESS,
    MINUTE,
    OPEN,
    PRODUCT,
    Log,
    candle_record,
    heartbeat,
    tick_record,
)

CLOSE = OPEN + 375 * MINUTE
SILENCE_MS = 60_000


def told_silences(log: Log) -> list[tuple[int, int, int, bool]]:
    """Start and end in seconds after the open, revision, filled; in order."""
    found = [
        facts
        for timeline in log.expectation().timelines()
        for facts in silences(timeline, SILENCE_MS)
    ]
    assert all(facts.kind == "silence" and facts.first is None for facts in found)
    return sorted(
        ((one.start - OPEN) // 1_000, (one.end - OPEN) // 1_000, one.revision, one.filled)
        for one in found
    )


def ticks(*seconds: float) -> Log:
    """Each tick in a frame of its own."""
    log = Log()
    for seq, second in enumerate(seconds):
        log.add(tick_record([seq], [OPEN + int(second * 1_000)]))
    return log


def test_a_silence_is_told_when_the_minute_of_its_end_has_closed() -> None:
    assert told_silences(ticks(0, 100, 121.999)) == []
    assert told_silences(ticks(0, 100, 122)) == [(0, 100, 1, False)]


def test_a_distance_of_the_setting_is_no_silence() -> None:
    assert told_silences(ticks(1, 61, 300, 400)) == [(61, 300, 1, False)]
    assert told_silences(ticks(1, 61.001, 300, 400))[0] == (1, 61, 1, False)


def test_the_time_from_the_open_to_the_first_event_is_one() -> None:
    assert told_silences(ticks(100, 130)) == [(0, 100, 1, False)]


def test_the_time_to_the_close_is_told_when_the_session_closes() -> None:
    log = ticks(0, 30)
    log.add(heartbeat(CLOSE + LATENESS - 1))
    assert told_silences(log) == []
    log.add(heartbeat(CLOSE + LATENESS))
    assert told_silences(log) == [(30, 22_500, 1, False)]


def test_the_next_session_closes_the_one_before() -> None:
    log = ticks(0, 100)
    for at in range(2):
        log.add(tick_record([at + 5], [OPEN + DAY + at]))
    assert told_silences(log) == [(0, 100, 1, False), (100, 22_500, 1, False)]


def test_a_late_event_moves_the_end_of_a_silence_and_opens_another() -> None:
    assert told_silences(ticks(0, 300, 362, 150)) == [
        (0, 150, 2, False),
        (0, 300, 1, False),
        (150, 300, 1, False),
    ]


def test_a_late_event_fills_a_silence_with_the_end_last_told() -> None:
    assert told_silences(ticks(0, 100, 180, 50)) == [(0, 100, 1, False), (0, 100, 2, True)]
    assert told_silences(ticks(0, 200, 280, 130, 59)) == [
        (0, 130, 2, False),
        (0, 130, 3, True),
        (0, 200, 1, False),
        (59, 130, 1, False),
        (130, 200, 1, False),
    ]


def test_a_later_last_event_of_a_minute_renames_its_silence() -> None:
    assert told_silences(ticks(0, 200, 280, 10)) == [
        (0, 200, 1, False),
        (0, 200, 2, True),
        (10, 200, 1, False),
    ]


def test_an_event_within_a_minute_changes_nothing() -> None:
    assert told_silences(ticks(0, 10, 200, 280, 5)) == [(10, 200, 1, False)]


def test_an_event_in_an_open_minute_changes_what_will_be_told() -> None:
    assert told_silences(ticks(0, 200, 190, 280)) == [(0, 190, 1, False)]


def test_a_late_event_after_the_close_splits_the_silence_to_the_close() -> None:
    log = ticks(0, 30)
    log.add(heartbeat(CLOSE + LATENESS))
    log.add(tick_record([9], [OPEN + 22_000_000]))
    assert told_silences(log) == [
        (30, 22_000, 2, False),
        (30, 22_500, 1, False),
        (22_000, 22_500, 1, False),
    ]


def test_candles_hold_the_time_they_cover() -> None:
    log = Log()
    log.add(candle_record([OPEN, OPEN + 5 * MINUTE], interval_ms=5 * MINUTE))
    log.add(heartbeat(OPEN + 20 * MINUTE))
    assert told_silences(log) == []
    log.add(candle_record([OPEN + 20 * MINUTE], interval_ms=5 * MINUTE))
    log.add(heartbeat(OPEN + 30 * MINUTE))
    assert told_silences(log) == [(599, 1_200, 1, False)]


def test_a_silence_told_as_filled_may_open_again() -> None:
    log = Log()
    minutes = [0, 5]
    log.add(candle_record([OPEN + at * MINUTE for at in minutes], interval_ms=5 * MINUTE))
    log.add(tick_record([1], [OPEN + 25 * MINUTE]))
    log.add(heartbeat(OPEN + 30 * MINUTE))
    # The candle of minute 5 ends at 599.999; minute 6 then has an event of its own, minute 9 too.
    log.add(tick_record([2], [OPEN + 6 * MINUTE]))
    log.add(tick_record([3], [OPEN + 10 * MINUTE - 1]))
    assert told_silences(log) == [
        (360, 599, 2, False),
        (360, 1_500, 1, False),
        (599, 1_500, 1, False),
        (599, 1_500, 2, True),
        (599, 1_500, 3, False),
    ]


def told_holes(log: Log) -> list[tuple[Any, ...]]:
    """first, last, missing, start and end in ms after the open, revision, filled; in order."""
    found = [facts for timeline in log.expectation().timelines() for facts in holes(timeline)]
    assert all(facts.kind == "sequence" for facts in found)
    return sorted(
        (
            one.first,
            one.last,
            one.missing,
            one.start - OPEN,
            one.end - OPEN,
            one.revision,
            one.filled,
        )
        for one in found
    )


def numbers(*rows: tuple[int, int]) -> Log:
    """Ticks of (number, ms after the open), each in a frame of its own."""
    log = Log()
    for number, ms in rows:
        log.add(tick_record([number], [OPEN + ms]))
    return log


def test_numbers_that_no_tick_carries_are_told_when_time_has_come_to_the_tick_above() -> None:
    rows = [(1, 0), (2, 500), (5, 1_000)]
    assert told_holes(numbers(*rows, (6, 2_999))) == []
    assert told_holes(numbers(*rows, (6, 3_000))) == [(3, 4, ((3, 4),), 500, 1_000, 1, False)]


def test_a_late_tick_inside_a_hole_makes_the_next_revision_until_it_is_filled() -> None:
    rows = [(1, 0), (7, 1_000), (8, 9_000), (4, 500), (2, 1), (6, 2), (3, 3), (5, 4)]
    place = (0, 1_000)
    assert told_holes(numbers(*rows)) == [
        (2, 6, (), *place, 6, True),
        (2, 6, ((2, 3), (5, 6)), *place, 2, False),
        (2, 6, ((2, 6),), *place, 1, False),
        (2, 6, ((3, 3), (5, 5)), *place, 4, False),
        (2, 6, ((3, 3), (5, 6)), *place, 3, False),
        (2, 6, ((5, 5),), *place, 5, False),
    ]


def test_the_first_thousand_ranges_of_a_hole_are_told() -> None:
    log = numbers((0, 0), (5_000, 1_000), (5_001, 9_000))
    log.add(tick_record(range(2, 2_200, 2), [OPEN] * 1_099))
    hole = max(told_holes(log), key=lambda row: row[5])
    assert hole[:2] == (1, 4_999)
    assert hole[5:] == (1_100, False)
    assert hole[2] == tuple((number, number) for number in range(1, 2_000, 2))
    (timeline,) = log.expectation().timelines()
    before = next(one for one in holes(timeline) if one.revision == 3)
    assert before.missing == ((1, 1), (3, 3), (5, 4_999))


def test_a_tick_in_time_splits_a_hole_before_it_is_told() -> None:
    rows = [(1, 0), (7, 1_000), (4, 500), (8, 9_000)]
    assert told_holes(numbers(*rows)) == [
        (2, 3, ((2, 3),), 0, 500, 1, False),
        (5, 6, ((5, 6),), 500, 1_000, 1, False),
    ]


def test_a_tick_that_moves_time_itself_is_there_before_the_hole_is_told() -> None:
    rows = [(1, 0), (5, 1_000), (3, 9_000)]
    assert told_holes(numbers(*rows)) == [(4, 4, ((4, 4),), 9_000, 1_000, 1, False)]
    assert told_holes(numbers(*rows, (6, 11_000))) == [
        (2, 2, ((2, 2),), 0, 9_000, 1, False),
        (4, 4, ((4, 4),), 9_000, 1_000, 1, False),
    ]


def test_numbers_below_the_least_make_a_hole_above_them() -> None:
    rows = [(5, 0), (6, 9_000), (2, 100)]
    assert told_holes(numbers(*rows)) == [(3, 4, ((3, 4),), 100, 0, 1, False)]


def test_all_holes_are_told_when_the_session_closes() -> None:
    log = numbers((1, 0), (5, 22_499_999))
    assert told_holes(log) == []
    log.add(tick_record([7, 9], [OPEN + DAY, OPEN + DAY + 1]))
    assert told_holes(log) == [(2, 4, ((2, 4),), 0, 22_499_999, 1, False)]


def test_feeds_count_apart_and_each_session_anew() -> None:
    log = Log()
    log.add(tick_record([1, 2], [OPEN, OPEN + 1]))
    log.add(tick_record([5], [OPEN + 2], session="s2"))
    log.add(tick_record([9], [OPEN + 3], source="other"))
    log.add(tick_record([50, 51], [OPEN + DAY, OPEN + DAY + 9_000]))
    assert told_holes(log) == []


def test_ticks_that_go_by_a_hash_have_no_holes() -> None:
    log = Log()
    log.add(tick_record([1, 9], [OPEN, OPEN + 9_000], tick_id=[1, 2]))
    log.add_raw(b'{"product":"NIFTY","ts_ms":%d,"price":1}' % (OPEN + 20_000))
    assert told_holes(log) == []
    for seq in (1, 3, 4):
        raw = b'{"product":"NIFTY","ts_ms":%d,"price":1,"seq":%d}'
        log.add_raw(raw % (OPEN + 20_000 + seq * 5_000, seq))
    assert told_holes(log) == [(2, 2, ((2, 2),), 25_000, 35_000, 1, False)]


def test_numbers_of_ticks_that_were_refused_or_outside_are_missing() -> None:
    log = Log()
    log.add(tick_record([1, 2, 3], [OPEN, OPEN + 1, OPEN + 2], [1.0, 0.0, 1.0]))
    log.add(tick_record([4, 5], [OPEN - 1, OPEN + 9_000]))
    assert [row[0] for row in told_holes(log)] == [2]
    log.add(heartbeat(OPEN + MINUTE))
    assert [row[0] for row in told_holes(log)] == [2, 4]


def test_a_gap_names_its_feed_and_its_session() -> None:
    log = Log()
    log.add(tick_record([1, 3, 4], [OPEN, OPEN + 1, OPEN + 9_000]))
    (timeline,) = log.expectation().timelines()
    assert list(holes(timeline)) == [
        GapFacts(
            product=PRODUCT,
            kind="sequence",
            session="2024-01-01",
            source="test",
            label="s1",
            first=2,
            last=2,
            missing=((2, 2),),
            start=OPEN,
            end=OPEN + 1,
            revision=1,
            filled=False,
        )
    ]


def told(log: Log) -> set[GapFacts]:
    return {
        facts
        for timeline in log.expectation().timelines(events_a_part=1)
        for facts in (*silences(timeline, SILENCE_MS), *holes(timeline))
    }


Step = tuple[str, int, int]

steps = st.lists(
    st.tuples(
        st.sampled_from(["tick", "tick", "tick", "hash", "candle", "beat", "day"]),
        st.integers(-40, 400),
        st.integers(0, 30),
    ),
    max_size=60,
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(steps)
def test_gaps_are_those_of_a_simulation_event_by_event(wild: Sequence[Step]) -> None:
    log, model = Log(), GapModel(LATENESS, SILENCE_MS)
    for content in _contents(wild):
        log.add(content)
        model.take(content)
    assert told(log) == set(model.told)
    assert len(model.told) == len({facts.id for facts in model.told})


def _contents(wild: Iterable[Step]) -> Iterable[Any]:
    """Two ticks to begin each session, then what the steps say; 10 s a step of time."""
    day, clock, hashed = 0, 0, 0
    yield from _begin(day)
    for kind, move, number in wild:
        clock = max(clock, clock + move)
        at = OPEN + day * DAY + max(0, min(clock + move, 2_240)) * 10_000
        if kind == "day" and day < 4 and number > 20:
            day, clock = day + 1, 0
            yield from _begin(day)
        elif kind == "candle":
            length = (1 + number % 7) * MINUTE
            opened = OPEN + day * DAY
            yield candle_record([at - (at - opened) % length], interval_ms=length)
        elif kind == "beat":
            yield heartbeat(at + number * 10_000)
        elif kind == "hash":
            hashed += 1
            yield tick_record([number], [at], tick_id=[hashed])
        elif kind == "tick":
            yield tick_record([number], [at + number], session="ab"[number % 2])


def _begin(day: int) -> Iterable[Any]:
    opened = OPEN + day * DAY
    yield tick_record([0], [opened + 70_000], source="first")
    yield tick_record([1], [opened + 70_000], source="first")


@pytest.mark.parametrize("silence_ms", [60_000, 150_000])
def test_the_setting_says_how_long_a_silence_is(silence_ms: int) -> None:
    (timeline,) = ticks(0, 100, 300, 500).expectation().timelines()
    found = [(one.start - OPEN) // 1_000 for one in silences(timeline, silence_ms)]
    assert found == ([0, 100] if silence_ms == 60_000 else [100])
