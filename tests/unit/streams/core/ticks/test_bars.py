"""The rules of docs/semantics.md, "Ticks", "Heartbeats" and "Bars", one by one."""

from __future__ import annotations

from optionstream.schemas import rejects as reasons
from optionstream.schemas.derived import INTERVALS, Bar
from optionstream.schemas.events import Tick, TickFrame
from optionstream.streams.core.ticks.partition import TickPartition
from tests.unit.streams.core.ticks.helpers import (
    AFTER,
    CLOSE,
    MINUTE,
    NEXT_OPEN,
    OPEN,
    at,
    beat,
    finals,
    partition,
    play,
    record,
    rejects,
    restarted,
    tick,
)


def counts(part: TickPartition) -> tuple[int, int, int, int]:
    each = part.counts()
    return tuple(  # type: ignore[return-value]
        sum(getattr(one, name) for one in each)
        for name in ("accepted", "outside_session", "duplicates", "held")
    )


def one_minute(outputs: list) -> list[Bar]:  # type: ignore[type-arg]
    return [bar for bar in finals(outputs) if bar.interval == "1m"]


def test_a_bar_holds_open_high_low_close_by_event_time_not_by_arrival() -> None:
    _, out = play(
        tick(OPEN + 1_000, 10.0, 2),
        tick(OPEN + 2_000, 12.0, 3),
        tick(OPEN, 11.0, 1),
        tick(OPEN + 1_500, 9.0, 4),
        beat(AFTER),
    )
    (bar,) = one_minute(out)
    assert (bar.open, bar.high, bar.low, bar.close, bar.ticks) == (11.0, 12.0, 9.0, 12.0, 4)
    assert (bar.start, bar.end, bar.revision, bar.final) == (OPEN, OPEN + MINUTE, 1, True)


def test_ticks_of_one_millisecond_are_ordered_by_their_number() -> None:
    _, out = play(tick(OPEN, 3.0, 3), tick(OPEN, 1.0, 1), tick(OPEN, 2.0, 2), beat(AFTER))
    (bar,) = one_minute(out)
    assert (bar.open, bar.close) == (1.0, 3.0)


def test_windows_are_right_open_and_anchored_at_the_session_open() -> None:
    _, out = play(
        tick(OPEN, 1.0, 1),
        tick(OPEN + 5 * MINUTE - 1, 2.0, 2),
        tick(OPEN + 5 * MINUTE, 3.0, 3),
        beat(AFTER),
    )
    fives = [bar for bar in finals(out) if bar.interval == "5m"]
    assert [(bar.start - OPEN, bar.close) for bar in fives] == [(0, 2.0), (5 * MINUTE, 3.0)]
    fifteens = [bar for bar in finals(out) if bar.interval == "15m"]
    assert [(bar.open, bar.close, bar.ticks) for bar in fifteens] == [(1.0, 3.0, 3)]


def test_a_window_stays_open_for_the_allowed_lateness() -> None:
    start = (tick(OPEN, 1.0, 1), tick(OPEN + 1, 1.0, 2))
    _, early = play(*start, tick(OPEN + MINUTE + 1_999, 2.0, 3))
    _, late = play(*start, tick(OPEN + MINUTE + 2_000, 2.0, 3))
    assert one_minute(early) == []
    assert [bar.ticks for bar in one_minute(late)] == [2]


def test_a_late_tick_revises_every_closed_window_it_belongs_to() -> None:
    _, out = play(
        tick(OPEN, 1.0, 1),
        tick(OPEN + 1, 1.0, 2),
        tick(OPEN + 6 * MINUTE, 2.0, 3),
        tick(OPEN + 30_000, 9.0, 4),
        beat(AFTER),
    )
    first = [bar for bar in finals(out) if bar.start == OPEN]
    assert [(bar.interval, bar.revision, bar.high) for bar in first] == [
        ("1m", 1, 1.0),
        ("3m", 1, 1.0),
        ("5m", 1, 1.0),
        ("1m", 2, 9.0),
        ("3m", 2, 9.0),
        ("5m", 2, 9.0),
        ("15m", 1, 9.0),
        ("30m", 1, 9.0),
        ("60m", 1, 9.0),
        ("1d", 1, 9.0),
    ]


def test_a_late_tick_after_the_close_revises_the_day() -> None:
    _, out = play(
        tick(OPEN, 1.0, 1), tick(CLOSE - 1, 2.0, 2), beat(AFTER), tick(OPEN + 40 * MINUTE, 9.0, 3)
    )
    days = [bar for bar in finals(out) if bar.interval == "1d"]
    assert [(bar.revision, bar.high, bar.ticks) for bar in days] == [(1, 2.0, 2), (2, 9.0, 3)]
    assert all((bar.start, bar.end) == (OPEN, CLOSE) for bar in days)


def test_a_late_tick_into_an_empty_closed_window_makes_its_first_bar() -> None:
    _, out = play(
        tick(OPEN, 1.0, 1),
        tick(OPEN + 1, 1.0, 2),
        tick(OPEN + 4 * MINUTE, 2.0, 3),
        tick(OPEN + 2 * MINUTE, 5.0, 4),
    )
    (bar,) = [bar for bar in one_minute(out) if bar.start == OPEN + 2 * MINUTE]
    assert (bar.revision, bar.ticks, bar.final) == (1, 1, True)


def test_a_repeated_tick_is_a_duplicate_and_changes_nothing() -> None:
    part, out = play(
        tick(OPEN, 1.0, 1), tick(OPEN, 1.0, 1), tick(OPEN + 1, 2.0, 2), tick(OPEN + 1, 2.0, 2)
    )
    assert counts(part) == (2, 0, 2, 0)
    assert not finals(out)


def test_ticks_without_number_repeat_by_content() -> None:
    nameless = Tick(product="NIFTY", ts_ms=OPEN, price=1.0)
    part, _ = play(nameless, Tick(product="NIFTY", ts_ms=OPEN, price=2.0), nameless)
    assert counts(part) == (2, 0, 1, 0)


def test_frames_with_tick_ids_repeat_by_id_whatever_their_numbers() -> None:
    def frame(seq: int) -> TickFrame:
        return TickFrame(
            product="NIFTY",
            source="f",
            session="d",
            ts_recv=OPEN,
            ts_ms=[OPEN + i for i in range(20)],
            price=[1.0] * 20,
            seq=[seq + i for i in range(20)],
            tick_id=list(range(20)),
        )

    part, _ = play(frame(1), frame(500))
    assert counts(part) == (20, 0, 20, 0)


def test_pre_open_after_close_and_holiday_ticks_are_counted_and_enter_no_bar() -> None:
    part, out = play(
        tick(OPEN - 10 * MINUTE, 1.0, 1),
        tick(CLOSE, 1.0, 2),
        tick(at("2026-01-04 11:00:00"), 1.0, 3),
        tick(at("2026-01-06 08:00:00"), 1.0, 4),
        beat(AFTER),
    )
    assert counts(part) == (0, 4, 0, 0)
    assert part.products["NIFTY"].counts.outside == {"pre_open": 1, "after_close": 1, "closed": 2}
    assert finals(out) == []


def test_one_tick_of_a_later_session_waits_for_a_second() -> None:
    part, out = play(
        tick(OPEN, 1.0, 1),
        tick(OPEN + 1, 1.0, 2),
        tick(NEXT_OPEN, 7.0, 3),
        tick(OPEN + MINUTE, 2.0, 4),
    )
    assert counts(part) == (3, 0, 0, 1)
    assert finals(out) == []
    more = part.apply([record(tick(NEXT_OPEN + 1, 8.0, 5), 9)])
    assert counts(part) == (5, 0, 0, 0)
    assert {bar.session for bar in finals(more)} == {"2026-01-06"}


def test_a_tick_of_an_earlier_session_is_refused_as_too_late() -> None:
    part, out = play(tick(NEXT_OPEN, 1.0, 1), tick(NEXT_OPEN + 1, 1.0, 2), tick(OPEN, 1.0, 3))
    (reject,) = rejects(out)
    assert (reject.reason, reject.offset, reject.events) == (reasons.TOO_LATE, 2, 1)
    assert counts(part) == (2, 0, 0, 0)


def test_a_waiting_tick_of_a_session_passed_over_comes_back_as_a_reject() -> None:
    _, out = play(tick(OPEN, 5.0, 1), tick(NEXT_OPEN, 1.0, 2), tick(NEXT_OPEN + 1, 1.0, 3))
    (reject,) = rejects(out)
    assert (reject.reason, reject.offset, reject.indices) == (reasons.TOO_LATE, 0, [0])
    assert reject.raw is not None
    assert b"5.0" in reject.raw


def test_at_most_eight_sessions_wait() -> None:
    days = [f"2026-02-{day:02d} 10:00:00" for day in (2, 3, 4, 5, 6, 9, 10, 11, 12)]
    part, out = play(*(tick(at(day), 1.0, seq) for seq, day in enumerate(days)))
    assert counts(part)[3] == 8
    assert [one.reason for one in rejects(out)] == [reasons.UNCONFIRMED_SESSION]


def test_a_heartbeat_confirms_a_session_and_closes_its_windows() -> None:
    _, out = play(tick(OPEN, 1.0, 1), beat(OPEN + MINUTE + 1_999))
    assert finals(out) == []
    _, out = play(tick(OPEN, 1.0, 1), beat(OPEN + MINUTE + 2_000))
    assert [bar.ticks for bar in finals(out)] == [1]


def test_a_heartbeat_after_the_close_ends_the_session() -> None:
    _, out = play(tick(at("2026-01-06 15:29:59"), 1.0, 1), beat(AFTER))
    assert [bar.interval for bar in finals(out)] == list(INTERVALS)
    assert {bar.end for bar in finals(out)} == {CLOSE}


def test_a_split_day_has_two_sessions_and_a_day_bar_for_each() -> None:
    morning, noon = at("2024-03-02 09:15:00"), at("2024-03-02 11:30:00")
    _, out = play(
        tick(morning, 1.0, 1),
        tick(morning + 1, 1.0, 2),
        tick(noon, 2.0, 3),
        tick(noon + 1, 2.0, 4),
        beat(at("2024-03-02 18:00:00")),
    )
    days = [bar for bar in finals(out) if bar.interval == "1d"]
    assert [(bar.session, bar.start, bar.ticks) for bar in days] == [
        ("2024-03-02", morning, 2),
        ("2024-03-02#1", noon, 2),
    ]


def test_a_stamp_from_2099_is_refused_and_the_day_goes_on() -> None:
    part, out = play(
        tick(OPEN, 1.0, 1), tick(at("2099-06-01 10:00:00"), 1.0, 2), tick(OPEN + 1, 1.0, 3)
    )
    assert [one.reason for one in rejects(out)] == [reasons.NO_CALENDAR]
    assert counts(part) == (2, 0, 0, 0)


def test_live_refuses_what_lies_ahead_of_its_receipt_and_replay_does_not() -> None:
    ahead = Tick(product="NIFTY", ts_ms=OPEN + 60_001, price=1.0, seq=1, ts_recv=OPEN)
    assert [one.reason for one in rejects(play(ahead, live=True)[1])] == [reasons.FUTURE_EVENT]
    assert rejects(play(ahead)[1]) == []


def test_bad_prices_and_times_are_refused_by_position_and_the_rest_of_the_frame_counts() -> None:
    frame = TickFrame(
        product="NIFTY",
        source="f",
        session="d",
        ts_recv=OPEN,
        ts_ms=[OPEN, OPEN + 1, -5, OPEN + 3],
        price=[1.0, 0.0, 1.0, 2.0],
        seq=[1, 2, 3, 4],
    )
    part, out = play(frame)
    assert {(one.reason, tuple(one.indices)) for one in rejects(out)} == {
        (reasons.BAD_PRICE, (1,)),
        (reasons.BAD_TIME, (2,)),
    }
    assert counts(part) == (2, 0, 0, 0)


def test_volume_is_what_traded_within_the_window() -> None:
    _, out = play(
        tick(OPEN, 1.0, 1, 1_000),
        tick(OPEN + 30_000, 1.0, 2, 1_040),
        tick(OPEN + 61_000, 1.0, 3, 1_100),
        tick(OPEN + 62_000, 1.0, 4, 1_150),
        beat(AFTER),
    )
    assert [bar.volume for bar in one_minute(out)] == [40, 110]


def test_volume_is_null_with_a_reason_where_it_cannot_be_told() -> None:
    _, out = play(
        tick(OPEN, 1.0, 1),
        tick(OPEN + 61_000, 1.0, 2, 500),
        tick(OPEN + 121_000, 1.0, 3, 400),
        beat(AFTER),
    )
    assert [(bar.volume, bar.volume_reason) for bar in one_minute(out)] == [
        (None, "no_volume"),
        (0, None),
        (None, "volume_decreased"),
    ]


def test_a_late_tick_that_moves_the_volume_of_the_next_bar_revises_that_too() -> None:
    _, out = play(
        tick(OPEN, 1.0, 1, 100),
        tick(OPEN + 1, 1.0, 2, 110),
        tick(OPEN + 61_000, 1.0, 3, 150),
        tick(OPEN + 125_000, 1.0, 4, 190),
        tick(OPEN + 59_000, 1.0, 5, 130),
    )
    assert [(bar.start - OPEN, bar.revision, bar.volume) for bar in one_minute(out)] == [
        (0, 1, 10),
        (MINUTE, 1, 40),
        (0, 2, 30),
        (MINUTE, 2, 20),
    ]


def test_a_day_of_bars_of_all_intervals_comes_in_the_order_of_end_and_length() -> None:
    ticks = [tick(OPEN + 10_000 * i, 1.0 + i % 9, i) for i in range(2_250)]
    _, out = play(*ticks, beat(AFTER))
    lengths = [(bar.end, INTERVALS.index(bar.interval)) for bar in finals(out)]
    assert lengths == sorted(lengths)
    assert [[bar.interval for bar in finals(out)].count(name) for name in INTERVALS] == [
        375,
        125,
        75,
        25,
        13,
        7,
        1,
    ]


def partials(part: TickPartition) -> list[tuple[str, int, float]]:
    return [
        (one.record.interval, one.record.start - OPEN, one.record.close)
        for one in part.partials()
        if isinstance(one.record, Bar) and one.record.revision == 0 and not one.record.final
    ]


def test_partial_bars_have_revision_0_and_show_what_is_there() -> None:
    part, _ = play(tick(OPEN, 1.0, 1), tick(OPEN + 1, 3.0, 2))
    assert partials(part) == [(name, 0, 3.0) for name in INTERVALS]
    assert part.partials() == []


def test_quick_partials_are_of_minutes_and_keep_the_longer_ones_for_later() -> None:
    part, _ = play(tick(OPEN, 1.0, 1), tick(OPEN + 1, 3.0, 2))
    quick = [one.record for one in part.partials(quick=True)]
    assert [(one.interval, one.close) for one in quick if isinstance(one, Bar)] == [("1m", 3.0)]
    assert part.partials(quick=True) == []
    assert partials(part) == [(name, 0, 3.0) for name in INTERVALS[1:]]
    assert partials(part) == []


def test_a_held_back_partial_goes_out_with_a_later_checkpoint() -> None:
    part = partition(partial_every_ms=5_000)

    def at_second(second: int, price: float) -> list[tuple[str, int, float]]:
        ts = OPEN + 1_000 * second
        part.apply([record(tick(ts, price, second))])
        return [one for one in partials(part) if one[0] in ("1m", "1d")]

    part.apply([record(tick(OPEN, 1.0, -1)), record(tick(OPEN, 1.0, 0))])
    assert at_second(10, 2.0) == [("1m", 0, 2.0), ("1d", 0, 2.0)]
    assert at_second(12, 3.0) == []
    assert partials(part) == []
    part.apply([record(beat(OPEN + 15_000))])
    assert [one for one in partials(part) if one[0] in ("1m", "1d")] == [
        ("1m", 0, 3.0),
        ("1d", 0, 3.0),
    ]
    assert partials(part) == []
    assert at_second(61, 4.0) == [("1d", 0, 4.0), ("1m", MINUTE, 4.0)]
    assert at_second(62, 5.0) == []


def test_a_new_window_shows_at_once_and_a_closed_one_no_more() -> None:
    part = partition(partial_every_ms=600_000)
    part.apply([record(tick(OPEN, 1.0, 1)), record(tick(OPEN + 1, 1.0, 2))])
    assert len(partials(part)) == len(INTERVALS)
    part.apply([record(tick(OPEN + 30_000, 2.0, 3)), record(tick(OPEN + 63_000, 3.0, 4))])
    assert partials(part) == [("1m", MINUTE, 3.0)]


def test_a_restored_partition_shows_its_open_windows_again() -> None:
    part, _ = play(*(tick(OPEN + 20_000 * i, 1.0 + i, i) for i in range(4)))
    before = partials(part)
    again = restarted(part, {})
    assert partials(again) == before
