"""Bars from candles, alone and beside ticks: docs/semantics.md, Candles and Bars."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest

from optionstream.schemas.derived import INTERVALS
from optionstream.streams.verify.ticks.expected_bars import ExpectedBars
from optionstream.streams.verify.ticks.window_book import BAR_COLUMNS, WindowBook
from tests.unit.streams.verify.world import (
    DAY,
    MINUTE,
    OPEN,
    Log,
    candle_record,
    heartbeat,
    tick_record,
)

CLOSE = OPEN + 375 * MINUTE
FIVE = 5 * MINUTE
MOST = (1 << 53) - 1


def book(log: Log, interval: str = "1m") -> WindowBook:
    (timeline,) = log.expectation().timelines()
    return WindowBook(timeline, interval)


def finals(log: Log, *names: str, interval: str = "1m") -> list[tuple[Any, ...]]:
    """Minute, revision and the named columns of every final bar."""
    frame = book(log, interval).finals().sort("start", "revision")
    return frame.select((pl.col("start") - OPEN) // MINUTE, "revision", *names).rows()


def minutes(*rows: tuple[Any, ...]) -> Log:
    """One frame: each row is (minute, open, high, low, close, volume)."""
    log = Log()
    log.add(
        candle_record(
            [OPEN + row[0] * MINUTE for row in rows],
            [row[1:5] for row in rows],
            [row[5] for row in rows],
        )
    )
    return log


PRICES = ("open", "high", "low", "close", "volume", "volume_reason", "ticks")


def test_minutes_roll_up_into_every_interval() -> None:
    log = minutes((0, 10, 12, 9, 11, 5), (1, 11, 15, 10, 14, 6), (2, 14, 14, 8, 9, 7))
    log.add(heartbeat(CLOSE + 2_000))
    for interval in INTERVALS[1:]:
        (row,) = finals(log, *PRICES, interval=interval)
        assert row == (0, 1, 10.0, 15.0, 8.0, 9.0, 18, None, 3)
    assert [row[2:6] for row in finals(log, *PRICES)] == [
        (10.0, 12.0, 9.0, 11.0),
        (11.0, 15.0, 10.0, 14.0),
        (14.0, 14.0, 8.0, 9.0),
    ]


def test_a_day_is_one_window_that_ends_with_the_session() -> None:
    log = minutes((0, 10, 12, 9, 11, 5), (374, 11, 15, 10, 14, 6))
    assert finals(log, interval="1d") == []
    log.add(heartbeat(CLOSE + 2_000))
    (row,) = book(log, "1d").finals().rows(named=True)
    assert (row["start"], row["end"], row["volume"]) == (OPEN, CLOSE, 11)


def test_a_candle_advances_time_to_its_last_millisecond() -> None:
    log = minutes((0, 1, 1, 1, 1, 1), (1, 2, 2, 2, 2, 2))
    assert [row[0] for row in finals(log)] == [0]
    (timeline,) = log.expectation().timelines()
    assert timeline.watermark["wm"].max() == OPEN + 2 * MINUTE - 1 - 2_000


def test_the_last_candle_of_a_session_ends_with_it() -> None:
    log = Log()
    log.add(candle_record([OPEN + 330 * MINUTE, OPEN + 360 * MINUTE], interval_ms=30 * MINUTE))
    (timeline,) = log.expectation().timelines()
    assert timeline.watermark["wm"].max() == CLOSE - 1 - 2_000


def test_open_and_close_go_by_the_times_of_the_candles_not_by_arrival() -> None:
    log = minutes((2, 3, 3, 3, 3, 1), (0, 1, 1, 1, 1, 1), (1, 2, 2, 2, 2, 1))
    log.add(heartbeat(CLOSE + 2_000))
    assert finals(log, "open", "close", interval="3m") == [(0, 1, 1.0, 3.0)]


def test_ticks_and_candles_make_one_bar() -> None:
    log = Log()
    log.add(candle_record([OPEN], [(10, 12, 9, 11)]))
    log.add(tick_record([-1, 7], [OPEN, OPEN + MINUTE - 1], [20, 8]))
    log.add(heartbeat(OPEN + 2 * MINUTE))
    # The tick of number -1 comes before the candle's open (0), number 7 after its close (0).
    assert finals(log, *PRICES) == [(0, 1, 20.0, 20.0, 8.0, 8.0, None, "no_volume", 3)]


def test_of_equal_order_the_first_accepted_counts() -> None:
    log = Log()
    log.add(tick_record([0], [OPEN], [5]))
    log.add(candle_record([OPEN], [(10, 12, 9, 11)]))
    log.add(tick_record([0], [OPEN + MINUTE - 1], [6], source="b"))
    log.add(heartbeat(OPEN + 2 * MINUTE))
    assert finals(log, "open", "close") == [(0, 1, 5.0, 11.0)]


def test_of_equals_that_of_the_earlier_minute_counts() -> None:
    log = Log()
    log.add(candle_record([OPEN + 4 * MINUTE], [(3, 3, 3, 3)]))
    log.add(candle_record([OPEN], [(7, 7, 7, 7)], interval_ms=FIVE))
    log.add(tick_record([0], [OPEN + FIVE - 1], [5]))
    log.add(heartbeat(CLOSE + 2_000))
    assert finals(log, "close", interval="5m") == [(0, 1, 7.0)]
    assert finals(log, "close") == [(4, 1, 3.0)]


@pytest.mark.parametrize(
    ("volumes", "expected"),
    [
        ((MOST - 1, 1), (MOST, None)),
        ((MOST, 1), (None, "volume_too_large")),
        ((MOST, MOST), (None, "volume_too_large")),
        ((MOST, None), (None, "no_volume")),
        ((5, 6), (11, None)),
        ((5, 0), (5, None)),
        ((5, None), (None, "no_volume")),
        ((None, None), (None, "no_volume")),
    ],
)
def test_volume_is_the_sum_when_all_candles_tell_theirs(
    volumes: tuple[int | None, int | None], expected: tuple[int | None, str | None]
) -> None:
    log = minutes(*((at, 1, 1, 1, 1, volume) for at, volume in enumerate(volumes)))
    log.add(heartbeat(CLOSE + 2_000))
    assert finals(log, "volume", "volume_reason", interval="3m") == [(0, 1, *expected)]


def test_a_tick_with_a_cumulative_volume_takes_the_place_of_the_candles() -> None:
    log = minutes((0, 1, 1, 1, 1, 5), (1, 1, 1, 1, 1, 6))
    log.add(tick_record([1, 2], [OPEN + 1, OPEN + 2], volumes=[100, 130]))
    log.add(heartbeat(CLOSE + 2_000))
    assert finals(log, "volume", interval="3m") == [(0, 1, 30)]


def test_a_tick_without_volume_leaves_that_of_the_candles() -> None:
    log = minutes((0, 1, 1, 1, 1, 5), (1, 1, 1, 1, 1, 6))
    log.add(tick_record([1], [OPEN + 1]))
    log.add(heartbeat(CLOSE + 2_000))
    assert finals(log, "volume", "ticks", interval="3m") == [(0, 1, 11, 3)]


def test_a_late_candle_revises_every_interval_that_it_fits() -> None:
    log = minutes((0, 1, 1, 1, 1, 1), (2, 1, 1, 1, 1, 1), (16, 1, 1, 1, 1, 1), (1, 9, 9, 9, 9, 4))
    assert finals(log, "volume", interval="3m") == [(0, 1, 2), (0, 2, 6)]
    assert finals(log, "volume", interval="15m") == [(0, 1, 2), (0, 2, 6)]
    assert [row[:2] for row in finals(log)] == [(0, 1), (1, 1), (2, 1)]


def five_minutes(*starts: int) -> Log:
    log = Log()
    log.add(candle_record([OPEN + at * MINUTE for at in starts], interval_ms=FIVE))
    return log


def test_a_candle_makes_bars_of_multiples_of_its_length_only() -> None:
    log = five_minutes(0, 5, 10, 60)
    log.add(heartbeat(CLOSE + 2_000))
    counts = {interval: len(finals(log, interval=interval)) for interval in INTERVALS}
    assert counts == {"1m": 0, "3m": 0, "5m": 4, "15m": 2, "30m": 2, "60m": 2, "1d": 1}


def test_a_day_takes_candles_of_any_length() -> None:
    log = Log()
    log.add(candle_record([OPEN, OPEN + 7 * MINUTE], interval_ms=7 * MINUTE))
    log.add(heartbeat(CLOSE + 2_000))
    made = [interval for interval in INTERVALS if finals(log, interval=interval)]
    assert made == ["1d"]


def test_the_last_window_counts_by_its_nominal_length() -> None:
    log = Log()
    log.add(candle_record([CLOSE - 15 * MINUTE, CLOSE - 45 * MINUTE], interval_ms=30 * MINUTE))
    log.add(heartbeat(CLOSE + 2_000))
    assert [row[0] for row in finals(log, interval="60m")] == [300, 360]


def test_a_window_that_holds_a_candle_that_does_not_fit_makes_no_bar() -> None:
    log = five_minutes(0, 5)
    log.add(tick_record([1, 2, 3], [OPEN + 1, OPEN + MINUTE, OPEN + 20 * MINUTE]))
    # The candles lie in the minutes of their start: 0 and 5.
    assert [row[:2] for row in finals(log)] == [(1, 1)]


def test_a_candle_that_does_not_fit_ends_the_revisions_of_a_closed_window() -> None:
    log = Log()
    log.add(tick_record([1, 2, 3], [OPEN + 1, OPEN + 30 * MINUTE, OPEN + 2]))
    log.add(candle_record([OPEN], interval_ms=FIVE))
    log.add(tick_record([4], [OPEN + 3]))
    assert finals(log, "ticks") == [(0, 1, 1), (0, 2, 2)]
    assert finals(log, "ticks", interval="5m") == [(0, 1, 1), (0, 2, 2), (0, 3, 3), (0, 4, 4)]


def test_a_spoiled_window_is_the_base_of_the_next_all_the_same() -> None:
    log = Log()
    log.add(tick_record([1, 2], [OPEN + 1, OPEN + MINUTE], volumes=[100, 110]))
    log.add(candle_record([OPEN], interval_ms=FIVE))
    log.add(tick_record([3], [OPEN + 2], volumes=[104]))
    assert finals(log, "volume") == [(1, 1, 10), (1, 2, 6)]


def test_a_spoiled_window_is_not_revised_with_the_one_before() -> None:
    log = Log()
    times = [OPEN + 4 * MINUTE, OPEN + 5 * MINUTE]
    log.add(tick_record([1, 2], times, volumes=[100, 110]))
    log.add(heartbeat(OPEN + 7 * MINUTE))
    log.add(tick_record([3], [times[0] + 1], volumes=[104]))
    log.add(candle_record(times[1:], interval_ms=FIVE))
    log.add(tick_record([4], [times[0] + 2], volumes=[105]))
    assert finals(log, "volume") == [(4, 1, 0), (4, 2, 4), (4, 3, 5), (5, 1, 10), (5, 2, 6)]


def partial(log: Log, **changed: Any) -> bool:
    """Whether verify takes a partial bar of the first minute, one tick at 100."""
    row = {
        "product": "NIFTY",
        "interval": "1m",
        "start": OPEN,
        "revision": 0,
        "session": "2024-01-01",
        "end": OPEN + MINUTE,
        **dict.fromkeys(("open", "high", "low", "close"), 100.0),
        "volume": None,
        "volume_reason": "no_volume",
        "ticks": 1,
        "final": False,
    }
    told = pl.DataFrame([{**row, **changed}], schema=BAR_COLUMNS)
    return book(log).wrong_partials(told).is_empty()


def test_a_partial_bar_was_true_before_its_window_was_spoiled_only() -> None:
    log = Log()
    log.add(tick_record([1], [OPEN + 1]))
    log.add(candle_record([OPEN], interval_ms=2 * MINUTE))
    log.add(tick_record([2], [OPEN + 2]))
    assert partial(log)
    assert not partial(log, ticks=2)
    assert not partial(log, ticks=3)


def expected_bars(log: Log) -> ExpectedBars:
    bars = ExpectedBars(pl.DataFrame(schema=BAR_COLUMNS))
    for timeline in log.expectation().timelines():
        bars.take_timeline(timeline)
    return bars


def test_a_series_without_bars_has_no_newest() -> None:
    newest = expected_bars(five_minutes(0, 5)).newest
    assert newest["ohlc:NIFTY:1m"].row is None
    assert newest["ohlc:NIFTY:5m"].row is not None


def test_what_is_shown_of_a_window_that_was_spoiled_may_be_of_before() -> None:
    log = Log()
    log.add(tick_record([1, 2], [OPEN + 1, OPEN + 5 * MINUTE]))
    log.add(candle_record([OPEN + 5 * MINUTE], interval_ms=FIVE))
    newest = expected_bars(log).newest["ohlc:NIFTY:1m"]
    assert newest.row is not None
    assert newest.row["start"] == OPEN
    shown = {**newest.row, "start": OPEN + 5 * MINUTE, "end": OPEN + 6 * MINUTE}
    shown |= {"revision": 0, "final": False}
    assert newest.agrees(newest.row, every_partial=True)
    assert newest.agrees(shown, every_partial=True)
    assert not newest.agrees({**shown, "ticks": 2}, every_partial=True)
    assert not newest.agrees({**newest.row, "revision": 0, "final": False}, every_partial=True)


def test_parts_of_a_timeline_make_the_same_bars() -> None:
    log = Log()
    for day in range(4):
        starts = [OPEN + day * DAY + at * MINUTE for at in (0, 1, 9, 2)]
        log.add(candle_record(starts, volumes=[1, 2, 3, 4]))
        log.add(tick_record([1, 2, 3], [start + 7 for start in starts[:3]], volumes=[5, None, 9]))
    expected = log.expectation()
    whole = list(expected.timelines())
    parts = list(expected.timelines(events_a_part=1))
    assert (len(whole), len(parts)) == (1, 4)
    for interval in INTERVALS:
        bars = [WindowBook(part, interval).finals() for part in parts]
        assert pl.concat(bars).equals(WindowBook(whole[0], interval).finals())
