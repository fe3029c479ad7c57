"""Faust's Kafka transport, left with the group: membership, rebalances, commits.

Stock Faust passes each record through conductor and stream with two tasks apiece and seeks to
committed offsets by itself. These subclasses fetch nothing: records come from a ``FetchReader``,
whole fetches at a time, from where the state is.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from faust.transport.drivers.aiokafka import (
    AIOKafkaConsumerThread,
    Consumer,
    Transport,
    ensure_aiokafka_TPset,
)
from faust.types import TP

from optionstream.streams.engine.reader import Fetch

if TYPE_CHECKING:
    from optionstream.streams.engine.app import EngineApp
    from optionstream.streams.engine.lane import Lane

_LAST_COMMIT_S = 5.0


class MemberThread(AIOKafkaConsumerThread):
    """A member of the group that fetches nothing."""

    async def on_partitions_assigned(self, assigned: set[TP], generation_id: int = 0) -> None:
        self._ensure_consumer().pause(*ensure_aiokafka_TPset(assigned))
        await super().on_partitions_assigned(assigned, generation_id)


class FetchConsumer(Consumer):
    """Puts whole fetches on the lanes' channels; resumes from our state, never from commits."""

    app: EngineApp

    def _new_consumer_thread(self) -> AIOKafkaConsumerThread:
        return MemberThread(self, loop=self.loop, beacon=self.beacon)

    async def perform_seek(self) -> None:
        """Nothing: recovery alone sets positions."""

    def verify_event_path(self, now: float, tp: TP) -> None:
        """Nothing: Faust would miss the fetches that it no longer makes."""

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        self.app.stop_reading()
        await super().on_partitions_revoked(revoked)

    async def _drain_messages(self, drainer: Any) -> None:
        """Hand over fetches, each lane's in their order; in a rebalance they wait, and are stale
        after it."""
        try:
            async with asyncio.TaskGroup() as lanes:
                for lane in self.app.lanes:
                    lanes.create_task(self._drain(lane, drainer))
        except asyncio.CancelledError:
            # Faust takes a fetcher that is cancelled during a rebalance for a crash.
            if not drainer.should_stop:
                raise

    async def _drain(self, lane: Lane, drainer: Any) -> None:
        while not (self.should_stop or drainer.should_stop):
            fetch = await lane.inbox.get()
            try:
                if not self.flow_active:
                    await self.can_resume_flow.wait()
                await self._hand_over(lane, fetch)
            finally:
                lane.reader.taken()

    async def _hand_over(self, lane: Lane, fetch: Fetch) -> None:
        """Wait for room, or drop the fetch when a rebalance empties the channel: that cancels who
        waits for room in it (not this task), and the fetch is of the generation that ends."""
        try:
            await lane.hand_over(fetch)
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


class FetchTransport(Transport):
    Consumer = FetchConsumer
