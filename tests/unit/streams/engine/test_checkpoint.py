"""The order of a checkpoint: what is sent when, and what a failure in between leaves."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
import pytest
from faust.types import TP
from prometheus_client import CollectorRegistry

from optionstream.schemas.derived import Gap
from optionstream.schemas.topics import GAPS, UNDERLYING
from optionstream.streams.core.intake import Incoming, Output, Source
from optionstream.streams.engine import checkpoint
from optionstream.streams.engine.checkpoint import Checkpoint
from optionstream.streams.engine.metrics import EngineMetrics
from optionstream.streams.engine.reader import Fetch
from optionstream.streams.engine.slices import SLICE_S
from optionstream.streams.engine.state_topic import SNAPSHOT_KEY, Restored, Snapshot

AT, OTHER = TP("source", 0), TP("source", 1)
GENERATION = 3


@dataclass
class Record:
    offset: int
    value: bytes | None
    timestamp: int = 0
    key: bytes | None = b"k"
    headers: Sequence[tuple[str, bytes]] = ()


class Echo:
    """One output a record; all values are the hot part, ``block`` of the last goes to a segment."""

    slow_view = False

    def __init__(self) -> None:
        self.values: list[bytes] = []
        self.block: bytes | None = None

    def apply(self, records: Sequence[Incoming]) -> list[Output]:
        self.values += [record.value or b"" for record in records]
        self.block = self.values[-1]
        return [Output(GAPS, b"k", _gap(record.offset), 0) for record in records]

    def partials(self, *, quick: bool = False) -> list[Output]:
        if quick or not self.slow_view:
            return []
        return [Output(GAPS, b"view", _gap(len(self.values)), 0)]

    def hot(self) -> bytes:
        return b",".join(self.values)

    def take_segments(self) -> dict[str, bytes | None]:
        block, self.block = self.block, None
        return {} if block is None else {"last": block}

    def restore(self, hot: bytes, segments: Mapping[str, bytes]) -> None:
        self.values = hot.split(b",")


def _gap(offset: int) -> Gap:
    return Gap("NIFTY", "silence", "s", "", "", None, None, [], offset, offset + 1, 1, False, 1)


@dataclass
class Sent:
    topic: str
    key: bytes
    value: bytes | None
    delivered: asyncio.Future[int]

    @property
    def kind(self) -> str:
        if self.topic != "state":
            return "output"
        if self.value is None:
            return "deletion"
        return "snapshot" if self.key == SNAPSHOT_KEY else "segment"

    @property
    def snapshot(self) -> Snapshot:
        assert self.value is not None
        return msgspec.msgpack.decode(self.value, type=Snapshot)


@dataclass
class Broker:
    """Takes what is sent; delivers at once, or when told to. What kind it ``refuses``, and what
    kind it ``loses`` on the way, is told at once and later."""

    at_once: bool = True
    slow: bool = False
    """Gives the event loop a turn before it takes anything."""
    sent: list[Sent] = field(default_factory=list)
    refuses: str = ""
    loses: str = ""

    async def send(self, topic: str, key: bytes, value: bytes | None, *_: Any) -> Awaitable[int]:
        one = Sent(topic, key, value, asyncio.get_running_loop().create_future())
        if self.slow:
            await asyncio.sleep(0)
        if one.kind == self.refuses:
            raise RuntimeError(f"{one.kind} refused")
        self.sent.append(one)
        if one.kind == self.loses:
            one.delivered.set_exception(RuntimeError(f"{one.kind} lost"))
        if self.at_once:
            self.deliver()
        return one.delivered

    def deliver(self) -> None:
        for at, one in enumerate(self.sent):
            if not one.delivered.done():
                one.delivered.set_result(at)

    def kinds(self) -> list[str]:
        return [one.kind for one in self.sent]

    def snapshots(self) -> list[Snapshot]:
        return [one.snapshot for one in self.sent if one.kind == "snapshot"]


class NoState:
    def restore(self, source: Source) -> tuple[str, Restored]:
        return "topic", Restored()

    def next_offset(self, source: Source, offset: int) -> int | None:
        return offset


class Ended(BaseException):
    """The process would have ended."""


@pytest.fixture
def broker(monkeypatch: pytest.MonkeyPatch) -> Broker:
    def end(why: str) -> None:
        raise Ended(why)

    monkeypatch.setattr(checkpoint, "end_process", end)
    monkeypatch.setattr(checkpoint, "SETTLE_EVERY_S", math.inf)  # only when told to
    return Broker()


async def _ready(broker: Broker, *assigned: TP, slice_s: float = SLICE_S) -> Checkpoint:
    made = Checkpoint(
        send=broker.send,
        topic=str,
        state_topics={UNDERLYING: "state"},
        processor=lambda _: Echo(),
        sources=lambda tp: Source(UNDERLYING, tp.partition, 1),
        state=NoState(),
        metrics=EngineMetrics(CollectorRegistry()),
        longest_sleep_s=30.0,
        slice_s=slice_s,
    )
    await made.restore(assigned or [AT], GENERATION)
    made.begin(GENERATION)
    return made


async def _settling(broker: Broker) -> tuple[Checkpoint, asyncio.Task[None]]:
    """A checkpoint that waits for the delivery of one output and its segment."""
    made = await _ready(broker)
    broker.at_once = False
    await made.take(_fetch(0, b"a"))
    settling = asyncio.create_task(made.settle())
    await asyncio.sleep(0.01)
    return made, settling


async def _take_and_settle(made: Checkpoint, fetch: Fetch) -> None:
    await made.take(fetch)
    await made.settle()


def _fetch(first: int, *values: bytes, generation: int = GENERATION) -> Fetch:
    records = [Record(first + at, value) for at, value in enumerate(values)]
    return Fetch(generation, {AT: records})


def _run(steps: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(steps())


def test_outputs_leave_with_their_fetch_and_one_snapshot_covers_several(broker: Broker) -> None:
    async def steps() -> None:
        made = await _ready(broker)
        await made.take(_fetch(0, b"a", b"b"))
        await made.take(_fetch(2, b"c"))
        assert broker.kinds() == ["output"] * 3
        assert made.positions() == {}
        await made.settle()
        assert broker.kinds() == ["output"] * 3 + ["segment", "snapshot"]
        (snapshot,) = broker.snapshots()
        assert (snapshot.offset, snapshot.hot) == (2, b"a,b,c")
        assert made.positions() == {AT: 3}

    _run(steps)


def test_a_snapshot_follows_by_itself(broker: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoint, "SETTLE_EVERY_S", 0.0)

    async def steps() -> None:
        made = await _ready(broker)
        await made.take(_fetch(0, b"a"))
        async with asyncio.timeout(5):
            while not made.positions():
                await asyncio.sleep(0.005)

    _run(steps)
    assert [one.offset for one in broker.snapshots()] == [0]


def test_slow_views_leave_with_the_settling_and_before_its_snapshot(
    broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Echo, "slow_view", True)

    async def steps() -> None:
        made = await _ready(broker)
        await made.take(_fetch(0, b"a"))
        await made.take(_fetch(1, b"b"))
        assert broker.kinds() == ["output"] * 2
        await made.settle()
        assert broker.kinds() == ["output"] * 3 + ["segment", "snapshot"]
        assert [one.key for one in broker.sent[:3]] == [b"k", b"k", b"view"]

    _run(steps)


def test_a_snapshot_waits_for_outputs_and_segments_and_tells_the_moment_it_was_taken(
    broker: Broker,
) -> None:
    async def steps() -> None:
        made, settling = await _settling(broker)
        await made.take(_fetch(1, b"b"))  # goes on meanwhile
        assert broker.kinds() == ["output", "segment", "output"]
        broker.deliver()
        await asyncio.sleep(0.01)
        (snapshot,) = broker.snapshots()
        assert (snapshot.offset, snapshot.hot) == (0, b"a")
        assert made.positions() == {}
        broker.at_once = True
        broker.deliver()
        await settling
        assert made.positions()[AT] >= 1  # what was taken meanwhile may have followed already
        await made.settle()
        assert made.positions() == {AT: 2}

    _run(steps)
    last = broker.snapshots()[-1]
    assert (last.offset, last.hot) == (1, b"a,b")
    newest = max(at for at, one in enumerate(broker.sent) if one.kind == "segment")
    assert last.segments["last"][0] == newest


@dataclass(frozen=True)
class Failure:
    """A step of the second checkpoint fails; ``sent`` is all of that which was sent by then, and
    ``position`` the one that a commit may tell: the first checkpoint's, until a snapshot is
    durable."""

    name: str
    sent: list[str]
    position: int = 1
    refuses: str = ""
    loses: str = ""
    method: str = ""


FAILURES = [
    Failure("apply", [], method="apply"),
    Failure("quick views", [], method="quick_views"),
    Failure("output refused", [], refuses="output"),
    Failure("slow views", ["output"], method="slow_views"),
    Failure("copy of the state", ["output"], method="hot"),
    Failure("segments of the state", ["output"], method="take_segments"),
    Failure("segment refused", ["output"], refuses="segment"),
    Failure("output lost", ["output", "segment"], loses="output"),
    Failure("segment lost", ["output", "segment"], loses="segment"),
    Failure("snapshot refused", ["output", "segment"], refuses="snapshot"),
    Failure("snapshot lost", ["output", "segment", "snapshot"], loses="snapshot"),
    Failure("deletion refused", ["output", "segment", "snapshot"], 2, refuses="deletion"),
]


def break_processor(monkeypatch: pytest.MonkeyPatch, method: str) -> None:
    partials = Echo.partials

    def broken(*_: Any, **__: Any) -> Any:
        raise RuntimeError(f"{method} failed")

    def views(self: Echo, *, quick: bool = False) -> list[Output]:
        if method == ("quick_views" if quick else "slow_views"):
            broken()
        return partials(self, quick=quick)

    if method.endswith("views"):
        monkeypatch.setattr(Echo, "partials", views)
    elif method:
        monkeypatch.setattr(Echo, method, broken)


@pytest.mark.parametrize("failure", FAILURES, ids=lambda failure: failure.name)
def test_a_step_that_fails_ends_the_process_before_anything_that_follows_it(
    broker: Broker, monkeypatch: pytest.MonkeyPatch, failure: Failure
) -> None:
    async def steps() -> None:
        made = await _ready(broker)
        await made.take(_fetch(0, b"a"))
        await made.settle()
        before = len(broker.sent)
        broker.refuses, broker.loses = failure.refuses, failure.loses
        break_processor(monkeypatch, failure.method)
        with pytest.raises(Ended, match=r"failed|refused|lost"):
            await _take_and_settle(made, _fetch(1, b"b"))
        assert broker.kinds()[before:] == failure.sent
        assert made.positions() == {AT: failure.position}

    _run(steps)


def test_a_process_that_slept_too_long_ends_before_it_sends_anything(broker: Broker) -> None:
    async def steps() -> None:
        made = await _ready(broker)
        made._beat -= 31.0
        with pytest.raises(Ended, match="slept"):
            await made.take(_fetch(0, b"a"))
        assert broker.sent == []
        made.begin(GENERATION)  # awake again
        broker.at_once = False
        await made.take(_fetch(0, b"a"))
        settling = asyncio.create_task(made.settle())
        await asyncio.sleep(0.01)
        made._beat -= 31.0
        broker.at_once = True
        broker.deliver()
        with pytest.raises(Ended, match="slept"):
            await settling
        assert broker.snapshots() == []

    _run(steps)


LONG = [b"%d" % at for at in range(1_000)]
"""The records of a fetch of many slices."""


async def _taking(broker: Broker) -> tuple[Checkpoint, asyncio.Task[None]]:
    """A checkpoint in the middle of a long fetch."""
    made = await _ready(broker, slice_s=0.0)
    taking = asyncio.create_task(made.take(_fetch(0, *LONG)))
    await asyncio.sleep(0)
    return made, taking


def test_a_long_fetch_is_durable_slice_by_slice(broker: Broker) -> None:
    async def steps() -> None:
        made, taking = await _taking(broker)
        await made.settle()
        assert not taking.done()
        assert 0 < made.positions()[AT] < len(LONG)
        await taking
        await made.settle()
        assert made.positions() == {AT: len(LONG)}

    _run(steps)
    outputs = 0
    for one in broker.sent:
        if one.kind == "output":
            outputs += 1
        if one.kind == "snapshot":
            count = one.snapshot.offset + 1
            assert one.snapshot.hot == b",".join(LONG[:count])
            assert outputs >= count


def test_a_fetch_of_another_lane_waits_for_one_slice_of_a_long_one(broker: Broker) -> None:
    async def steps() -> None:
        made = await _ready(broker, AT, OTHER, slice_s=0.0)
        long = asyncio.create_task(made.take(_fetch(0, *LONG)))
        await asyncio.sleep(0)
        await made.take(Fetch(GENERATION, {OTHER: [Record(0, b"tick")]}))
        assert not long.done()
        assert 1 < len(broker.kinds()) < len(LONG)
        long.cancel()

    _run(steps)


def test_small_slices_are_applied_in_one_turn(broker: Broker) -> None:
    """Else a fetch of few records from each of many partitions waits for each of them."""

    async def steps() -> None:
        made = await _ready(broker, AT, OTHER, slice_s=60.0)
        both = Fetch(GENERATION, {AT: [Record(0, b"a")], OTHER: [Record(0, b"b")]})
        taking = asyncio.create_task(made.take(both))
        await asyncio.sleep(0)
        assert broker.kinds() == ["output"] * 2
        await taking

    _run(steps)


def test_the_rest_of_a_fetch_is_stale_after_a_rebalance(broker: Broker) -> None:
    async def steps() -> None:
        made, taking = await _taking(broker)
        await made.settle()
        assert await made.restore([AT], GENERATION + 1) == {AT: 0}  # NoState has nothing stored
        made.begin(GENERATION + 1)
        before = len(broker.sent)
        await taking
        assert broker.sent[before:] == []

    _run(steps)


def test_the_rest_of_a_fetch_is_stale_once_its_generation_ends_and_what_was_applied_is_settled(
    broker: Broker,
) -> None:
    async def steps() -> None:
        made, taking = await _taking(broker)
        made.end()
        before = broker.kinds().count("output")
        await taking
        await made.settle()
        assert broker.kinds().count("output") == before
        (snapshot,) = broker.snapshots()
        assert snapshot.offset == before - 1

    _run(steps)


def test_a_slice_that_was_cancelled_half_way_is_never_settled(broker: Broker) -> None:
    async def steps() -> None:
        made = await _ready(broker)
        await made.take(_fetch(0, b"a"))
        await made.settle()
        broker.slow = True
        taking = asyncio.create_task(made.take(_fetch(1, b"b", b"c")))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert broker.kinds().count("output") == 2  # one of the slice's two
        taking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await taking
        await made.settle()
        await made.take(_fetch(1, b"d"))  # of a generation that is over
        await made.settle()
        assert made.positions() == {AT: 1}

    _run(steps)
    assert [one.offset for one in broker.snapshots()] == [0]


def test_a_fetch_that_was_cancelled_between_slices_is_settled_so_far_and_never_skipped(
    broker: Broker,
) -> None:
    async def steps() -> None:
        made, taking = await _taking(broker)
        taking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await taking
        await made.settle()
        (snapshot,) = broker.snapshots()
        assert 0 <= snapshot.offset < 999
        assert len(snapshot.hot.split(b",")) == snapshot.offset + 1
        with pytest.raises(Ended, match="got 1000"):
            await made.take(_fetch(1_000, b"b"))

    _run(steps)


def test_a_settling_that_is_cancelled_still_ends(broker: Broker) -> None:
    async def steps() -> None:
        made, settling = await _settling(broker)
        settling.cancel()
        broker.at_once = True
        broker.deliver()
        await made.settle()
        assert made.positions() == {AT: 1}

    _run(steps)
    assert "last" in broker.snapshots()[0].segments


def test_what_was_not_settled_before_a_rebalance_comes_again(broker: Broker) -> None:
    async def steps() -> None:
        made = await _ready(broker)
        await made.take(_fetch(0, b"a"))
        assert await made.restore([AT], GENERATION + 1) == {AT: 0}
        made.begin(GENERATION + 1)
        await made.take(_fetch(0, b"a", generation=GENERATION))
        await made.take(_fetch(0, b"a", b"b", generation=GENERATION + 1))
        await made.settle()

    _run(steps)
    assert [(one.offset, one.hot) for one in broker.snapshots()] == [(1, b"a,b")]


def test_a_gap_before_the_fetch_ends_the_process(broker: Broker) -> None:
    async def steps() -> None:
        made = await _ready(broker)
        await made.take(_fetch(0, b"a"))
        with pytest.raises(Ended, match="expected offset 1, got 5"):
            await made.take(_fetch(5, b"b"))

    _run(steps)


def test_a_gap_that_the_log_has_too_is_passed_over_and_told(
    broker: Broker, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Marks of transactions and aborted records take offsets, and no reader gets them."""
    monkeypatch.setattr(NoState, "next_offset", lambda *_: 5)

    async def steps() -> None:
        made = await _ready(broker)
        await made.take(_fetch(0, b"a"))
        await made.take(_fetch(5, b"b"))
        await made.settle()
        assert made.positions() == {AT: 6}

    _run(steps)
    assert "no longer has records 1 to 4" in caplog.text
