"""The schedule of faults follows from its seed."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.chaos.schedule import LONGEST_PAUSE_S, WEIGHTS, Fault, schedule


def test_the_same_seed_makes_the_same_schedule_and_another_another() -> None:
    assert schedule(5, 200, 10) == schedule(5, 200, 10)
    assert schedule(5, 200, 10) != schedule(6, 200, 10)


@pytest.mark.parametrize(("faults", "replays"), [(200, 10), (13, 2), (7, 3), (1, 1)])
def test_all_faults_are_spread_over_the_replays_in_order(faults: int, replays: int) -> None:
    found = schedule(1, faults, replays)
    assert len(found) == replays
    assert sum(map(len, found)) == faults
    assert max(map(len, found)) - min(map(len, found)) <= 1
    for steps in found:
        places = [step.at for step in steps]
        assert places == sorted(places)
        assert all(0 < at < 1 for at in places)
        assert all(0 <= step.pause_s <= LONGEST_PAUSE_S for step in steps)


def test_only_the_kinds_asked_for_come_and_each_of_them() -> None:
    kinds = (Fault.KILL_LATEST, Fault.RESEND, Fault.STOP_REDIS)
    found = [step.fault for steps in schedule(3, 20, 2, kinds) for step in steps]
    assert set(found) == set(kinds)
    assert len(found) == 20


def test_every_fault_comes_where_there_is_room_and_the_costly_ones_seldom() -> None:
    assert set(WEIGHTS) == set(Fault)
    counted = Counter(step.fault for steps in schedule(3, 400, 10) for step in steps)
    assert set(counted) == set(Fault)
    assert counted[Fault.KILL_ANALYTICS] > counted[Fault.FREEZE_ANALYTICS]
    assert {step.fault for steps in schedule(3, len(Fault), 2) for step in steps} == set(Fault)
