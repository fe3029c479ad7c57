"""What a fetch is made of, from what librdkafka gives."""

from __future__ import annotations

import logging
from types import SimpleNamespace
from typing import Any, cast

import pytest
from confluent_kafka import KafkaError, Message
from faust.types import TP

from optionstream.streams.engine import reader
from optionstream.streams.engine.reader import Fetch, FetchReader, by_partition


class _Message:
    """The part of a client's message that is looked at."""

    def __init__(
        self,
        topic: str,
        partition: int,
        offset: int,
        error: KafkaError | None = None,
        padding: int = 0,
    ) -> None:
        self._place = topic, partition, offset
        self._error = error
        self._padding = b" " * padding

    def topic(self) -> str:
        return "".join(self._place[0])  # the client makes a new text each time

    def partition(self) -> int:
        return self._place[1]

    def offset(self) -> int:
        return self._place[2]

    def timestamp(self) -> tuple[int, int]:
        return 1, 1_000 + self._place[2]

    def key(self) -> bytes:
        return b"NIFTY"

    def value(self) -> bytes:
        return f"{self._place[0]}/{self._place[1]}/{self._place[2]}".encode() + self._padding

    def headers(self) -> list[tuple[str, bytes]] | None:
        return None

    def error(self) -> KafkaError | None:
        return self._error


def _offsets(*messages: _Message) -> dict[TP, list[int]]:
    found = by_partition(cast("list[Message]", list(messages)))
    return {at: [record.offset for record in records] for at, records in found.items()}


def test_records_keep_their_order_however_partitions_alternate() -> None:
    found = _offsets(
        _Message("ticks", 0, 5),
        _Message("ticks", 0, 6),
        _Message("ticks", 1, 9),
        _Message("chains", 1, 2),
        _Message("ticks", 0, 7),
        _Message("ticks", 1, 10),
    )
    assert found == {TP("ticks", 0): [5, 6, 7], TP("ticks", 1): [9, 10], TP("chains", 1): [2]}


def test_a_record_has_all_that_the_message_had() -> None:
    records: Any = by_partition(cast("list[Message]", [_Message("ticks", 3, 8)]))[TP("ticks", 3)]
    (record,) = records
    assert (record.offset, record.timestamp) == (8, 1_008)
    assert (record.key, record.value, record.headers) == (b"NIFTY", b"ticks/3/8", ())


def test_an_error_goes_to_the_log_and_parts_no_records(caplog: pytest.LogCaptureFixture) -> None:
    broken = _Message("ticks", 0, 0, KafkaError(KafkaError._PARTITION_EOF))
    with caplog.at_level(logging.WARNING):
        found = _offsets(_Message("ticks", 0, 1), broken, _Message("ticks", 0, 2))
    assert found == {TP("ticks", 0): [1, 2]}
    assert "reading ticks" in caplog.text


def test_nothing_is_no_fetch() -> None:
    assert _offsets() == {}


class _Consumer:
    """Has one record at a time."""

    def __init__(self, padding: int) -> None:
        self._padding = padding

    def poll(self, _: float) -> _Message:
        return _Message("ticks", 0, 1, padding=self._padding)

    def consume(self, *_: Any) -> list[_Message]:
        return []


@pytest.mark.parametrize(("padding", "pauses"), [(0, [0.012]), (64 << 10, [])])
def test_only_a_live_fetch_is_followed_by_a_pause(
    monkeypatch: pytest.MonkeyPatch, padding: int, pauses: list[float]
) -> None:
    slept: list[float] = []
    delivered: list[Fetch] = []
    monkeypatch.setattr(reader.time, "sleep", slept.append)
    reading = FetchReader(
        "k:1", "g", deliver=delivered.append, failed=slept.append, most_waiting=2, gather_ms=2
    )
    reading._pace = SimpleNamespace(pause_s=lambda: 0.012)  # type: ignore[assignment]
    reading._bring(cast("Any", _Consumer(padding)))
    assert len(delivered) == 1
    assert slept == pauses
