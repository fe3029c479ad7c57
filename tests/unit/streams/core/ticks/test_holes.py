"""Missing numbers (docs/semantics.md, "Gaps"): when holes are told, how late ticks fill them."""

from __future__ import annotations

import random

import pytest

from optionstream.schemas.derived import Gap
from optionstream.schemas.events import Tick, TickFrame
from optionstream.streams.core.ticks.holes import MAX_RANGES
from tests.unit.streams.core.ticks.helpers import (
    AFTER,
    NEXT_OPEN,
    OPEN,
    beat,
    canonical,
    frames_of,
    gaps,
    partition,
    play,
    record,
    restarted,
    tick,
)

Told = tuple[int, int, list[tuple[int, int]], int, int, int]
"""First, last, missing, seconds of start and end after the open, revision."""


def numbered(number: int, second: float, source: str = "s") -> Tick:
    return tick(OPEN + round(1_000 * second), 1.0, number, source=source, session="d")


def holes(found: list[Gap]) -> list[Told]:
    found = [gap for gap in found if gap.kind == "sequence"]
    assert all(gap.filled == (not gap.missing) for gap in found)
    return [
        (
            gap.first,
            gap.last,
            gap.missing,
            (gap.start - OPEN) // 1_000,
            (gap.end - OPEN) // 1_000,
            gap.revision,
        )
        for gap in found
        if gap.first is not None and gap.last is not None
    ]


CASES: dict[str, tuple[list[tuple[int, float]], list[Told]]] = {
    # (number, second) of the ticks in order of arrival; what is told
    "no number lacks": ([(1, 0), (2, 1), (3, 9)], []),
    "the first number begins the count": ([(7, 0), (8, 1), (9, 9)], []),
    "not before the watermark reaches its end": ([(1, 0), (5, 1), (6, 2.9)], []),
    "when the watermark reaches its end": (
        [(1, 0), (5, 1), (6, 3)],
        [(2, 4, [(2, 4)], 0, 1, 1)],
    ),
    "what comes in time is no hole": ([(1, 0), (4, 1), (3, 1), (2, 1), (5, 9)], []),
    "what comes in time splits it": (
        [(1, 0), (9, 1), (5, 2), (10, 9)],
        [(2, 4, [(2, 4)], 0, 2, 1), (6, 8, [(6, 8)], 2, 1, 1)],
    ),
    "a late tick in the middle": (
        [(1, 0), (5, 1), (6, 9), (3, 2)],
        [(2, 4, [(2, 4)], 0, 1, 1), (2, 4, [(2, 2), (4, 4)], 0, 1, 2)],
    ),
    "late ticks fill it": (
        [(1, 0), (4, 1), (5, 9), (3, 2), (2, 2)],
        [
            (2, 3, [(2, 3)], 0, 1, 1),
            (2, 3, [(2, 2)], 0, 1, 2),
            (2, 3, [], 0, 1, 3),
        ],
    ),
    "a repeated late tick changes nothing": (
        [(1, 0), (4, 1), (5, 9), (3, 2), (3, 2), (4, 1)],
        [(2, 3, [(2, 3)], 0, 1, 1), (2, 3, [(2, 2)], 0, 1, 2)],
    ),
    "a number below the least": (
        [(9, 5), (10, 6), (4, 7), (11, 20)],
        [(5, 8, [(5, 8)], 7, 5, 1)],
    ),
    "numbers ever further below": (
        [(9, 5), (10, 6), (7, 6.5), (3, 7), (11, 20)],
        [(8, 8, [(8, 8)], 6, 5, 1), (4, 6, [(4, 6)], 7, 6, 1)],
    ),
    "one whose end has passed is told at once": (
        [(1, 0), (2, 20), (9, 10)],
        [(3, 8, [(3, 8)], 20, 10, 1)],
    ),
    "in the order of start": (
        [(1, 0), (3, 4), (10, 4), (12, 5), (13, 20)],
        [(2, 2, [(2, 2)], 0, 4, 1), (4, 9, [(4, 9)], 4, 4, 1), (11, 11, [(11, 11)], 4, 5, 1)],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_holes(name: str) -> None:
    ticks, expected = CASES[name]
    _, out = play(*(numbered(number, second) for number, second in ticks))
    assert holes(gaps(out)) == expected


def test_each_feed_has_its_own_numbers() -> None:
    ticks = [numbered(1, 0, "a"), numbered(1, 0, "b"), numbered(3, 1, "b"), numbered(2, 1, "a")]
    _, out = play(*ticks, beat(OPEN + 20_000))
    assert [(gap.source, gap.label, gap.first) for gap in gaps(out)] == [("b", "d", 2)]


def test_all_holes_are_told_when_the_session_closes() -> None:
    _, out = play(numbered(1, 0), numbered(3, 1), tick(NEXT_OPEN, 1.0, 9), tick(NEXT_OPEN, 1.0, 10))
    assert holes(gaps(out)) == [(2, 2, [(2, 2)], 0, 1, 1)]
    assert [gap.kind for gap in gaps(out)] == ["silence", "sequence"]


def test_refused_ticks_and_those_outside_the_session_are_missing() -> None:
    before = tick(OPEN - 1, 1.0, 2, source="s", session="d")
    bad = tick(OPEN, -1.0, 3, source="s", session="d")
    _, out = play(before, numbered(1, 0), bad, numbered(4, 1), beat(OPEN + 20_000))
    assert holes(gaps(out)) == [(2, 3, [(2, 3)], 0, 1, 1)]


def test_ticks_known_by_their_content_have_no_numbers_to_lack() -> None:
    nameless = [Tick(product="NIFTY", ts_ms=OPEN + i, price=1.0) for i in (0, 5)]
    by_id = TickFrame(
        product="NIFTY",
        source="f",
        session="d",
        ts_recv=OPEN,
        ts_ms=[OPEN, OPEN + 1],
        price=[1.0, 1.0],
        seq=[1, 9],
        tick_id=[4, 2],
    )
    _, out = play(*nameless, by_id, beat(OPEN + 20_000))
    assert gaps(out) == []


def test_silences_go_out_before_holes() -> None:
    _, out = play(numbered(1, 0), numbered(9, 200), beat(AFTER))
    assert [(gap.kind, gap.start - OPEN) for gap in gaps(out)] == [
        ("silence", 0),
        ("silence", 200_000),
        ("sequence", 0),
    ]


def test_a_gap_lists_its_first_missing_ranges_only() -> None:
    last = 4 * MAX_RANGES
    late = [numbered(number, 1) for number in range(2, last, 2)]
    part, out = play(numbered(1, 0), numbered(last + 1, 1), beat(OPEN + 20_000))
    for start in range(0, len(late), 500):
        out += part.apply([record(one) for one in late[start : start + 500]])
    newest = gaps(out)[-1]
    assert len(newest.missing) == MAX_RANGES
    assert newest.missing[0] == (3, 3)
    assert (newest.revision, newest.filled) == (len(late) + 1, False)


def test_a_run_behind_the_watermark_tells_its_hole_at_once() -> None:
    run = [numbered(9 + i, 7 + i / 10) for i in range(6)]
    _, out = play(numbered(1, 0), numbered(2, 10), *frames_of(run, [6]))
    assert holes(gaps(out)) == [(3, 8, [(3, 8)], 10, 7, 1)]


def test_each_gap_of_a_run_is_told_by_the_tick_that_brings_it() -> None:
    run = [numbered(11 + i, second) for i, second in enumerate((120.1, 120.6, 121, 122.5))]
    before = [numbered(1, 0), numbered(2, 0.5), numbered(10, 118.5)]
    _, in_a_frame = play(*before, *frames_of(run, [4]))
    _, one_by_one = play(*before, *run)
    assert [gap.kind for gap in gaps(in_a_frame)] == ["sequence", "silence"]
    assert canonical(gaps(in_a_frame)) == canonical(gaps(one_by_one))


def test_a_stored_hole_that_shrinks_by_a_tick_of_a_later_quarter_hour_survives_a_restart() -> None:
    stored: dict[str, bytes] = {}
    part, out = play(numbered(1, 0), numbered(4, 1), numbered(5, 1_000), numbered(6, 2_000))
    part = restarted(part, stored)
    out += part.apply([record(numbered(8, 2_005)), record(numbered(9, 2_010))])
    part = restarted(part, stored)
    out += part.apply([record(numbered(3, 2_011))])
    part = restarted(part, stored)
    out += part.apply([record(numbered(3, 2_012)), record(numbered(2, 2_013))])
    part = restarted(part, stored)
    part.apply([record(numbered(2, 2_014))])
    assert holes(gaps(out)) == [
        (2, 3, [(2, 3)], 0, 1, 1),
        (7, 7, [(7, 7)], 2_000, 2_005, 1),
        (2, 3, [(2, 2)], 0, 1, 2),
        (2, 3, [], 0, 1, 3),
    ]
    assert part.products["NIFTY"].counts.duplicates == 2


@pytest.mark.parametrize("every_ms", [20, 250])
def test_a_feed_that_loses_many_numbers_keeps_the_hot_state_small(every_ms: int) -> None:
    rng = random.Random(3)
    ticks = [
        tick(OPEN + every_ms * i, 25_000.0, i + 1, i) for i in range(10_000) if rng.random() < 0.7
    ]
    part = partition()
    for frame in frames_of(ticks, [100]):
        part.apply([record(frame)])
        part.take_segments()
        assert len(part.hot()) < 8_000
