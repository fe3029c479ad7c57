"""What a broker says when something has just moved, and what it refuses."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from optionstream.schemas.errors import ServerUnavailable
from optionstream.schemas.topics import UNDERLYING, Namespace
from optionstream.streams.kafka.answers import NOT_YET, delivery_error, kafka_call
from optionstream.streams.kafka.topic_reader import TopicReader


class Answers:
    """Refusals in their order, then the answer."""

    def __init__(self, *codes: int) -> None:
        self._codes = list(codes)

    def __call__(self) -> str:
        if self._codes:
            raise KafkaException(KafkaError(self._codes.pop(0)))
        return "answer"


@pytest.mark.parametrize("code", sorted(NOT_YET))
def test_it_is_asked_again_while_a_leader_or_a_coordinator_moves(code: int) -> None:
    assert kafka_call(Answers(code, code)) == "answer"


def test_a_client_that_knows_a_newer_leader_than_the_broker_asks_again() -> None:
    assert kafka_call(Answers(KafkaError.UNKNOWN_LEADER_EPOCH)) == "answer"


def test_a_refusal_is_one_line_in_the_brokers_words() -> None:
    with pytest.raises(ServerUnavailable, match=r"^kafka: Broker: Topic authorization failed$"):
        kafka_call(Answers(KafkaError.TOPIC_AUTHORIZATION_FAILED))


def test_a_refusal_names_what_was_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    reader = reader_of(Moving(KafkaError.TOPIC_AUTHORIZATION_FAILED), monkeypatch)
    with pytest.raises(ServerUnavailable, match=r"^Kafka at localhost:1: Broker: Topic auth"):
        reader.bounds(UNDERLYING)


def test_silence_is_told_with_its_length() -> None:
    def ask() -> None:
        raise TimeoutError

    with pytest.raises(ServerUnavailable, match="no answer within 30 s"):
        kafka_call(ask)


@pytest.mark.parametrize("error", [None, KafkaError(KafkaError._MSG_TIMED_OUT)])
def test_what_has_an_offset_is_as_the_broker_says(error: KafkaError | None) -> None:
    message: Any = SimpleNamespace(offset=lambda: 0)
    assert delivery_error(error, message) is error


def test_an_acknowledgement_without_an_offset_is_an_error() -> None:
    message: Any = SimpleNamespace(offset=lambda: None)
    error = delivery_error(None, message)
    assert error is not None
    assert "perhaps not stored" in error.str()


class Listed:
    def __init__(self, error: KafkaError | None) -> None:
        self.error = error
        self.partitions = {1: None, 0: None}


class Moving:
    """A consumer's view of one topic whose metadata are ``errors``, one after the other."""

    def __init__(self, *errors: int | None) -> None:
        self._errors = list(errors)
        self.topics: dict[str, Listed] = {}

    def list_topics(self, name: str, timeout: float) -> Moving:
        code = self._errors.pop(0)
        self.topics[name] = Listed(None if code is None else KafkaError(code))
        return self

    def get_watermark_offsets(self, at: object, timeout: float) -> tuple[int, int]:
        return 3, 7


def reader_of(consumer: Moving, monkeypatch: pytest.MonkeyPatch) -> TopicReader:
    monkeypatch.setattr("optionstream.streams.kafka.topic_reader.Consumer", lambda _: consumer)
    return TopicReader("localhost:1", Namespace("sim"))


def test_a_topic_without_a_leader_yet_is_not_taken_for_an_empty_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reader = reader_of(Moving(KafkaError.LEADER_NOT_AVAILABLE, None), monkeypatch)
    assert reader.bounds(UNDERLYING) == {0: (3, 7), 1: (3, 7)}


def test_a_topic_that_does_not_exist_holds_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    reader = reader_of(Moving(KafkaError.UNKNOWN_TOPIC_OR_PART), monkeypatch)
    assert reader.bounds(UNDERLYING) == {}
