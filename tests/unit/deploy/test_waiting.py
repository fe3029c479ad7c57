"""Attempts until a deadline."""

from __future__ import annotations

import time

import pytest

from optionstream.deploy.waiting import attempts


class Clock:
    """Time that passes only in ``sleep``."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now_s = 100.0
        monkeypatch.setattr(time, "monotonic", lambda: self.now_s)
        monkeypatch.setattr(time, "sleep", self.sleep)

    def sleep(self, seconds: float) -> None:
        self.now_s += seconds


def test_attempts_are_made_at_once_and_a_last_time_after_the_deadline(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = Clock(monkeypatch)
    assert [clock.now_s for _ in attempts(2.5, 1.0)] == [100.0, 101.0, 102.0, 103.0]


def test_nothing_is_waited_for_after_the_last_attempt(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    for _ in attempts(60.0, 1.0):
        break
    assert clock.now_s == 100.0
    assert len(list(attempts(-1.0, 1.0))) == 1
    assert clock.now_s == 100.0
