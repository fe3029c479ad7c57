"""What a publisher makes of the broker's answers, and that it waits for leaders."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException, TopicPartition

from optionstream.producers.kafka import leaders, publisher
from optionstream.producers.kafka.leaders import wait_for_leaders
from optionstream.producers.kafka.publisher import Publisher
from optionstream.schemas.errors import DeliveryError, ServerUnavailable
from optionstream.schemas.events import Heartbeat
from optionstream.schemas.topics import MARKET_TOPICS, Namespace

REPLAY = Namespace("monday")
BEAT = Heartbeat("NIFTY", "file", 1_767_671_100_000, 1_767_671_100_000)


@dataclass
class Report:
    """A delivered message, as librdkafka shows it."""

    at: str
    place: int | None

    def topic(self) -> str:
        return self.at

    def key(self) -> bytes:
        return b"NIFTY"

    def offset(self) -> int | None:
        return self.place


class Broker:
    """Acknowledges each record at ``place``."""

    place: int | None = 7

    def __init__(self, _: Any) -> None: ...

    def list_topics(self, timeout: float) -> Any:
        one = SimpleNamespace(partitions={0: None})
        return SimpleNamespace(topics={REPLAY.topic(name): one for name in MARKET_TOPICS})

    def produce(self, topic: str, *, on_delivery: Any, **_: Any) -> None:
        on_delivery(None, Report(topic, self.place))

    def poll(self, _: float) -> int:
        return 0

    def flush(self, _: float) -> int:
        return 0


class Leaders:
    """An administration client whose partitions refuse so many times before they answer."""

    def __init__(self, **refusals: int) -> None:
        self.left = refusals
        self.asked: list[list[str]] = []

    def list_offsets(
        self, wanted: Mapping[TopicPartition, Any], request_timeout: float
    ) -> dict[TopicPartition, Any]:
        self.asked.append([f"{at.topic}/{at.partition}" for at in wanted])
        return {at: self._answer(at.topic) for at in wanted}

    def _answer(self, topic: str) -> Future[Any]:
        answer: Future[Any] = Future()
        if self.left.get(topic, 0) > 0:
            self.left[topic] -= 1
            code = KafkaError.NOT_LEADER_FOR_PARTITION
            answer.set_exception(KafkaException(KafkaError(code)))
        else:
            answer.set_result(None)
        return answer


@pytest.fixture
def publishing(monkeypatch: pytest.MonkeyPatch) -> Publisher:
    monkeypatch.setattr(publisher, "Producer", Broker)
    monkeypatch.setattr(publisher, "AdminClient", lambda _: Leaders())
    return Publisher("localhost:1", REPLAY, allow_live=False)


def test_a_record_with_an_offset_is_delivered(publishing: Publisher) -> None:
    publishing.publish(BEAT)
    publishing.close()
    assert publishing.stats.delivered == 1


def test_a_record_acknowledged_without_an_offset_is_not(
    publishing: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Broker, "place", None)
    publishing.publish(BEAT)
    with pytest.raises(DeliveryError, match=r"key NIFTY: .*perhaps not stored"):
        publishing.close()
    assert publishing.stats.delivered == 0


def test_only_partitions_without_a_leader_are_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leaders, "_LOOK_AGAIN_S", 0.0)
    admin: Any = Leaders(b=2)
    wait_for_leaders(admin, {"a": 2, "b": 1}, 5.0)
    assert admin.asked == [["a/0", "a/1", "b/0"], ["b/0"], ["b/0"]]


def test_a_partition_that_stays_without_a_leader_is_named() -> None:
    admin: Any = Leaders(b=1_000_000)
    with pytest.raises(ServerUnavailable, match="no leader for b partition 0 within 0 s"):
        wait_for_leaders(admin, {"a": 1, "b": 1}, 0.0)


def test_silence_of_many_partitions_is_waited_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = SimpleNamespace(now=100.0, monotonic=lambda: clock.now)
    monkeypatch.setattr(leaders, "time", clock)

    class Silent(Future[Any]):
        def result(self, timeout: float | None = None) -> Any:
            clock.now += timeout or 0.0
            raise TimeoutError

    admin: Any = SimpleNamespace(
        list_offsets=lambda wanted, request_timeout: {at: Silent() for at in wanted}
    )
    with pytest.raises(ServerUnavailable, match=r"a partition 0 within 15 s \(no answer\)"):
        wait_for_leaders(admin, {"a": 60}, 15.0)
    assert clock.now == 115.0
