"""When a server counts as ready: when it does its work, not when its port answers."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pymongo
import pytest
from confluent_kafka import KafkaError

from optionstream.deploy.stack import probes
from optionstream.deploy.stack.native_kafka import NativeKafka
from optionstream.schemas.settings import Settings


class _Mongo:
    """Answers ``hello`` as it was told to."""

    hello: dict[str, Any]

    def __class_getitem__(cls, _: Any) -> type[_Mongo]:
        return cls

    def __init__(self, *_: Any, **__: Any) -> None:
        self.admin = SimpleNamespace(command=lambda name: self.hello if name == "hello" else None)

    def __enter__(self) -> _Mongo:
        return self

    def __exit__(self, *_: object) -> None:
        pass


@pytest.mark.parametrize(
    ("hello", "problem"),
    [
        ({}, "not a replica set: history needs majority reads; start mongod with --replSet"),
        ({"setName": "rs0", "isWritablePrimary": False}, "no primary elected yet"),
        ({"setName": "rs0", "isWritablePrimary": True}, None),
    ],
)
def test_mongodb_is_ready_when_a_primary_says_hello(
    monkeypatch: pytest.MonkeyPatch, hello: dict[str, Any], problem: str | None
) -> None:
    monkeypatch.setattr(_Mongo, "hello", hello, raising=False)
    monkeypatch.setattr(pymongo, "MongoClient", _Mongo)
    assert probes.mongo_problem("mongodb://nowhere") == problem


class _Producer:
    """Its record is answered with ``outcome``."""

    outcome: KafkaError | None

    def __init__(self, config: dict[str, Any]) -> None:
        assert config["enable.idempotence"] is True

    def produce(self, *_: Any, on_delivery: Any) -> None:
        self._on_delivery = on_delivery

    def flush(self, _: float) -> int:
        self._on_delivery(self.outcome, None)
        return 0


@pytest.mark.parametrize("loading", [True, False])
def test_a_native_kafka_is_ready_when_it_takes_an_idempotent_record(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any, loading: bool
) -> None:
    outcome = KafkaError(KafkaError.COORDINATOR_LOAD_IN_PROGRESS) if loading else None
    cluster = SimpleNamespace(controller=1, nodes=[1])
    admin = SimpleNamespace(
        describe_cluster=lambda **_: SimpleNamespace(result=lambda **_: cluster)
    )
    monkeypatch.setattr(_Producer, "outcome", outcome, raising=False)
    monkeypatch.setattr(probes, "Producer", _Producer)
    monkeypatch.setattr(probes, "AdminClient", lambda _: admin)
    monkeypatch.setattr(probes, "accepts_connections", lambda *_: True)
    monkeypatch.setattr(probes, "_make_probe_topic", lambda _: None)
    monkeypatch.setattr(probes, "_groups_work", lambda _: None)
    problem = NativeKafka(tmp_path, Settings(tmp_path), {}).find_problem()
    assert (problem is not None and "idempotent" in problem) is loading
