"""The rules of docs/semantics.md, "Candles", one by one."""

from __future__ import annotations

from math import inf, nan

import msgspec
import pytest

from optionstream.schemas import codec
from optionstream.schemas import rejects as reasons
from optionstream.schemas.derived import INTERVALS, Bar
from optionstream.schemas.events import CandleFrame
from optionstream.streams.core.intake import Output
from optionstream.streams.core.ticks.cells import MAX_VOLUME
from tests.unit.streams.core.ticks.helpers import (
    AFTER,
    CLOSE,
    MINUTE,
    NEXT_OPEN,
    OPEN,
    Candle,
    at,
    beat,
    candles,
    finals,
    flat,
    partition,
    play,
    record,
    rejects,
    tick,
)


def bars(outputs: list[Output], interval: str) -> list[Bar]:
    return [bar for bar in finals(outputs) if bar.interval == interval]


def minutes(count: int, first: int = 0) -> list[Candle]:
    """One-minute candles that rise by 1 a minute, with 10 traded in each."""
    return [
        (OPEN + i * MINUTE, 100.0 + i, 101.5 + i, 99.0 + i, 100.5 + i, 10)
        for i in range(first, first + count)
    ]


def test_one_minute_candles_roll_up_into_every_interval() -> None:
    _, out = play(candles(1, *minutes(375)), beat(AFTER))
    for name, count in zip(INTERVALS, (375, 125, 75, 25, 13, 7, 1), strict=True):
        found = bars(out, name)
        assert len(found) == count
        assert sum(bar.ticks for bar in found) == 375
        assert sum(bar.volume or 0 for bar in found) == 3_750
    (day,) = bars(out, "1d")
    assert (day.open, day.high, day.low, day.close) == (100.0, 475.5, 99.0, 474.5)
    last = bars(out, "60m")[-1]
    assert (last.start, last.end, last.ticks) == (OPEN + 360 * MINUTE, CLOSE, 15)


@pytest.mark.parametrize(
    ("length", "made"),
    [
        (1, INTERVALS),
        (2, ("30m", "60m", "1d")),
        (3, ("3m", "15m", "30m", "60m", "1d")),
        (5, ("5m", "15m", "30m", "60m", "1d")),
        (15, ("15m", "30m", "60m", "1d")),
        (30, ("30m", "60m", "1d")),
        (60, ("60m", "1d")),
        (7, ("1d",)),
        (45, ("1d",)),
        (120, ("1d",)),
        (1_440, ("1d",)),
    ],
)
def test_a_candle_enters_only_windows_that_are_a_multiple_of_it(
    length: int, made: tuple[str, ...]
) -> None:
    confirm = candles(length, flat(OPEN), session="another")
    _, out = play(candles(length, flat(OPEN)), confirm, beat(AFTER))
    assert [bar.interval for bar in finals(out)] == list(made)
    assert {bar.ticks for bar in finals(out)} == {2}


def test_candles_of_two_lengths_need_a_window_that_is_a_multiple_of_both() -> None:
    _, out = play(candles(3, flat(OPEN)), candles(5, flat(OPEN)), beat(AFTER))
    assert [bar.interval for bar in finals(out)] == ["15m", "30m", "60m", "1d"]


def test_a_late_longer_candle_ends_the_revisions_of_the_windows_it_does_not_fit() -> None:
    _, out = play(
        tick(OPEN, 1.0, 1),
        tick(OPEN + 1, 1.0, 2),
        tick(OPEN + 31 * MINUTE, 1.0, 3),
        candles(15, flat(OPEN, 9.0)),
        tick(OPEN + 2, 2.0, 4),
    )
    first = [bar for bar in finals(out) if bar.start == OPEN]
    assert [(bar.interval, bar.revision, bar.high) for bar in first] == [
        ("1m", 1, 1.0),
        ("3m", 1, 1.0),
        ("5m", 1, 1.0),
        ("15m", 1, 1.0),
        ("30m", 1, 1.0),
        ("15m", 2, 9.0),
        ("30m", 2, 9.0),
        ("15m", 3, 9.0),
        ("30m", 3, 9.0),
    ]


def test_open_and_close_of_a_candle_count_at_its_ends_among_ticks() -> None:
    _, out = play(
        candles(1, (OPEN, 5.0, 9.0, 1.0, 6.0, None)),
        tick(OPEN + 1, 7.0, 1),
        tick(OPEN + MINUTE - 2, 8.0, 2),
        beat(AFTER),
    )
    (bar,) = bars(out, "1m")
    assert (bar.open, bar.high, bar.low, bar.close, bar.ticks) == (5.0, 9.0, 1.0, 6.0, 3)


def test_a_candle_moves_the_watermark_to_its_last_millisecond() -> None:
    start = (candles(1, flat(OPEN)), candles(1, flat(OPEN + MINUTE)))
    _, early = play(*start)
    _, late = play(*start, candles(1, flat(OPEN + 2 * MINUTE)))
    assert [bar.start for bar in bars(early, "1m")] == [OPEN]
    assert [bar.start for bar in bars(late, "1m")] == [OPEN, OPEN + MINUTE]


def test_the_last_candle_ends_with_the_session() -> None:
    part, out = play(
        candles(60, flat(OPEN), flat(OPEN + 360 * MINUTE)), tick(CLOSE - 1, 2.0, 1), beat(AFTER)
    )
    assert [(bar.end, bar.close) for bar in bars(out, "60m")] == [
        (OPEN + 60 * MINUTE, 1.0),
        (CLOSE, 2.0),
    ]
    current = part.products["NIFTY"].current
    assert current is not None
    assert current.bars.minutes.cells[360].last_ts == CLOSE - 1


@pytest.mark.parametrize(
    ("volumes", "ticks", "expected"),
    [
        ([5, 7], [], (12, None)),
        ([5, None], [], (None, "no_volume")),
        ([None, None], [], (None, "no_volume")),
        ([0, 0], [], (0, None)),
        ([5, 7], [None], (12, None)),
        ([5, 7], [100, 140], (40, None)),
        ([MAX_VOLUME, 0], [], (MAX_VOLUME, None)),
        ([MAX_VOLUME, 1], [], (None, "volume_too_large")),
    ],
)
def test_the_volume_of_a_window_is_the_sum_of_its_candles_unless_ticks_tell_the_days(
    volumes: list[int | None], ticks: list[int | None], expected: tuple[int | None, str | None]
) -> None:
    rows = [flat(OPEN + i * MINUTE, volume=volume) for i, volume in enumerate(volumes)]
    more = [tick(OPEN + i, 1.0, i, volume) for i, volume in enumerate(ticks)]
    _, out = play(candles(1, *rows), *more, beat(AFTER))
    (bar,) = bars(out, "3m")
    assert (bar.volume, bar.volume_reason) == expected


def test_no_number_of_greatest_volumes_breaks_the_state_or_the_record() -> None:
    part = partition()
    out: list[Output] = []
    for label in range(3_000):
        one = candles(1, flat(OPEN, volume=MAX_VOLUME), session=str(label))
        out += part.apply([record(one, label)])
    part.hot()
    out += part.apply([record(beat(AFTER))])
    assert {bar.volume_reason for bar in finals(out)} == {"volume_too_large"}
    assert all(codec.encode(bar) for bar in finals(out))


BAD_ROWS: list[Candle] = [
    (OPEN, 0.0, 1.0, 0.0, 1.0, None),
    (OPEN, 1.0, 1.0, -1.0, 1.0, None),
    (OPEN, 1.0, inf, 1.0, 1.0, None),
    (OPEN, nan, 2.0, 1.0, 1.0, None),
    (OPEN, 3.0, 2.0, 1.0, 1.5, None),
    (OPEN, 1.5, 2.0, 1.0, 3.0, None),
    (OPEN, 0.5, 2.0, 1.0, 1.5, None),
    (OPEN, 1.5, 2.0, 1.0, 0.5, None),
    (OPEN, 1.0, 1.0, 1.0, 1.0, -1),
]


@pytest.mark.parametrize("row", BAD_ROWS)
def test_a_candle_whose_figures_cannot_be_is_refused_by_position(row: Candle) -> None:
    frame = candles(1, flat(OPEN), row, flat(OPEN + MINUTE))
    outcome = partition()._ticks_of("NIFTY").apply_candles(frame)
    assert outcome.refused == {reasons.BAD_CANDLE: [1]}


@pytest.mark.parametrize(
    ("start", "reason"),
    [
        (-5, reasons.BAD_TIME),
        (4_102_444_800_000, reasons.BAD_TIME),
        (at("2099-06-01 10:00:00"), reasons.NO_CALENDAR),
        (OPEN + 5_000, reasons.MISALIGNED_CANDLE),
        (OPEN + MINUTE, reasons.MISALIGNED_CANDLE),
    ],
)
def test_a_candle_at_an_impossible_start_is_refused_and_the_rest_counts(
    start: int, reason: str
) -> None:
    frame = candles(3, flat(OPEN), flat(start), flat(OPEN + 3 * MINUTE), ts_recv=OPEN)
    part, out = play(frame)
    (reject,) = rejects(out)
    assert (reject.reason, reject.indices, reject.events) == (reason, [1], 1)
    assert reject.raw == codec.encode(frame)
    assert part.products["NIFTY"].counts.accepted == 2


def test_live_refuses_a_candle_that_starts_ahead_of_its_receipt() -> None:
    ahead = candles(1, flat(OPEN + 60_001), ts_recv=OPEN)
    assert [one.reason for one in rejects(play(ahead, live=True)[1])] == [reasons.FUTURE_EVENT]
    aligned = candles(1, flat(OPEN + 60_000), ts_recv=OPEN)
    assert rejects(play(aligned, live=True)[1]) == []


def test_candles_outside_the_session_are_counted_by_phase() -> None:
    part, _ = play(candles(1, flat(OPEN - MINUTE), flat(CLOSE), flat(at("2026-01-04 10:00:00"))))
    counts = part.products["NIFTY"].counts
    assert counts.outside_session == 3
    assert counts.outside["after_close"] == 1


def test_a_repeated_candle_is_a_duplicate_and_one_of_another_length_is_not() -> None:
    part, _ = play(
        candles(1, flat(OPEN), flat(OPEN + MINUTE)),
        candles(1, flat(OPEN, 9.0), flat(OPEN + MINUTE)),
        candles(3, flat(OPEN)),
        candles(1, flat(OPEN), session="other"),
    )
    counts = part.products["NIFTY"].counts
    assert (counts.accepted, counts.duplicates) == (4, 2)


def test_a_candle_waits_for_its_session_like_a_tick_and_a_repeat_does_not_confirm_it() -> None:
    part, out = play(candles(1, flat(OPEN)), candles(1, flat(OPEN)))
    counts = part.products["NIFTY"].counts
    assert (counts.held, counts.duplicates, counts.accepted) == (1, 1, 0)
    out += part.apply([record(tick(OPEN, 1.0, 1), 2)])
    assert (counts.held, counts.accepted) == (0, 2)


def test_a_candle_that_waited_in_vain_comes_back_as_a_frame_of_itself_alone() -> None:
    lost = (OPEN, 2.0, 4.0, 1.0, 3.0, 7)
    part, out = play(
        candles(15, flat(OPEN - MINUTE), lost),
        candles(15, flat(NEXT_OPEN), flat(NEXT_OPEN + 15 * MINUTE)),
    )
    (reject,) = rejects(out)
    assert (reject.reason, reject.offset, reject.indices) == (reasons.TOO_LATE, 0, [1])
    assert reject.raw is not None
    frame = codec.decode(reject.raw, reject.headers)
    assert isinstance(frame, CandleFrame)
    assert frame == candles(15, lost, ts_recv=OPEN)
    assert part.products["NIFTY"].counts.rejects == {reasons.TOO_LATE: 1}


def test_a_candle_frame_of_uneven_columns_is_refused_whole() -> None:
    broken = msgspec.structs.replace(candles(1, flat(OPEN), flat(OPEN + MINUTE)), high=[1.0])
    (reject,) = rejects(play(broken)[1])
    assert (reject.reason, reject.events) == (reasons.INVALID, 2)


@pytest.mark.parametrize("turned", [False, True])
def test_of_candles_that_end_together_the_one_that_starts_earlier_closes(turned: bool) -> None:
    both = [candles(5, flat(OPEN, 4.0)), candles(1, flat(OPEN + 4 * MINUTE, 6.0))]
    _, out = play(*(reversed(both) if turned else both), beat(AFTER))
    (bar,) = bars(out, "5m")
    assert (bar.open, bar.close, bar.high) == (4.0, 4.0, 6.0)
