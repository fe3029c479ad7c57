"""What a sink holds back so that the rest need not wait for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from confluent_kafka import Message

from optionstream.streams.sinks.loop.held_back import HeldRecords


class _Message:
    def __init__(self, topic: str, offset: int, partition: int = 0) -> None:
        self.at = topic, offset
        self.number = partition

    def topic(self) -> str:
        return self.at[0]

    def partition(self) -> int:
        return self.number


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def _messages(*at: tuple[str, int]) -> list[Message]:
    return cast("list[Message]", [_Message(*one) for one in at])


def _places(messages: Sequence[Message]) -> list[tuple[str, int]]:
    return [cast("Any", one).at for one in messages]


def test_without_topics_nothing_is_held() -> None:
    held = HeldRecords()
    assert _places(held.let_through(_messages(("chains", 1)))) == [("chains", 1)]
    assert held.due_in_s() == float("inf")


def test_the_first_goes_through_and_those_soon_after_it_go_together_after_the_others() -> None:
    clock = Clock()
    held = HeldRecords(["chains"], 0.025, clock)
    assert _places(held.let_through(_messages(("chains", 1), ("ticks", 1)))) == [
        ("ticks", 1),
        ("chains", 1),
    ]
    clock.now += 0.01
    assert _places(held.let_through(_messages(("chains", 2), ("ticks", 2)))) == [("ticks", 2)]
    assert 0.0 < held.due_in_s() <= 0.025
    assert _places(held.let_through(_messages(("chains", 3)))) == []
    clock.now += 0.02
    assert held.due_in_s() == 0.0
    assert _places(held.let_through([])) == [("chains", 2), ("chains", 3)]
    assert held.due_in_s() == float("inf")


def test_partitions_go_one_after_the_other_with_others_between_them() -> None:
    clock = Clock()
    held = HeldRecords(["chains"], 0.1, clock)
    held.let_through(_messages(("chains", 0)))
    of_two = [_Message("chains", at, partition=at % 2) for at in range(1, 5)]
    assert not held.let_through(cast("list[Message]", of_two))
    clock.now += 0.1
    assert _places(held.let_through(_messages(("ticks", 1)))) == [
        ("ticks", 1),
        ("chains", 1),
        ("chains", 3),
    ]
    assert held.due_in_s() == 0.0
    late = _messages(("ticks", 2), ("chains", 5))
    assert _places(held.let_through(late)) == [("ticks", 2), ("chains", 2), ("chains", 4)]
    assert 0.0 < held.due_in_s() <= 0.1
    clock.now += 0.1
    assert _places(held.let_through([])) == [("chains", 5)]


def test_nothing_overtakes_what_is_going() -> None:
    clock = Clock()
    held = HeldRecords(["chains"], 0.1, clock)
    held.let_through(_messages(("chains", 0)))
    held.let_through(cast("list[Message]", [_Message("chains", 1), _Message("chains", 1, 1)]))
    clock.now += 0.1
    assert _places(held.let_through([])) == [("chains", 1)]
    many = cast("list[Message]", [_Message("chains", at, 1) for at in range(2, 200)])
    assert _places(held.let_through(many)) == [("chains", at) for at in range(1, 200)]


def test_many_at_once_are_not_held() -> None:
    clock = Clock()
    held = HeldRecords(["chains"], 0.025, clock)
    held.let_through(_messages(("chains", 0)))
    many = _messages(*(("chains", at) for at in range(1, 200)))
    assert _places(held.let_through(many)) == [("chains", at) for at in range(1, 200)]


def test_what_is_dropped_does_not_come_again() -> None:
    clock = Clock()
    held = HeldRecords(["chains"], 0.025, clock)
    held.let_through(_messages(("chains", 0)))
    held.let_through(_messages(("chains", 1)))
    held.drop_all()
    clock.now += 1.0
    assert list(held.let_through([])) == []
    assert held.take_all() == []
