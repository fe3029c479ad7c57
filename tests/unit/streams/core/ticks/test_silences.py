"""Silences (docs/semantics.md, "Gaps"): when they are told, and how late events change them."""

from __future__ import annotations

import pytest

from optionstream.schemas.derived import Gap
from tests.unit.streams.core.ticks.helpers import (
    AFTER,
    CLOSE,
    MINUTE,
    NEXT_OPEN,
    OPEN,
    Event,
    beat,
    candles,
    flat,
    gaps,
    play,
    tick,
)

Told = tuple[float, float, int, bool]
"""Start and end in minutes after the open, revision, filled."""


def told(found: list[Gap]) -> list[Told]:
    assert all(gap.kind == "silence" for gap in found)
    assert all(
        (gap.source, gap.label, gap.first, gap.missing) == ("", "", None, []) for gap in found
    )
    return [
        ((gap.start - OPEN) / MINUTE, (gap.end - OPEN) / MINUTE, gap.revision, gap.filled)
        for gap in found
    ]


class Feed:
    """Ticks numbered in the order they are made, so that no number is missing."""

    def __init__(self) -> None:
        self.seq = 0

    def __call__(self, minute: float) -> Event:
        self.seq += 1
        return tick(OPEN + round(minute * MINUTE), 1.0, self.seq)


CASES: dict[str, tuple[list[float], float | None, list[Told]]] = {
    # minutes of the ticks in order of arrival; a heartbeat at the end; what is told
    "nothing is missing": ([0, 0.9, 1.8, 2.7, 3.6], None, []),
    "exactly the setting is none": ([0, 0.5, 1.5, 2.5, 3.5, 4.4], None, []),
    "a little more is one": ([0, 0.5, 1.6, 2.5, 3.5], None, [(0.5, 1.6, 1, False)]),
    "from the open to the first": ([5, 5.5, 6.4, 7.3], None, [(0, 5, 1, False)]),
    "not before the minute of its end has ended": ([0, 0.5, 7.2], 7.9, []),
    "as soon as the minute of its end has ended": ([0, 0.5, 7.2], 8.1, [(0.5, 7.2, 1, False)]),
    "not before its end has come": ([0, 0.5], 374, []),
    "to the close when the session ends": ([0, 0.5], 400, [(0.5, 375, 1, False)]),
    "short before the close is none": (
        [0, 0.5, 374.5],
        400,
        [(0.5, 374.5, 1, False)],
    ),
    "a late tick inside splits it": (
        [0, 0.5, 9, 10.1, 5],
        None,
        [(0.5, 9, 1, False), (0.5, 5, 2, False), (5, 9, 1, False)],
    ),
    "a late tick near its end moves it": (
        [0, 0.5, 9, 10.1, 8.5],
        None,
        [(0.5, 9, 1, False), (0.5, 8.5, 2, False)],
    ),
    "a late tick near its start names another": (
        [0, 0.5, 9, 10.1, 0.9],
        None,
        [(0.5, 9, 1, False), (0.5, 9, 2, True), (0.9, 9, 1, False)],
    ),
    "a late tick fills a short one": (
        [0, 0.5, 2, 3.1, 1.2],
        None,
        [(0.5, 2, 1, False), (0.5, 2, 2, True)],
    ),
    "a late tick that changes nothing tells nothing": (
        [0, 0.5, 9, 9.5, 10.4, 9.2],
        None,
        [(0.5, 9, 1, False)],
    ),
    "a late tick at the very open": (
        [5, 5.5, 6.4, 0],
        None,
        [(0, 5, 1, False)],
    ),
    "several late ticks, one after the other": (
        [0, 0.5, 9, 10.1, 5, 4.5, 5.2],
        None,
        [
            (0.5, 9, 1, False),
            (0.5, 5, 2, False),
            (5, 9, 1, False),
            (0.5, 4.5, 3, False),
            (5, 9, 2, True),
            (5.2, 9, 1, False),
        ],
    ),
    "one event may end several": (
        [0, 0.5, 3, 6, 9, 9.9],
        11,
        [(0.5, 3, 1, False), (3, 6, 1, False), (6, 9, 1, False)],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_silences(name: str) -> None:
    minutes, last, expected = CASES[name]
    feed = Feed()
    events = [feed(minute) for minute in minutes]
    if last is not None:
        events.append(beat(OPEN + round(last * MINUTE)))
    assert told(gaps(play(*events)[1])) == expected


def test_a_late_tick_after_the_close_corrects_the_last_silence() -> None:
    feed = Feed()
    _, out = play(feed(0), feed(0.5), beat(AFTER), feed(374.5), feed(374))
    assert told(gaps(out)) == [
        (0.5, 375, 1, False),
        (0.5, 374.5, 2, False),
        (0.5, 374, 3, False),
    ]


def test_a_later_session_ends_the_last_silence_and_begins_anew() -> None:
    feed = Feed()
    _, out = play(feed(0), feed(0.5), feed(1440 + 3), feed(1440 + 3.5), feed(1440 + 4.5))
    assert [(gap.session, gap.start, gap.end) for gap in gaps(out)] == [
        ("2026-01-06", OPEN + 30_000, CLOSE),
        ("2026-01-07", NEXT_OPEN, NEXT_OPEN + 3 * MINUTE),
    ]


def test_a_candle_is_no_silence_from_its_start_to_its_last_millisecond() -> None:
    rows = [flat(OPEN), flat(OPEN + 15 * MINUTE), flat(OPEN + 60 * MINUTE)]
    _, out = play(candles(15, *rows), beat(AFTER))
    assert [(gap.start, gap.end) for gap in gaps(out)] == [
        (OPEN + 30 * MINUTE - 1, OPEN + 60 * MINUTE),
        (OPEN + 75 * MINUTE - 1, CLOSE),
    ]


def test_a_silence_told_as_filled_opens_again_under_its_name() -> None:
    # The 5-minute candle ends where the tick of its last millisecond lies: one name for both.
    end = OPEN + 5 * MINUTE - 1
    _, out = play(
        candles(5, flat(OPEN)),
        tick(OPEN + 10 * MINUTE, 1.0, 1),
        beat(OPEN + 12 * MINUTE),
        candles(10, flat(OPEN)),
        tick(end, 1.0, 2),
    )
    assert [(gap.start, gap.end, gap.revision, gap.filled) for gap in gaps(out)] == [
        (end, OPEN + 10 * MINUTE, 1, False),
        (end, OPEN + 10 * MINUTE, 2, True),
        (end, OPEN + 10 * MINUTE, 3, False),
    ]
