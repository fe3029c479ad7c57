"""Faust's Kafka transport, handing over whole fetches.

Stock Faust passes each record through conductor and stream with two tasks apiece, seeks to
committed offsets by itself and waits 1.5 s in each fetch. These subclasses put the records of a
fetch on one channel as they are, leave positions to our state and make fetches short.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from aiokafka import AIOKafkaConsumer
from aiokafka.consumer import fetcher
from aiokafka.consumer.fetcher import PartitionRecords
from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread, Consumer, Producer, Transport
from faust.types import TP

if TYPE_CHECKING:
    from optionstream.streams.engine.app import EngineApp

IDLE_FETCH = 1, 100
"""Least bytes and longest wait in ms of a fetch while nothing comes: the first record at once."""
BUSY_FETCH = 64 << 10, 4
"""The same after a fetch that brought several: what a fetch costs by itself is half of a fast
stream's cost, and every record would come alone. The broker gathers; records that waited here
would be joined by none, for the next fetch is asked for when they are taken."""
_IDLE_AFTER_S = 0.05
_LONGEST_WAIT_S = 1.0
_IDLE_WAIT_S = 0.05
_LAST_COMMIT_S = 5.0


@dataclass(frozen=True, slots=True)
class Fetch:
    """What one fetch brought: records by partition, and the group generation it belongs to."""

    generation: int
    records: Mapping[TP, list[Any]]
    at_hand_s: float = field(default_factory=time.monotonic)
    """When it came, by ``time.monotonic``."""


class PlainPartitionRecords(PartitionRecords):  # type: ignore[misc]
    """Hands over the parsed records as they are.

    aiokafka copies each into a dataclass of eleven fields, which costs as much as all our checks
    of a tick; the parsed record has what ``streams.core.intake.Incoming`` asks for.
    """

    def __iter__(self) -> Iterator[Any]:
        records: Iterator[Any] = self._records_iterator
        return records

    def _consumer_record(self, tp: Any, record: Any) -> Any:
        return record


class GatheringThread(AIOKafkaConsumerThread):
    """Fetches as ``IDLE_FETCH`` and ``BUSY_FETCH`` say. Faust hard-codes a wait of 1,500 ms, which
    delays every start and rebalance."""

    def _create_worker_consumer(self, transport: Any) -> AIOKafkaConsumer:
        fetcher.PartitionRecords = PlainPartitionRecords
        consumer = super()._create_worker_consumer(transport)
        consumer._fetch_min_bytes, consumer._fetch_max_wait_ms = IDLE_FETCH
        # As every other reader of ours: an aborted transaction of a foreign producer never was.
        consumer._isolation_level = "read_committed"
        return consumer

    async def _fetch_records(
        self,
        consumer: AIOKafkaConsumer,
        active_partitions: set[TP],
        timeout: float | None = None,
        max_records: int | None = None,
    ) -> Mapping[TP, list[Any]]:
        """Take what is there, and say how long the fetch that follows may gather: it is asked for
        as soon as the event loop has its turn, so between these lines nothing may be awaited."""
        records: Mapping[TP, list[Any]] = await super()._fetch_records(
            consumer, active_partitions, timeout, max_records
        )
        at = consumer._fetcher
        several = sum(map(len, records.values())) > 1
        at._fetch_min_bytes, at._fetch_max_wait_ms = BUSY_FETCH if several else IDLE_FETCH
        return records


class FetchConsumer(Consumer):
    """Puts whole fetches on the app's channel; resumes from our state, never from commits."""

    app: EngineApp

    def _new_consumer_thread(self) -> AIOKafkaConsumerThread:
        return GatheringThread(self, loop=self.loop, beacon=self.beacon)

    async def perform_seek(self) -> None:
        """Nothing: recovery alone sets positions."""

    async def _drain_messages(self, drainer: Any) -> None:
        app, wait_s = self.app, _LONGEST_WAIT_S
        try:
            while not (self.should_stop or drainer.should_stop):
                if not self.flow_active:
                    await self.wait_first(self.can_resume_flow.wait(), drainer._stopped.wait())
                    continue
                generation = app.consumer_generation_id
                active = self._get_active_partitions()
                if not active:
                    await asyncio.sleep(_IDLE_WAIT_S)
                    continue
                records = await self._getmany(active_partitions=active, timeout=wait_s)
                wait_s = _IDLE_AFTER_S if records else _LONGEST_WAIT_S
                if generation != app.consumer_generation_id:
                    await self._give_back(records)
                elif records and self.flow_active:
                    await self._hand_over(Fetch(generation, app.in_order(records)))
        except self.consumer_stopped_errors:
            if not app.should_stop:
                raise
        except asyncio.CancelledError:
            # Faust takes a fetcher that is cancelled during a rebalance for a crash.
            if not drainer.should_stop:
                raise

    async def _give_back(self, records: Mapping[TP, list[Any]]) -> None:
        """A rebalance has overtaken this fetch, which is of no generation then. It may have moved
        positions on that recovery had set already: back to where the state is."""
        assigned = self.assignment()
        applied = self.app.checkpoint.applied(records)
        positions = {tp: offset + 1 for tp, offset in applied.items() if tp in assigned}
        if positions:
            await self.seek_wait(positions)

    async def _hand_over(self, fetch: Fetch) -> None:
        """Wait for room, or drop the fetch when a rebalance empties the channel: that cancels who
        waits for room in it (not this task), and the fetch is of the generation that ends."""
        try:
            await self.app.hand_over(fetch)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise

    async def wait_empty(self) -> None:
        """Before partitions go: make durable what was applied.

        No commit here: while the group rebalances a commit waits for the rebalance, which waits
        for us. Nothing resumes from commits, so none is missed.
        """
        await self.app.checkpoint.settle()

    async def on_stop(self) -> None:
        """The last positions, for lag monitoring; the broker may be gone already."""
        await self.wait_empty()
        try:
            await asyncio.wait_for(self.commit(), timeout=_LAST_COMMIT_S)
        except TimeoutError:
            self.log.warning("the last positions were not committed in time")
        await super().on_stop()

    async def commit(self, topics: Any = None, start_new_transaction: bool = True) -> bool:
        """Commit what the last checkpoints reached: for lag monitoring only."""
        if self.app.rebalancing:
            return False
        assignment = self.assignment()
        offsets = {
            tp: offset
            for tp, offset in self.app.checkpoint.positions().items()
            if tp in assignment and self._committed_offset[tp] != offset
        }
        if not offsets:
            return False
        committed: bool = await self._commit(offsets)
        if committed:
            self._committed_offset.update(offsets)
        return committed


class IdempotentProducer(Producer):
    """Retries inside the client must neither repeat nor reorder."""

    def _settings_extra(self) -> Mapping[str, Any]:
        return {"acks": "all", "enable_idempotence": True}


class FetchTransport(Transport):
    Consumer = FetchConsumer
    Producer = IdempotentProducer
