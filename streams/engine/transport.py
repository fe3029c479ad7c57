"""Faust's Kafka transport, left with the group: membership, rebalances, commits.

Stock Faust passes each record through conductor and stream with two tasks apiece and seeks to
committed offsets by itself. These subclasses fetch nothing: records come from a ``FetchReader``,
whole fetches at a time, from where the state is.
"""

from __future__ import annotations

import asyncio
from typing import Any, cast

from faust.transport.drivers.aiokafka import (
    AIOKafkaConsumerThread,
    Consumer,
    Transport,
    ensure_aiokafka_TPset,
)
from faust.types import TP

from optionstream.streams.engine.ports import Engine

_LAST_COMMIT_S = 5.0


class MemberThread(AIOKafkaConsumerThread):
    """A member of the group that fetches nothing."""

    async def on_partitions_assigned(self, assigned: set[TP], generation_id: int = 0) -> None:
        self._ensure_consumer().pause(*ensure_aiokafka_TPset(assigned))
        await super().on_partitions_assigned(assigned, generation_id)


class FetchConsumer(Consumer):
    """A member for the lanes' readers; resumes from our state, never from commits."""

    @property
    def _engine(self) -> Engine:
        return cast(Engine, self.app)

    def _new_consumer_thread(self) -> AIOKafkaConsumerThread:
        return MemberThread(self, loop=self.loop, beacon=self.beacon)

    async def perform_seek(self) -> None:
        """Nothing: recovery alone sets positions."""

    def verify_event_path(self, now: float, tp: TP) -> None:
        """Nothing: Faust would miss the fetches that it no longer makes."""

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        self._engine.stop_reading()
        await super().on_partitions_revoked(revoked)

    async def _drain_messages(self, drainer: Any) -> None:
        """Nothing but wait to be stopped: agents take fetches from their lanes."""
        try:
            await drainer.wait_until_stopped()
        except asyncio.CancelledError:
            # Faust takes a fetcher that is cancelled during a rebalance for a crash.
            if not drainer.should_stop:
                raise

    async def wait_empty(self) -> None:
        """Before partitions go: make durable what was applied.

        No commit here: while the group rebalances a commit waits for the rebalance, which waits
        for us. Nothing resumes from commits, so none is missed.
        """
        await self._engine.checkpoint.settle()

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
            for tp, offset in self._engine.checkpoint.positions().items()
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
