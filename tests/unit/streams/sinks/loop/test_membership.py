"""A worker whom the group has forgotten is told from one that waits for the broker."""

from __future__ import annotations

from typing import Any

import pytest

from optionstream.streams.sinks.loop import consumer
from optionstream.streams.sinks.loop.consumer import SinkWorker
from optionstream.streams.sinks.loop.membership import PATIENCE_S, Membership


class Broker:
    """A broker that answers or not, and the time; counts the questions."""

    def __init__(self) -> None:
        self.answers, self.now_s, self.asked = True, 0.0, 0

    def __call__(self) -> bool:
        self.asked += 1
        return self.answers

    def later(self, membership: Membership, seconds: float) -> bool:
        self.now_s += seconds
        return membership.is_forgotten()


@pytest.fixture
def broker() -> Broker:
    return Broker()


@pytest.fixture
def membership(broker: Broker) -> Membership:
    made = Membership(broker, lambda: broker.now_s)
    made.note_waiting()
    return made


def test_forgotten_is_who_gets_nothing_from_a_broker_that_answers(
    broker: Broker, membership: Membership
) -> None:
    assert not broker.later(membership, PATIENCE_S - 1)
    assert not broker.asked
    assert not broker.later(membership, 1)
    assert not broker.later(membership, PATIENCE_S - 1)
    assert broker.later(membership, 1)
    assert broker.asked == 2


def test_a_broker_that_was_away_gets_the_whole_time_from_its_return(
    broker: Broker, membership: Membership
) -> None:
    broker.answers = False
    for _ in range(10):
        assert not broker.later(membership, PATIENCE_S)
    broker.answers = True
    assert not broker.later(membership, PATIENCE_S)
    assert broker.later(membership, PATIENCE_S)


def test_who_was_given_partitions_or_was_told_that_there_are_none_waits_no_more(
    broker: Broker, membership: Membership
) -> None:
    assert not broker.later(membership, PATIENCE_S)
    membership.note_given()
    assert not broker.later(membership, 100 * PATIENCE_S)
    membership.note_waiting()
    assert not broker.later(membership, PATIENCE_S)
    assert broker.later(membership, PATIENCE_S)


class _Forgotten:
    def is_forgotten(self) -> bool:
        return True


class _Ended(Exception):
    """What the process was ended for."""


def test_a_forgotten_worker_ends_its_process_and_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    def end(why: str) -> None:
        raise _Ended(why)

    monkeypatch.setattr(consumer, "end_process", end)
    forgotten: Any = object.__new__(SinkWorker)
    forgotten._membership, forgotten._group = _Forgotten(), "latest"
    with pytest.raises(_Ended, match="group latest does not take this worker back"):
        forgotten._step()
