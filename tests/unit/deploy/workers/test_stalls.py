"""When a group has stalled, and when it is only slow, idle or busy elsewhere."""

from __future__ import annotations

from optionstream.deploy.groups.lag import PartitionLag
from optionstream.deploy.workers.stalls import StallWatch

PATIENCE_S = 60.0


def row(at: int | None, end: int, partition: int = 0) -> PartitionLag:
    return PartitionLag("latest", "market.underlying", partition, at, end, end - (at or 0))


def test_records_wait_and_the_position_does_not_move() -> None:
    watch = StallWatch(PATIENCE_S)
    assert watch.look([row(5, 9)], 0) is None
    assert watch.look([row(5, 20)], 59) is None
    assert watch.look([row(5, 30)], 60) == row(5, 30)
    assert watch.idle_s(row(5, 30), 60) == 60


def test_a_lag_that_stays_the_same_is_a_stall_too() -> None:
    watch = StallWatch(PATIENCE_S)
    assert watch.look([row(None, 9)], 0) is None
    assert watch.look([row(None, 9)], 60) is not None


def test_who_moves_has_not_stalled_however_the_lag_grows() -> None:
    watch = StallWatch(PATIENCE_S)
    for second in range(0, 600, 30):
        assert watch.look([row(second, second * 100 + 9)], second) is None


def test_an_idle_group_has_not_stalled_and_its_patience_begins_with_the_first_record() -> None:
    watch = StallWatch(PATIENCE_S)
    assert watch.look([row(9, 9)], 0) is None
    assert watch.look([row(9, 9)], 1_000) is None
    assert watch.look([row(9, 10)], 1_005) is None
    assert watch.look([row(9, 10)], 1_059) is None
    assert watch.look([row(9, 10)], 1_060) is not None


def test_a_position_that_was_set_back_has_moved() -> None:
    watch = StallWatch(PATIENCE_S)
    watch.look([row(8, 9)], 0)
    assert watch.look([row(2, 9)], 60) is None


def test_one_partition_is_given_more_time_while_others_move() -> None:
    watch = StallWatch(PATIENCE_S)
    for second in range(0, 300, 10):
        assert watch.look([row(3, 9), row(second, second + 50, 1)], second) is None
    assert watch.look([row(3, 9), row(300, 350, 1)], 300) == row(3, 9)


def test_one_partition_that_stands_still_while_the_others_are_through_has_stalled() -> None:
    watch = StallWatch(PATIENCE_S)
    watch.look([row(3, 9), row(7, 7, 1)], 0)
    assert watch.look([row(3, 9), row(7, 7, 1)], 60) == row(3, 9)


def test_after_a_restart_that_did_not_help_the_patience_doubles_until_the_group_moves() -> None:
    watch = StallWatch(PATIENCE_S)
    now_s, waits = 0.0, []
    for _ in range(6):
        began_s = now_s
        while watch.look([row(5, 9)], now_s) is None:
            now_s += 1.0
        waits.append(now_s - began_s)
        watch.extend_patience()
    assert waits == [60, 120, 240, 480, 600, 600]
    watch.look([row(5, 9)], now_s)
    watch.look([row(6, 9)], now_s + 1)
    assert watch.look([row(6, 9)], now_s + 60) is None
    assert watch.look([row(6, 9)], now_s + 61) is not None


def test_what_could_not_be_looked_at_for_a_while_is_not_judged_by_it() -> None:
    watch = StallWatch(PATIENCE_S)
    watch.look([row(5, 9)], 0)
    watch.forget()
    assert watch.look([row(5, 9)], 100) is None
    assert watch.look([row(5, 9)], 160) is not None
