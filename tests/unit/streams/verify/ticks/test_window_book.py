"""Bars and all their revisions, by hand: docs/semantics.md, Bars."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest

from optionstream.streams.verify.ticks.window_book import BAR_COLUMNS, WindowBook
from tests.unit.streams.verify.world import DAY, MINUTE, OPEN, Log, heartbeat, tick_record

CLOSE = OPEN + 375 * MINUTE


def book(log: Log, length_ms: int = MINUTE) -> WindowBook:
    (timeline,) = log.expectation().timelines()
    return WindowBook(timeline, "1m", length_ms)


def finals(log: Log, *names: str, length_ms: int = MINUTE) -> list[tuple[Any, ...]]:
    """Minute, revision and the named columns of every final bar."""
    frame = book(log, length_ms).finals().sort("start", "revision")
    minute = (pl.col("start") - OPEN) // MINUTE
    return frame.select(minute, "revision", *names).rows()


def ticks(*rows: tuple[Any, ...]) -> Log:
    """One frame: each row is (seconds after the open, price, cumulative volume)."""
    log = Log()
    log.add(
        tick_record(
            list(range(len(rows))),
            [OPEN + int(row[0] * 1_000) for row in rows],
            [row[1] for row in rows],
            [row[2] if len(row) > 2 else None for row in rows],
        )
    )
    return log


def test_a_window_closes_when_the_watermark_reaches_its_end() -> None:
    assert finals(ticks((0, 1), (61.999, 2))) == []
    assert finals(ticks((0, 1), (62, 2)), "ticks") == [(0, 1, 1)]


def test_every_field_of_a_bar() -> None:
    log = ticks((1, 10, 100), (2, 12, 105), (3, 8, 109), (4, 11, 110), (62, 1, 111))
    (row,) = book(log).finals().rows(named=True)
    assert row == {
        "product": "NIFTY",
        "interval": "1m",
        "start": OPEN,
        "revision": 1,
        "session": "2024-01-01",
        "end": OPEN + MINUTE,
        "open": 10.0,
        "high": 12.0,
        "low": 8.0,
        "close": 11.0,
        "volume": 10,
        "volume_reason": None,
        "ticks": 4,
        "final": True,
    }


def test_open_and_close_go_by_time_then_number_not_by_arrival() -> None:
    log = Log()
    log.add(tick_record([5, 4, 9, 8], [OPEN + 1, OPEN + 1, OPEN + 7, OPEN + 7], [1, 2, 3, 4]))
    log.add(heartbeat(OPEN + 62_000))
    assert finals(log, "open", "close") == [(0, 1, 2.0, 3.0)]


def test_of_equals_the_first_accepted_counts() -> None:
    log = Log()
    log.add(tick_record([5], [OPEN + 1], [1.0], [10]))
    log.add(tick_record([5], [OPEN + 1], [2.0], [20], source="other"))
    log.add(heartbeat(OPEN + 62_000))
    assert finals(log, "open", "close", "high", "volume") == [(0, 1, 1.0, 1.0, 2.0, 0)]


def test_a_tick_within_the_lateness_is_part_of_revision_1() -> None:
    log = ticks((1, 10), (61.9, 20), (59, 30), (62, 40))
    assert finals(log, "close", "ticks") == [(0, 1, 30.0, 2)]


def test_a_late_tick_makes_the_next_revision_of_every_interval_that_is_closed() -> None:
    log = ticks((1, 10), (62, 20), (59, 30), (0.5, 5), (2, 15))
    assert finals(log, "open", "close", "low", "ticks") == [
        (0, 1, 10.0, 10.0, 10.0, 1),
        (0, 2, 10.0, 30.0, 10.0, 2),
        (0, 3, 5.0, 30.0, 5.0, 3),
        (0, 4, 5.0, 30.0, 5.0, 4),
    ]
    assert finals(log, length_ms=5 * MINUTE) == []


def test_a_late_tick_for_a_window_without_a_bar_makes_its_first() -> None:
    log = ticks((1, 10), (200, 20), (70, 30), (71, 31))
    assert finals(log, "close", "ticks") == [(0, 1, 10.0, 1), (1, 1, 30.0, 1), (1, 2, 31.0, 2)]


def test_a_window_without_ticks_makes_no_bar() -> None:
    assert finals(ticks((1, 10), (600, 20))) == [(0, 1)]


def test_heartbeats_close_windows_up_to_the_end_of_the_session() -> None:
    log = ticks((1, 10), (22_499, 20))
    assert finals(log) == [(0, 1)]
    log.add(heartbeat(CLOSE + 1_999))
    assert finals(log) == [(0, 1)]
    log.add(heartbeat(CLOSE + 2_000))
    assert finals(log) == [(0, 1), (374, 1)]
    log.add(tick_record([99], [CLOSE - 1]))
    assert finals(log) == [(0, 1), (374, 1), (374, 2)]


def test_the_next_session_closes_the_one_before() -> None:
    log = ticks((22_450, 10), (22_499, 20))
    log.add(tick_record([5], [OPEN + DAY]))
    assert finals(log) == []
    log.add(tick_record([6], [OPEN + DAY + 1]))
    assert finals(log) == [(374, 1)]


def test_ticks_outside_the_session_do_not_advance_time() -> None:
    log = ticks((1, 10), (2, 20))
    log.add(tick_record([50], [CLOSE + 5_000]))
    assert finals(log) == []


def test_the_last_window_ends_with_the_session() -> None:
    log = ticks((1, 1), (22_499, 2))
    log.add(heartbeat(CLOSE + 2_000))
    last = book(log, 7 * MINUTE).finals().sort("start").row(-1, named=True)
    assert (last["start"], last["end"]) == (OPEN + 371 * MINUTE, CLOSE)


def test_a_split_day_has_two_sessions_with_windows_of_their_own() -> None:
    first = 1_709_351_100_000  # Saturday 2024-03-02 09:15 IST; sessions 09:15-10:00, 11:30-12:30
    second = first + 135 * MINUTE
    log = Log()
    log.add(tick_record([1, 2], [first, first + 1]))
    log.add(tick_record([3, 4], [second, second + 62_000]))
    rows = book(log, 15 * MINUTE).finals().select("session", "start").rows()
    assert rows == [("2024-03-02", first)]
    rows = book(log).finals().sort("start").select("session", "start").rows()
    assert rows == [("2024-03-02", first), ("2024-03-02#1", second)]


VOLUMES = ("volume", "volume_reason")


def test_volume_is_what_was_added_since_the_nearest_earlier_window_with_a_volume() -> None:
    log = ticks((1, 1, 100), (2, 1, 130), (70, 1), (130, 1, 150), (131, 1, 160), (400, 1, 200))
    assert finals(log, *VOLUMES) == [
        (0, 1, 30, None),
        (1, 1, None, "no_volume"),
        (2, 1, 30, None),
    ]


def test_a_volume_that_fell_is_null_with_its_reason() -> None:
    log = ticks((1, 1, 100), (2, 1, 90), (70, 1, 80), (140, 1, 85), (400, 1, 1))
    assert finals(log, *VOLUMES) == [
        (0, 1, None, "volume_decreased"),
        (1, 1, None, "volume_decreased"),
        (2, 1, 5, None),
    ]


def test_the_last_volume_is_that_of_the_greatest_time() -> None:
    log = ticks((2, 1, 100), (3, 1, 140), (1, 1, 90), (2.5, 1, 999), (70, 1, 150))
    assert finals(log, *VOLUMES) == [(0, 1, 50, None)]


def test_a_session_starts_volume_anew() -> None:
    log = ticks((1, 1, 100), (2, 1, 130))
    log.add(tick_record([8, 9], [OPEN + DAY, OPEN + DAY + 62_000], None, [5, 9]))
    assert [row[2] for row in finals(log, "volume")] == [30, 0]


def test_a_late_tick_revises_the_following_closed_window_too() -> None:
    log = ticks((1, 1, 100), (61, 1, 110), (130, 1, 120), (59, 9, 104))
    assert finals(log, "ticks", "volume") == [
        (0, 1, 1, 0),
        (0, 2, 2, 4),
        (1, 1, 1, 10),
        (1, 2, 1, 6),
    ]


def test_the_following_window_is_the_nearest_that_has_a_volume() -> None:
    log = ticks((1, 1, 100), (61, 1), (121, 1, 110), (181, 1, 115), (250, 1, 120), (59, 9, 104))
    assert finals(log, "volume") == [
        (0, 1, 0),
        (0, 2, 4),
        (1, 1, None),
        (2, 1, 10),
        (2, 2, 6),
        (3, 1, 5),
    ]


def test_a_late_volume_in_a_window_that_had_none_becomes_the_base_of_the_next() -> None:
    log = ticks((1, 1, 100), (61, 1), (121, 1, 110), (190, 1, 120), (62, 1, 103))
    assert finals(log, "volume") == [(0, 1, 0), (1, 1, None), (1, 2, 3), (2, 1, 10), (2, 2, 7)]


def test_a_late_tick_that_changes_no_volume_revises_its_own_window_only() -> None:
    log = ticks((1, 1, 100), (59, 1, 104), (61, 1, 110), (130, 1, 120), (3, 9, 101), (4, 9))
    assert finals(log) == [(0, 1), (0, 2), (0, 3), (1, 1)]


def test_an_open_following_window_is_not_revised() -> None:
    log = ticks((1, 1, 100), (62, 1, 110), (59, 1, 104), (130, 1, 120))
    assert finals(log, "volume") == [(0, 1, 0), (0, 2, 4), (1, 1, 6)]


def test_a_volume_that_stays_unknown_is_no_change() -> None:
    log = ticks((1, 1, 100), (61, 1, 90), (130, 1, 120), (59, 1, 95), (59.5, 1, 80))
    assert finals(log, *VOLUMES) == [
        (0, 1, 0, None),
        (0, 2, None, "volume_decreased"),
        (0, 3, None, "volume_decreased"),
        (1, 1, None, "volume_decreased"),
        (1, 2, 10, None),
    ]


def partial(log: Log, count: int, **changed: Any) -> pl.DataFrame:
    """The partial bar of the first window as it is told, with ``count`` ticks."""
    row = {
        "product": "NIFTY",
        "interval": "1m",
        "start": OPEN,
        "revision": 0,
        "session": "2024-01-01",
        "end": OPEN + MINUTE,
        "open": 10.0,
        "high": 12.0,
        "low": 10.0,
        "close": 12.0,
        "volume": 3,
        "volume_reason": None,
        "ticks": count,
        "final": False,
    }
    told = pl.DataFrame([{**row, **changed}], schema=BAR_COLUMNS)
    return book(log).wrong_partials(told)


PARTIALS = ((1, 10, 100), (2, 12, 103), (3, 8, 109), (70, 1, 111), (4, 99, 120))


def test_a_partial_bar_is_a_prefix_of_its_window() -> None:
    log = ticks(*PARTIALS)
    assert partial(log, 2).is_empty()
    assert partial(log, 3, low=8.0, close=8.0, volume=9).is_empty()


@pytest.mark.parametrize(
    "changed",
    [{"ticks": 1}, {"ticks": 3}, {"high": 12.5}, {"volume": 4}, {"final": True}, {"start": 7}],
)
def test_a_partial_bar_that_was_never_true_is_reported(changed: dict[str, Any]) -> None:
    assert partial(ticks(*PARTIALS), 2, **changed).height == 1


def test_no_partial_bar_follows_the_close() -> None:
    told = {"high": 99.0, "low": 8.0, "close": 99.0, "volume": 20}
    assert partial(ticks(*PARTIALS), 4, **told).height == 1


def test_the_volume_of_a_partial_bar_is_of_any_moment_of_its_life() -> None:
    # Window 1 has its tick at once; window 0 goes on to 104, then 107, while it is open.
    log = ticks((1, 1, 100), (60, 1, 110), (58, 1, 104), (59, 1, 107), (61, 1, 111))
    second = {
        "start": OPEN + MINUTE,
        "end": OPEN + 2 * MINUTE,
        "open": 1.0,
        "high": 1.0,
        "low": 1.0,
        "close": 1.0,
    }
    found = {v: partial(log, 1, **second, volume=v).is_empty() for v in (10, 6, 3, 4, 7)}
    assert found == {10: True, 6: True, 3: True, 4: False, 7: False}


def test_the_newest_window_while_open_has_all_its_ticks() -> None:
    log = ticks((1, 10, 1), (70, 11, 4), (75, 12, 6))
    (row,) = book(log).newest_open().rows(named=True)
    assert (row["start"], row["ticks"], row["volume"], row["final"]) == (
        OPEN + MINUTE,
        2,
        5,
        False,
    )
    log.add(heartbeat(OPEN + 10 * MINUTE))
    assert book(log).newest_open().is_empty()


def test_how_ticks_are_framed_changes_no_bar() -> None:
    rows = [(1, 1, 100), (61, 2, 110), (130, 3, 120), (59, 4, 104), (65, 5, 115), (300, 6, 130)]
    single = Log()
    for seq, (second, price, volume) in enumerate(rows):
        single.add(tick_record([seq], [OPEN + second * 1_000], [price], [volume]))
    assert single.records[1].offset == 1
    assert book(single).finals().equals(book(ticks(*rows)).finals())
