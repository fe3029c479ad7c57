"""What stock Faust does that loses data does not come back: real Faust objects, without a broker.

Each test is named in the table of docs/adr/0003. The app is the worker's own; what only a broker
shows is in tests/server.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from multiprocessing import get_context
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import faust
import pytest
from faust.events import Event
from faust.transport.consumer import ConsumerThread
from faust.transport.drivers.aiokafka import Consumer
from faust.types import TP, Message, ProcessingGuarantee
from prometheus_client import CollectorRegistry

from optionstream.schemas.connections import batched_fetches
from optionstream.schemas.settings import Settings
from optionstream.schemas.topics import MARKET_TOPICS, OPTION_CHAIN, UNDERLYING, Namespace
from optionstream.streams.analytics import worker
from optionstream.streams.core.intake import Source
from optionstream.streams.core.ticks.partition import TickPartition
from optionstream.streams.engine import checkpoint, outbox, reader
from optionstream.streams.engine.app import EngineApp
from optionstream.streams.engine.lane import FETCHES_WAITING
from optionstream.streams.engine.metrics import EngineMetrics
from optionstream.streams.engine.reader import Fetch
from optionstream.streams.engine.recovery import StateRecovery, StateTableManager
from optionstream.streams.engine.state_topic import Restored, Snapshot
from optionstream.streams.engine.transport import FetchTransport
from optionstream.streams.process import EXIT_RESTART, WorkerConfig

GENERATION = 3
NAMESPACE = Namespace.parse("traps")
AT = TP(NAMESPACE.topic(UNDERLYING), 0)
LONGEST_S = 5

MakeApp = Callable[..., Any]
"""An ``EngineApp``; Faust's types do not know the classes that it is made of."""
Take = Callable[..., Awaitable[None]]


class Stored:
    """State that says to go on after ``offset``; nothing when it is None."""

    def __init__(self, offset: int | None) -> None:
        self._offset = offset

    def restore(self, source: Source) -> tuple[str, Restored]:
        if self._offset is None:
            return "topic", Restored()
        return "topic", Restored(Snapshot(1, "topic", self._offset, b"", {}))

    def next_offset(self, source: Source, offset: int) -> int | None:
        return offset


REAL_END = checkpoint.end_process


class Ended(BaseException):
    """The process would have ended."""


def end(why: str) -> None:
    raise Ended(why)


@pytest.fixture
def make_app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MakeApp:
    """The worker's app, in a running event loop; ``offset`` is what its state reflects."""
    monkeypatch.setattr(worker, "EngineMetrics", lambda: EngineMetrics(CollectorRegistry()))
    monkeypatch.setattr(checkpoint, "end_process", end)
    settings = Settings(data_dir=tmp_path / "not" / "there" / "yet")

    def make(offset: int | None = None) -> EngineApp:
        state: Any = Stored(offset)
        nowhere = "127.0.0.1:1"
        config = WorkerConfig(nowhere, "", "", NAMESPACE, settings)
        return worker.build_app(config, state, 1)

    return make


def run(steps: Callable[[], Coroutine[Any, Any, None]]) -> None:
    async def in_time() -> None:
        async with asyncio.timeout(LONGEST_S):
            await steps()

    asyncio.run(in_time())


async def nothing(*_: Any, **__: Any) -> None:
    """Stands for what needs a broker."""


async def refused(*_: Any, **__: Any) -> None:
    raise AssertionError("this must not be asked for")


def never(*_: Any) -> Any:
    raise AssertionError("this must not happen")


async def several_turns() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


def message(offset: int) -> Any:
    return Message(AT.topic, AT.partition, offset, 0.0, 0, {}, b"k", b"v", None, tp=AT)


@asynccontextmanager
async def reading(app: Any, take: Take) -> AsyncIterator[None]:
    """The worker's agent at work, with something else in the place of the checkpoint."""
    app.checkpoint.take = take
    app.flow_control.resume()
    agents = list(app.agents.values())
    for agent in agents:
        await agent.start()
    try:
        yield
    finally:
        for agent in agents:
            await agent.stop()  # else the loop cannot be closed


# -- what the app is made of ----------------------------------------------------------------------


def test_an_agent_a_lane_reads_whole_fetches_from_memory_and_there_are_no_tables(
    make_app: MakeApp,
) -> None:
    """No event to acknowledge, no ``take()``, no changelog, no windows by the wall clock."""

    async def steps() -> None:
        app = make_app()
        for lane, agent in zip(app.lanes, app.agents.values(), strict=True):
            assert agent.channel is lane.fetches
            assert agent.concurrency == 1
        assert not app.tables
        assert not app.tables.changelog_topics
        taken: list[Fetch] = []

        async def take(fetch: Fetch) -> None:
            taken.append(fetch)

        fetch = Fetch(GENERATION, {AT: [object()] * 5_000})
        async with reading(app, take):
            for lane in app.lanes:
                lane._deliver(fetch)
                while not taken:
                    await asyncio.sleep(0)
                assert taken.pop() is fetch

    run(steps)


def test_each_lane_reads_its_own_partitions_and_every_source_topic_has_one(
    make_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def steps() -> None:
        app = make_app()
        topics = [name for lane in app.lanes for name in lane.topics]
        assert sorted(topics) == sorted(NAMESPACE.topic(base) for base in MARKET_TOPICS)
        told: list[tuple[int, dict[TP, int]]] = []
        for lane in app.lanes:
            monkeypatch.setattr(lane.reader, "read_from", lambda *task: told.append(task))
        chains = TP(NAMESPACE.topic(OPTION_CHAIN), 0)
        app.read_from(GENERATION, {AT: 5, chains: 7})
        assert told == [(GENERATION, {AT: 5}), (GENERATION, {chains: 7})]

    run(steps)


def test_what_faust_starts_has_no_web_server_and_no_transactions(make_app: MakeApp) -> None:
    async def steps() -> None:
        app = make_app()
        assert app.conf.processing_guarantee is ProcessingGuarantee.AT_LEAST_ONCE
        assert not app.in_transaction
        started = [type(service).__name__ for service in app.boot_strategy.server()]
        assert "FetchConsumer" in started
        assert not [name for name in started if "Web" in name]
        assert not app.boot_strategy._should_enable_web()

    run(steps)


def test_the_consumer_is_a_static_member_that_fetches_nothing_and_commits_nothing_by_itself(
    make_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def steps() -> None:
        app = make_app()
        assert isinstance(app.transport, FetchTransport)
        thread = app.consumer._thread
        made = thread._create_worker_consumer(app.transport)
        assert made._group_instance_id == "analytics-1"
        assert made._enable_auto_commit is False
        assert made._max_poll_interval_ms > 365 * 86_400_000  # nobody will ask it for records
        made._closed = True  # it was never started
        paused: list[Any] = []
        member = SimpleNamespace(pause=lambda *tps: paused.extend(tps))
        monkeypatch.setattr(thread, "_ensure_consumer", lambda: member)
        monkeypatch.setattr(ConsumerThread, "on_partitions_assigned", nothing)
        await thread.on_partitions_assigned({AT}, GENERATION)
        assert [tuple(tp) for tp in paused] == [tuple(AT)]

    run(steps)


def test_no_request_for_records_stays_long() -> None:
    for gather_ms in (2, 10, 100):
        reads = batched_fetches(gather_ms)
        assert reads["fetch.queue.backoff.ms"] == gather_ms
        assert gather_ms <= reads["fetch.wait.max.ms"] <= min(100, 5 * gather_ms)


def test_records_are_read_and_sent_as_exactness_asks() -> None:
    reads, sends = reader._settings("k:1", "g", 4), outbox._settings("k:1")
    assert reads["fetch.wait.max.ms"] <= 100
    assert reads["isolation.level"] == "read_committed"
    assert reads["auto.offset.reset"] == "earliest"
    assert reads["enable.auto.commit"] is False
    assert sends["enable.idempotence"] is True
    assert sends["acks"] == "all"
    assert "transactional.id" not in sends


def test_the_data_folder_is_made_with_its_parents_and_topics_without_an_agent_are_subscribed(
    make_app: MakeApp,
) -> None:
    async def steps() -> None:
        app = make_app()
        assert app.conf.datadir.is_dir()
        await app.on_start()
        wanted = {NAMESPACE.topic(name) for name in MARKET_TOPICS}
        assert {name for topic in app.topics for name in topic.topics} == wanted
        assert {topic.value_type for topic in app.topics} == {bytes}

    run(steps)


def test_the_table_manager_starts_without_a_second_of_sleep(
    make_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def steps() -> None:
        app = make_app()
        assert isinstance(app.tables, StateTableManager)
        assert isinstance(app.tables.recovery, StateRecovery)
        monkeypatch.setattr(app.tables, "sleep", refused)
        monkeypatch.setattr(app.consumer, "assignment", set)
        started: list[bool] = []

        async def start() -> None:
            started.append(True)

        monkeypatch.setattr(app.tables.recovery, "start", start)
        await app.tables.on_start()
        assert started == [True]

    run(steps)


# -- acknowledging and committing -----------------------------------------------------------------


def test_a_record_that_cannot_be_applied_ends_the_process_and_nothing_is_acknowledged(
    make_app: MakeApp, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Stock Faust acknowledges it, and its supervisor starts the agent again behind it."""
    told = tmp_path / "told"
    told.touch()

    def tell(text: str) -> None:
        with told.open("a") as out:
            out.write(f"{text}\n")

    def apply(_: TickPartition, records: Any) -> Any:
        tell(f"applied {[record.offset for record in records]}")
        raise ValueError("cannot be applied")

    def ack(_: Any) -> None:
        tell("acknowledged")

    monkeypatch.setattr(TickPartition, "apply", apply)
    monkeypatch.setattr(Event, "ack", ack)
    monkeypatch.setattr(checkpoint, "end_process", REAL_END)

    async def steps() -> None:
        app = make_app()
        await app.checkpoint.restore([AT], GENERATION)
        app.checkpoint.begin(GENERATION)
        app.flow_control.resume()
        for agent in app.agents.values():
            await agent.start()
        for offset in range(3):
            fetch = Fetch(GENERATION, {AT: [SimpleNamespace(offset=offset)]})
            app.lanes[0]._deliver(fetch)
        await asyncio.Event().wait()

    child = get_context("fork").Process(target=run, args=[steps])
    # Clients of earlier tests have no threads in the child: it would crash collecting one.
    gc.freeze()
    child.start()
    gc.unfreeze()
    child.join(30)
    child.kill()
    assert child.exitcode == EXIT_RESTART
    assert told.read_text() == "applied [0]\n"


def test_a_commit_is_what_the_last_snapshot_reached_whatever_faust_takes_for_done(
    make_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    committed: list[dict[TP, int]] = []

    async def commit(offsets: dict[TP, int]) -> bool:
        committed.append(dict(offsets))
        return True

    async def steps() -> None:
        app = make_app(offset=30)
        consumer = app.consumer
        monkeypatch.setattr(consumer, "assignment", lambda: {AT})
        monkeypatch.setattr(consumer, "_commit", commit)
        await app.checkpoint.restore([AT], GENERATION)
        consumer._acked[AT] = [32, 33]  # and 31 is still on its way
        assert Consumer._new_offset(consumer, AT) == 34  # so far stock Faust would go
        app.rebalancing = True
        assert not await consumer.commit()  # it would wait for the rebalance, which waits for us
        app.rebalancing = False
        await consumer.commit()
        await consumer.commit()  # not again
        assert committed == [{AT: 31}]

    run(steps)


def test_before_partitions_go_the_running_checkpoint_is_settled_and_no_acknowledgement_awaited(
    make_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    settled: list[bool] = []

    async def settle() -> None:
        settled.append(True)

    async def steps() -> None:
        app = make_app()
        consumer = app.consumer
        waits_for_ever = message(0)
        consumer.track_message(waits_for_ever)
        assert consumer.unacked
        monkeypatch.setattr(app.checkpoint, "settle", settle)
        monkeypatch.setattr(consumer, "commit", refused)
        await consumer.wait_empty()
        assert settled == [True]

    run(steps)


# -- positions and rebalances ---------------------------------------------------------------------


@pytest.mark.parametrize(("offset", "position"), [(None, 0), (0, 1), (41, 42)])
def test_after_a_rebalance_positions_are_those_of_the_state_before_anything_flows(
    make_app: MakeApp, monkeypatch: pytest.MonkeyPatch, offset: int | None, position: int
) -> None:
    """Stock Faust resumes, then seeks, then empties the queues; it skips a committed 0 or none."""
    seen: list[str] = []

    async def steps() -> None:
        app = make_app(offset)
        consumer = app.consumer
        await stopped_by_a_rebalance(app, monkeypatch)

        def read_from(generation: int, positions: dict[TP, int]) -> None:
            assert (generation, positions) == (GENERATION, {AT: position})
            assert not consumer.flow_active
            assert not consumer._get_active_partitions()
            assert not app.flow_control.is_active()
            assert app.checkpoint._generation == GENERATION
            seen.append("reads")

        resume_flow = consumer.resume_flow

        def flows() -> None:
            assert app.checkpoint._generation == GENERATION
            assert app.flow_control.is_active()
            assert consumer._get_active_partitions() == {AT}
            seen.append("flows")
            resume_flow()

        monkeypatch.setattr(app, "read_from", read_from)
        monkeypatch.setattr(consumer, "resume_flow", flows)
        await app.tables.recovery._resume_streams(GENERATION)
        assert seen == ["reads", "flows"]
        assert consumer.flow_active
        assert not app.rebalancing
        assert app.checkpoint._partitions[AT].applied == position - 1

    run(steps)


async def stopped_by_a_rebalance(app: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """As Faust leaves its parts when it has been told the partitions of a new generation."""
    consumer = app.consumer
    monkeypatch.setattr(consumer, "assignment", lambda: {AT})
    monkeypatch.setattr(consumer, "perform_seek", refused)
    monkeypatch.setattr(app._fetcher, "maybe_start", nothing)
    app.consumer_generation_id = GENERATION
    app.on_rebalance_start()
    consumer.stop_flow()
    app.flow_control.suspend()
    consumer._set_active_tps({AT})
    consumer.pause_partitions({AT})


@pytest.mark.parametrize("during", ["announcing", "restoring"])
def test_a_newer_generation_ends_the_attempt_of_the_older(
    make_app: MakeApp, monkeypatch: pytest.MonkeyPatch, during: str
) -> None:
    async def steps() -> None:
        app = make_app(41)
        await stopped_by_a_rebalance(app, monkeypatch)
        restore = app.checkpoint.restore

        def moves_on(moment: str) -> None:
            if moment == during:
                app.consumer_generation_id = GENERATION + 1

        async def announced(*_: Any, **__: Any) -> None:
            moves_on("announcing")

        async def restored(*args: Any) -> Any:
            assert during != "announcing"
            moves_on("restoring")
            return await restore(*args)

        def read_from(*_: Any) -> None:
            raise AssertionError("of the older generation")

        monkeypatch.setattr(app.on_rebalance_complete, "send", announced)
        monkeypatch.setattr(app.checkpoint, "restore", restored)
        monkeypatch.setattr(app, "read_from", read_from)
        await app.tables.recovery._resume_streams(GENERATION)
        assert app.checkpoint._generation == -1
        assert not app.consumer.flow_active
        assert not app.flow_control.is_active()

    run(steps)


def test_nothing_but_recovery_sets_positions(
    make_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stock Faust goes back to committed offsets when a fetch returns while flow is off."""

    async def steps() -> None:
        app = make_app(41)
        consumer = app.consumer
        for name in ("seek_to_committed", "seek_wait", "seek", "seek_to_beginning"):
            monkeypatch.setattr(consumer._thread, name, refused)
        monkeypatch.setattr(consumer, "_get_active_partitions", lambda: {AT})
        stopped = asyncio.Event()
        drainer = SimpleNamespace(should_stop=False, wait_until_stopped=stopped.wait)
        consumer.resume_flow()

        async def getmany(**_: Any) -> dict[TP, list[str]]:
            consumer.stop_flow()
            return {AT: ["came while flow was stopped"]}

        monkeypatch.setattr(consumer, "_getmany", getmany)
        await consumer.perform_seek()
        draining = asyncio.create_task(consumer._drain_messages(drainer))
        await several_turns()
        assert not draining.done()
        assert consumer.flow_active
        stopped.set()
        await draining

    run(steps)


def test_a_fetcher_that_is_stopped_during_a_rebalance_has_not_crashed(make_app: MakeApp) -> None:
    async def steps() -> None:
        app = make_app()
        stopping = SimpleNamespace(should_stop=False, wait_until_stopped=asyncio.Event().wait)
        draining = asyncio.create_task(app.consumer._drain_messages(stopping))
        await several_turns()
        stopping.should_stop = True
        draining.cancel()
        await draining

    run(steps)


def test_fetches_wait_where_a_rebalance_empties_nothing_and_each_that_is_taken_makes_room(
    make_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def steps() -> None:
        app = make_app()
        ticks, _ = app.lanes
        room: list[Fetch] = []
        monkeypatch.setattr(ticks.reader, "taken", lambda: room.append(fetches[len(taken)]))
        fetches = [Fetch(GENERATION, {}) for _ in range(1 + FETCHES_WAITING)]
        taken: list[Fetch] = []
        go_on = asyncio.Semaphore(0)

        async def take(fetch: Fetch) -> None:
            taken.append(fetch)
            await go_on.acquire()

        async with reading(app, take):
            for fetch in fetches:
                ticks._deliver(fetch)
            await several_turns()
            app.flow_control.suspend()
            app.flow_control.resume()
            for number in range(1, 1 + len(fetches)):
                assert taken == room == fetches[:number]
                go_on.release()
                await several_turns()

    run(steps)


def test_what_was_read_before_partitions_went_is_not_applied(
    make_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its next owner may have read the state already."""

    async def steps() -> None:
        app = make_app()
        await app.checkpoint.restore([AT], GENERATION)
        app.checkpoint.begin(GENERATION)
        monkeypatch.setattr(Consumer, "on_partitions_revoked", nothing)
        monkeypatch.setattr(TickPartition, "apply", never)
        await app.consumer.on_partitions_revoked({AT})
        await app.checkpoint.take(Fetch(GENERATION, {AT: [SimpleNamespace(offset=0)]}))

    run(steps)


def test_a_worker_that_stops_applies_nothing_more(
    make_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its agents end after the last settling."""

    async def steps() -> None:
        app = make_app()
        app.checkpoint.begin(GENERATION)
        generations: list[int] = []

        async def stop(app: Any) -> None:
            generations.append(app.checkpoint._generation)

        monkeypatch.setattr(faust.App, "stop", stop)
        await app.stop()
        assert generations == [-1]

    run(steps)
