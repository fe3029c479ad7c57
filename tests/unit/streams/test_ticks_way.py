"""One tick through both workers, meeting the stations of docs/architecture.md in their order.

The code is the real one, Faust's agent and group apart; fakes stand where clients would be made.
"""

from __future__ import annotations

import asyncio
import re
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from types import FrameType, SimpleNamespace
from typing import Any

import faust
import pytest
from confluent_kafka import TopicPartition
from faust.types import TP
from prometheus_client import CollectorRegistry

from optionstream.schemas import codec
from optionstream.schemas.settings import Settings
from optionstream.schemas.topics import OHLC, STATE_TOPIC_OF, UNDERLYING, Namespace
from optionstream.streams.core.intake import Source
from optionstream.streams.core.rules import Rules
from optionstream.streams.core.ticks.partition import TickPartition
from optionstream.streams.engine import outbox as outbox_module
from optionstream.streams.engine.checkpoint import Checkpoint
from optionstream.streams.engine.lane import Lane, LaneOptions
from optionstream.streams.engine.metrics import EngineMetrics
from optionstream.streams.engine.outbox import Outbox
from optionstream.streams.engine.state_topic import Restored
from optionstream.streams.process import WorkerConfig
from optionstream.streams.sinks.latest import sink as latest_sink
from optionstream.streams.sinks.latest.sink import GROUP, LatestSink
from optionstream.streams.sinks.loop import consumer as sink_consumer
from optionstream.streams.sinks.loop.consumer import SinkWorker
from optionstream.streams.sinks.loop.contract import LoopOptions
from tests.harness.records import frame

ROOT = Path(__file__).resolve().parents[3]
SPACE = Namespace("test")
CONFIG = WorkerConfig("k:1", "m", "r", SPACE, Settings(data_dir=Path("unused")))
TICKS = TP(SPACE.topic(UNDERLYING), 0)

Station = tuple[str, str]
"""File below the repository's root, and the function's qualified name."""


def stations() -> list[Station]:
    page = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    section = page.split("## A tick's way\n")[1].split("\n## ")[0]
    rows = re.findall(r"^\| (\d+) \| `([^`]+)` \| `([^`]+)` \| [^|]+ \|$", section, re.MULTILINE)
    assert [int(number) for number, *_ in rows] == list(range(1, len(rows) + 1))
    return [(file, function) for _, file, function in rows]


@contextmanager
def first_calls() -> Iterator[list[Station]]:
    """The functions of the product in the order of their first call, in all threads."""
    seen: dict[Station, None] = {}
    called: list[Station] = []

    def note(frame: FrameType, event: str, _: Any) -> None:
        if event == "call" and "/streams/" in (name := frame.f_code.co_filename):
            file = "streams/" + name.rpartition("/streams/")[2]
            seen.setdefault((file, frame.f_code.co_qualname))

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        yield called
    finally:
        sys.setprofile(before)
        called += seen


class Message:
    """A consumed record, as a client hands it over."""

    def __init__(self, topic: str, key: bytes, value: bytes, headers: list[Any]) -> None:
        self._fields = {"topic": topic, "key": key, "value": value, "headers": headers}
        self._fields |= {"partition": 0, "offset": 0, "error": None, "timestamp": (1, 0)}

    def __getattr__(self, name: str) -> Callable[[], Any]:
        return lambda: self._fields[name]


class Producer:
    """Delivers what it is given at the next poll."""

    def __init__(self, _: Any) -> None:
        self.sent: list[Message] = []
        self._reports: list[Callable[[], None]] = []

    def produce(self, topic: str, value: bytes, key: bytes, partition: int, **more: Any) -> None:
        message = Message(topic, key, value, more.get("headers", []))
        self.sent.append(message)
        self._reports.append(lambda: more["on_delivery"](None, message))

    def poll(self, _: float) -> None:
        reports, self._reports = self._reports, []
        for report in reports:
            report()

    def __len__(self) -> int:
        return len(self._reports)


class Consumer:
    """Gives one partition of each topic, then the records, one a poll."""

    records: tuple[Message, ...] = ()

    def __init__(self, _: Any = None) -> None:
        self._waiting = list(self.records)
        self._on_assign: Callable[..., None] | None = None

    def subscribe(self, topics: list[str], on_assign: Callable[..., None], **_: Any) -> None:
        self._given, self._on_assign = [TopicPartition(one, 0) for one in topics], on_assign

    def poll(self, _: float) -> Message | None:
        if self._on_assign is not None:
            on_assign, self._on_assign = self._on_assign, None
            on_assign(self, self._given)
            return None
        return self._waiting.pop(0) if self._waiting else None

    def consume(self, *_: Any) -> list[Message]:
        return []

    def committed(self, given: list[TopicPartition], timeout: float) -> list[TopicPartition]:
        return given

    def get_watermark_offsets(self, *_: Any, **__: Any) -> tuple[int, int]:
        return 0, 1

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *_, **__: None


class Admin:
    """Knows every topic, with one partition."""

    def __init__(self, _: Any) -> None:
        pass

    def describe_topics(self, asked: Any, **_: Any) -> Mapping[str, Future[Any]]:
        futures: dict[str, Future[Any]] = {}
        for name in asked.topic_names:
            futures[name] = Future()
            futures[name].set_result(SimpleNamespace(topic_id="id", partitions=[0]))
        return futures


class Redis:
    """Notes what the script is asked to write, and stops the worker then."""

    def __init__(self, stop: threading.Event) -> None:
        self.keys: list[str] = []
        self._stop = stop
        self._stored: dict[str, str] = {}

    def ping(self) -> None:
        pass

    def hset(self, _: str, mapping: dict[str, str]) -> None:
        self._stored |= mapping

    def hmget(self, _: str, fields: list[str]) -> list[bytes | None]:
        return [None if (at := self._stored.get(one)) is None else at.encode() for one in fields]

    def pipeline(self, **_: Any) -> Redis:
        return self

    def evalsha(self, _: str, count: int, *keys: Any) -> None:
        self.keys += keys[:count]

    def execute(self, **_: Any) -> list[int]:
        if self.keys[1:]:
            self._stop.set()
        return [1]


class State:
    """No state yet."""

    def restore(self, source: Source) -> tuple[str, Restored]:
        return "id", Restored()

    def next_offset(self, source: Source, offset: int) -> int | None:
        return offset


async def analyse(record: Message, monkeypatch: pytest.MonkeyPatch) -> list[Message]:
    """What the analytics worker sends after one record."""
    monkeypatch.setattr(outbox_module, "Producer", Producer)
    outbox = Outbox(CONFIG.kafka)
    checkpoint = Checkpoint(
        send=outbox.send,
        topic=SPACE.topic,
        state_topics={base: SPACE.topic(name) for base, name in STATE_TOPIC_OF.items()},
        processor=lambda at: TickPartition(
            at, Rules.of(SPACE, CONFIG.settings), CONFIG.settings.partial_every_ms
        ),
        sources=lambda tp: Source(SPACE.base_topic(tp.topic), tp.partition, 1),
        state=State(),
        metrics=EngineMetrics(CollectorRegistry()),
        longest_sleep_s=60.0,
    )
    app = faust.App("way", broker="kafka://k:1", autodiscover=False, store="memory://")
    app.loop = asyncio.get_running_loop()
    lane = Lane(app, "way", CONFIG.kafka, LaneOptions("ticks", [TICKS.topic], 2))
    await checkpoint.restore([TICKS], -1)
    source: Any = Consumer()
    source._waiting = [record]
    lane.reader._bring(source)
    fetch = await anext(lane.fetches)
    checkpoint.begin(fetch.generation)
    checkpoint._generation = fetch.generation
    await checkpoint.take(fetch)
    await checkpoint.settle()
    producer: Any = outbox._producer
    return [one for one in producer.sent if one.topic() == SPACE.topic(OHLC)]


def store_latest(records: list[Message], monkeypatch: pytest.MonkeyPatch) -> Redis:
    """What the ``latest`` worker writes after these records."""
    stop = threading.Event()
    redis = Redis(stop)
    monkeypatch.setattr(latest_sink.redis, "Redis", SimpleNamespace(from_url=lambda **_: redis))
    monkeypatch.setattr(Consumer, "records", tuple(records))
    monkeypatch.setattr(sink_consumer, "Consumer", Consumer)
    monkeypatch.setattr(sink_consumer, "AdminClient", Admin)
    assert SinkWorker(CONFIG, GROUP, LatestSink(CONFIG), LoopOptions(), stop).run() == 0
    return redis


@pytest.mark.timeout(30)
def test_a_tick_meets_the_stations_of_the_page_in_their_order(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tick = frame(count=2)  # the first of a session waits for a second
    record = Message(TICKS.topic, b"NIFTY", codec.encode(tick), codec.headers_for(tick))
    with first_calls() as called:
        bars = asyncio.run(analyse(record, monkeypatch))
        assert bars, "the tick made no bar"
        redis = store_latest(bars[:1], monkeypatch)
    assert SPACE.redis("ohlc:NIFTY:1m") in redis.keys
    listed = stations()
    assert 6 < len(listed) <= 12
    missed = [one for one in listed if one not in called]
    assert missed == []
    assert sorted(listed, key=called.index) == listed
