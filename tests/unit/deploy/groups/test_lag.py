"""Lag, and waiting until the groups have read everything."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from optionstream.deploy.groups.lag import (
    GroupOffsets,
    Offsets,
    Patience,
    StalledError,
    group_lag,
    wait_until_caught_up,
)
from optionstream.schemas.errors import OptionstreamError
from optionstream.schemas.settings import Settings
from optionstream.schemas.topics import CHAIN, OHLC, REJECTS, UNDERLYING

Step = dict[str, Offsets]


class FakeOffsets:
    """End offsets, and what each group has committed; both may change at every look."""

    def __init__(self, ends: Offsets, committed: Step | None = None) -> None:
        self.end_offsets = ends
        self.committed_offsets: Step = committed or {}
        self.begin_offsets: Offsets = {}
        self.looks = 0

    def ends(self, names: Sequence[str]) -> Offsets:
        return {place: end for place, end in self.end_offsets.items() if place[0] in names}

    def beginnings(self, names: Sequence[str]) -> Offsets:
        return {place: at for place, at in self.begin_offsets.items() if place[0] in names}

    def committed(self, group: str) -> Offsets:
        self.looks += 1
        return dict(self.committed_offsets.get(group, {}))


class FakeClock:
    def __init__(self) -> None:
        self.now_s = 0.0
        self.at: dict[float, Step] = {}

    def patience(self) -> Patience:
        return Patience(look_again_s=1.0, now_s=lambda: self.now_s, sleep=self.sleep)

    def sleep(self, seconds: float) -> None:
        self.now_s += seconds


def test_lag_is_what_is_there_and_not_committed() -> None:
    source = FakeOffsets({(UNDERLYING, 0): 10, (UNDERLYING, 1): 4}, {})
    source.committed_offsets = {"analytics": {(UNDERLYING, 0): 7, (UNDERLYING, 1): 4}}
    assert [row.lag for row in group_lag(source, "analytics")] == [3, 0]


def test_a_partition_without_records_counts_as_read() -> None:
    source = FakeOffsets({(UNDERLYING, 0): 0, (UNDERLYING, 1): 5})
    source.begin_offsets = {(UNDERLYING, 0): 0, (UNDERLYING, 1): 5}
    assert [row.lag for row in group_lag(source, "analytics")] == [0, 0]


def test_what_retention_deleted_is_not_lag() -> None:
    source = FakeOffsets({(UNDERLYING, 0): 9})
    source.begin_offsets = {(UNDERLYING, 0): 6}
    (row,) = group_lag(source, "analytics")
    assert (row.committed, row.lag) == (None, 3)


def test_the_ends_that_sinks_have_to_reach_are_taken_after_analytics_arrived() -> None:
    """Analytics makes output while it reads: the sinks have to read that as well."""
    clock = FakeClock()
    source = FakeOffsets({(UNDERLYING, 0): 2, (OHLC, 0): 0})
    lags: list[tuple[float, str, int]] = []

    def play(seconds: float) -> None:
        clock.sleep(seconds)
        if clock.now_s == 3:
            source.end_offsets[(OHLC, 0)] = 5
            source.committed_offsets["analytics"] = {(UNDERLYING, 0): 2}
        if clock.now_s == 5:
            source.committed_offsets["latest"] = {(UNDERLYING, 0): 2, (OHLC, 0): 5}
        if clock.now_s == 7:
            source.committed_offsets["history"] = {(UNDERLYING, 0): 2, (OHLC, 0): 5}

    wait_until_caught_up(
        source,
        on_lag=lambda group, left: lags.append((clock.now_s, group, left)),
        patience=Patience(look_again_s=1.0, now_s=lambda: clock.now_s, sleep=play),
    )
    assert clock.now_s == 7
    assert (3.0, "latest", 7) in lags
    assert (3.0, "history", 7) in lags
    assert lags[-1] == (7.0, "history", 0)


def test_a_group_that_stands_still_is_named_with_the_place_and_the_log() -> None:
    clock = FakeClock()
    source = FakeOffsets({(UNDERLYING, 3): 9, (REJECTS, 0): 1, (CHAIN, 0): 1})
    source.committed_offsets = {"analytics": {(UNDERLYING, 3): 9}}
    source.committed_offsets["latest"] = {(UNDERLYING, 3): 4, (CHAIN, 0): 1}
    source.committed_offsets["history"] = {(UNDERLYING, 3): 9, (REJECTS, 0): 1, (CHAIN, 0): 1}
    with pytest.raises(StalledError) as caught:
        wait_until_caught_up(source, logs={"latest": "/logs/latest.log"}, patience=clock.patience())
    assert str(caught.value) == (
        "group latest has not moved for 60 s: it committed offset 4 of 9 on "
        "market.underlying partition 3; see /logs/latest.log"
    )
    assert 60 < clock.now_s < 63


def test_a_group_that_is_slow_but_moves_is_waited_for() -> None:
    clock = FakeClock()
    source = FakeOffsets({(UNDERLYING, 0): 10})
    source.committed_offsets = {"latest": {(UNDERLYING, 0): 10}, "history": {(UNDERLYING, 0): 10}}

    def play(seconds: float) -> None:
        clock.sleep(50)
        source.committed_offsets["analytics"] = {(UNDERLYING, 0): int(clock.now_s // 50)}

    wait_until_caught_up(source, patience=Patience(now_s=lambda: clock.now_s, sleep=play))
    assert clock.now_s == 500


def test_a_worker_that_was_given_up_ends_the_waiting() -> None:
    def check() -> None:
        raise OptionstreamError("worker analytics keeps ending")

    with pytest.raises(OptionstreamError, match="keeps ending"):
        wait_until_caught_up(
            FakeOffsets({(UNDERLYING, 0): 1}),
            check_workers=check,
            patience=FakeClock().patience(),
        )


class FakeGroups(GroupOffsets):
    """Groups whose members leave one after the other, one at each look."""

    def __init__(self, members: dict[str, list[str]]) -> None:
        self.left = members

    def members(self, group: str) -> list[str]:
        found = list(self.left[group])
        self.left[group] = self.left[group][1:]
        return found


def test_stopped_workers_are_waited_for_until_their_sessions_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept: list[float] = []
    monkeypatch.setattr("time.sleep", slept.append)
    settings, lines = Settings(tmp_path, session_timeout_ms=2_000), list[str]()
    groups = FakeGroups({"latest": ["a", "b"], "history": []})
    assert groups.await_departure(["latest", "history"], settings, lines.append) == {}
    assert lines == ["waiting up to 6 s for sessions of stopped workers to end"]
    assert len(slept) == 2


def test_groups_that_keep_their_members_are_returned_with_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now_s = iter(range(0, 1_000, 5))
    monkeypatch.setattr("time.monotonic", lambda: float(next(now_s)))
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    groups = FakeGroups({"latest": ["a"] * 50, "history": []})
    found = groups.await_departure(["latest", "history"], Settings(tmp_path), lambda text: None)
    assert list(found) == ["latest"]
