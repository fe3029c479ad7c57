"""What a publisher makes of the broker's answers, and that it waits for leaders."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException, TopicPartition

from optionstream.producers import leaders, publisher
from optionstream.producers.leaders import wait_for_leaders
from optionstream.producers.publisher import Publisher
from optionstream.schemas.errors import DeliveryError, ServerUnavailable
from optionstream.schemas.events import Heartbeat
from optionstream.schemas.topics import MARKET_TOPICS, Namespace

REPLAY = Namespace("monday")
BEAT = Heartbeat("NIFTY", "file", 1_767_671_100_000, 1_767_671_100_000)


class Report(SimpleNamespace):
    """A delivered message, as librdkafka shows it."""

    def topic(self) -> str:
        return str(self.at)

    def key(self) -> bytes:
        return b"NIFTY"

    def offset(self) -> int | None:
        found: int | None = self.place
        return found


class Broker:
    """Acknowledges each record at ``place``."""

    place: int | None = 7

    def __init__(self, _: Any) -> None: ...

    def list_topics(self, timeout: float) -> Any:
        one = SimpleNamespace(partitions={0: None})
        return SimpleNamespace(topics={REPLAY.topic(name): one for name in MARKET_TOPICS})

    def produce(self, topic: str, *, on_delivery: Any, **_: Any) -> None:
        on_delivery(None, Report(at=topic, place=self.place))

    def poll(self, _: float) -> int:
        return 0

    def flush(self, _: float) -> int:
        return 0


class Leaders:
    """An administration client whose partitions refuse so many times before they answer."""

    def __init__(self, **refusals: int) -> None:
        self.left = refusals
        self.asked: list[list[str]] = []

    def list_offsets(self, wanted: Mapping[TopicPartition, Any]) -> dict[TopicPartition, Any]:
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
