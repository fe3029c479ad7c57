"""What a sink does not wait for: the broker's answers, and the documents of chains."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import pytest
from confluent_kafka import KafkaError, KafkaException

from optionstream.schemas.newer_wins import Entry, Moves, Scores
from optionstream.schemas.settings import Settings
from optionstream.schemas.topics import Namespace
from optionstream.streams.kafka.topic_ids import Topic
from optionstream.streams.process import WorkerConfig
from optionstream.streams.sinks.latest import sink as latest_sink
from optionstream.streams.sinks.latest.sink import LatestSink
from optionstream.streams.sinks.loop import beginning
from optionstream.streams.sinks.loop.beginning import TopicWatch
from optionstream.streams.sinks.loop.consumer import SinkWorker
from optionstream.streams.sinks.loop.contract import Assigned, StartAgain
from optionstream.streams.sinks.loop.held_back import HeldRecords
from tests.harness.records import bar, chain, frame

NOWHERE = WorkerConfig(
    kafka="127.0.0.1:1",
    mongo="mongodb://127.0.0.1:1",
    redis="redis://127.0.0.1:1",
    namespace=Namespace("test"),
    settings=Settings(data_dir=Path("unused")),
)


@pytest.fixture
def writes(monkeypatch: pytest.MonkeyPatch) -> list[tuple[list[str], list[str]]]:
    """Keys and index sets of each write."""
    made: list[tuple[list[str], list[str]]] = []

    def write(_: Any, entries: Sequence[Entry], index: Scores, moves: Moves) -> int:
        made.append(([entry.key.removeprefix("replay:test:") for entry in entries], list(index)))
        return len(entries)

    monkeypatch.setattr(latest_sink, "write_newer", write)
    return made


def test_ticks_and_bars_are_written_before_the_documents_of_chains_are_made(
    writes: list[tuple[list[str], list[str]]],
) -> None:
    sink = LatestSink(NOWHERE)
    for add, record in (("chain", chain(1)), ("bar", bar()), ("frame", frame())):
        getattr(sink._batch, f"add_{add}")(record)
    sink.flush_rows({})
    (first, no_index), (second, index) = writes
    assert first == ["latest:underlying:NIFTY", "ohlc:NIFTY:1m"]
    assert not no_index
    assert second[0].startswith("latest:chain:NIFTY:")
    assert index == ["replay:test:index:products", "replay:test:index:expiries:NIFTY"]


def test_without_a_chain_there_is_one_write(writes: list[tuple[list[str], list[str]]]) -> None:
    sink = LatestSink(NOWHERE)
    sink._batch.add_bar(bar())
    sink.flush_rows({})
    assert writes == [(["ohlc:NIFTY:1m"], ["replay:test:index:products"])]


class _Question:
    """Answers when it is told to: the topic was made anew."""

    arrived = False

    def __init__(self, *_: Any) -> None:
        pass

    def answered(self) -> bool:
        return self.arrived

    def answer(self) -> dict[str, Topic]:
        return {"ticks": Topic("ticks", "second", 1)}


def _watching(every_s: float) -> TopicWatch:
    watch = TopicWatch(cast("Any", None), every_s)
    watch.start([Assigned("ticks", Topic("ticks", "first", 1), 0)])
    watch._checked_s = -1e9
    return watch


def test_the_first_flush_after_the_broker_s_answer_uses_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(beginning, "Question", _Question)
    watch = _watching(1.0)
    watch.check()
    watch.check()
    monkeypatch.setattr(_Question, "arrived", True)
    with pytest.raises(StartAgain, match="ticks was recreated"):
        watch.check()
    watch = _watching(0.0)
    monkeypatch.setattr(_Question, "arrived", False)
    with pytest.raises(StartAgain, match="ticks was recreated"):
        watch.check()


def test_a_commit_that_the_broker_refuses_later_is_told_and_a_fatal_one_ends_the_worker(
    caplog: pytest.LogCaptureFixture,
) -> None:
    asking: SinkWorker = object.__new__(SinkWorker)
    asking._group = "latest"
    asking._on_commit(None, [])
    assert not caplog.records
    asking._on_commit(KafkaError(KafkaError.REBALANCE_IN_PROGRESS), [])
    assert "kafka:" in caplog.text
    for fatal in (KafkaError.FENCED_INSTANCE_ID, KafkaError._FATAL):
        with pytest.raises(KafkaException):
            asking._on_commit(KafkaError(fatal), [])


class _Consumer:
    """Has records at hand, and would sit out any time that it is given for more."""

    def __init__(self) -> None:
        self.asked: list[tuple[int, float]] = []

    def poll(self, timeout: float) -> str:
        return "first"

    def consume(self, most: int, timeout: float) -> list[str]:
        self.asked.append((most, timeout))
        return ["second", "third"]


def test_what_is_at_hand_is_taken_without_a_wait_for_more() -> None:
    fetching: Any = object.__new__(SinkWorker)
    fetching._consumer, fetching.generation, fetching._first_pending_s = _Consumer(), 1, None
    fetching._held = HeldRecords()
    assert fetching._fetch(500) == ["first", "second", "third"]
    assert fetching._consumer.asked == [(499, 0)]
