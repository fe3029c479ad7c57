"""The checkpoint: apply records in memory, send what follows, send the state, in that order.

From the first applied record until the snapshot is delivered, memory is ahead of what is durable. A
failure in between ends the process; its successor begins from the last snapshot and does the same
again. Outputs sent twice carry the same ids and versions, so readers see them once.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol
from uuid import uuid4

from faust.types import TP

from optionstream.schemas import codec
from optionstream.streams.core.intake import Incoming, Output, Source
from optionstream.streams.engine.metrics import EngineMetrics
from optionstream.streams.engine.state_topic import (
    NOTHING_APPLIED,
    SNAPSHOT_KEY,
    Restored,
    Snapshot,
    encode_snapshot,
    segment_key,
)
from optionstream.streams.engine.transport import Fetch

logger = logging.getLogger(__name__)

EXIT_RESTART = 70
"""Exit code of a process that must not go on; the supervisor starts it anew."""
_RECORDS_A_SLICE = 256

Send = Callable[..., Awaitable[Awaitable[Any]]]


class Processor(Protocol):
    """The pure logic of one source partition."""

    def apply(self, records: Sequence[Incoming]) -> list[Output]: ...
    def partials(self) -> list[Output]: ...
    def hot(self) -> bytes: ...
    def take_segments(self) -> dict[str, bytes | None]: ...
    def restore(self, hot: bytes, segments: Mapping[str, bytes]) -> None: ...


class StateSource(Protocol):
    """Where state is read from; called in a thread."""

    def restore(self, source: Source) -> tuple[str, Restored]:
        """Topic id of the source as it is now, and what is stored for its partition."""
        ...

    def next_offset(self, source: Source, offset: int) -> int | None:
        """Offset of the first record at or after ``offset`` in the source."""
        ...


@dataclass(slots=True)
class _Partition:
    source: Source
    processor: Processor
    generation: int
    topic_id: str
    offset: int
    segments: dict[str, tuple[int, str]] = field(default_factory=dict)
    """Name to offset in the state topic and record key."""
    stale: list[bytes] = field(default_factory=list)
    """Keys of versions that the last durable snapshot no longer needs."""


class Checkpoint:
    """Partitions owned by this worker, and the one way their state moves on."""

    def __init__(
        self,
        *,
        send: Send,
        topic: Callable[[str], str],
        state_topics: Mapping[str, str],
        processor: Callable[[Source], Processor],
        sources: Callable[[TP], Source],
        state: StateSource,
        metrics: EngineMetrics,
        longest_sleep_s: float,
    ) -> None:
        self._send = send
        self._topic = topic
        self._state_topics = state_topics
        self._processor = processor
        self._source = sources
        self._state = state
        self._metrics = metrics
        self._longest_sleep_s = longest_sleep_s
        self._partitions: dict[TP, _Partition] = {}
        self._generation = -1
        self._writer = uuid4().hex[:12]
        self._lock = asyncio.Lock()
        self._beat = time.monotonic()

    # -- rebalances -------------------------------------------------------------------------

    async def restore(self, assignment: Iterable[TP], generation: int) -> dict[TP, int]:
        """Read the state of newly assigned partitions; returns the next offset of each."""
        self._generation = -1
        async with self._lock:
            loop = asyncio.get_running_loop()
            restored: dict[TP, _Partition] = {}
            for tp in assignment:
                source = self._source(tp)
                try:
                    topic_id, stored = await loop.run_in_executor(None, self._state.restore, source)
                    restored[tp] = self._restored(source, topic_id, stored)
                except Exception as error:
                    end_process(f"state of {tp.topic} partition {tp.partition}: {error}")
            self._partitions = restored
        return {tp: partition.offset + 1 for tp, partition in restored.items()}

    def _restored(self, source: Source, topic_id: str, stored: Restored) -> _Partition:
        processor = self._processor(source)
        snapshot = stored.snapshot
        if snapshot is None:
            return _Partition(source, processor, 1, topic_id, NOTHING_APPLIED)
        if snapshot.offset != NOTHING_APPLIED and snapshot.topic_id != topic_id:
            logger.warning(
                "%s was made anew: partition %d begins generation %d",
                source.topic,
                source.partition,
                snapshot.generation + 1,
            )
            return _Partition(source, processor, snapshot.generation + 1, topic_id, NOTHING_APPLIED)
        if snapshot.hot:
            processor.restore(snapshot.hot, stored.segments)
        return _Partition(
            source,
            processor,
            snapshot.generation,
            topic_id,
            snapshot.offset,
            dict(snapshot.segments),
        )

    def begin(self, generation: int) -> None:
        """From now on fetches of this generation are applied, others thrown away."""
        self._generation = generation
        self._beat = time.monotonic()

    def positions(self) -> dict[TP, int]:
        """The next offset of each partition, as of its last durable snapshot."""
        return {
            tp: partition.offset + 1
            for tp, partition in self._partitions.items()
            if partition.offset != NOTHING_APPLIED
        }

    async def idle(self) -> None:
        """Returns when no checkpoint is running."""
        async with self._lock:
            pass

    # -- being awake ------------------------------------------------------------------------

    def beat(self) -> None:
        """Called a few times a second by the event loop; ends the process if that was long ago."""
        self._check_awake()
        self._beat = time.monotonic()

    def _check_awake(self) -> None:
        """A process that slept may have lost its partitions without knowing: it must not write."""
        slept = time.monotonic() - self._beat
        if slept > self._longest_sleep_s:
            end_process(f"slept {slept:.1f} s; the partitions may belong to another worker")

    # -- the checkpoint ---------------------------------------------------------------------

    async def run(self, fetch: Fetch) -> None:
        """Apply one fetch and make it durable; never raises, never half done."""
        async with self._lock:
            if fetch.generation != self._generation:
                self._metrics.stale_fetches.inc()
                return
            started = time.monotonic()
            try:
                await self._run(fetch)
            except Exception as error:
                logger.exception("checkpoint failed")
                end_process(f"checkpoint failed: {error!r}")
            self._metrics.checkpoint_seconds.observe(time.monotonic() - started)

    async def _run(self, fetch: Fetch) -> None:
        advanced: dict[TP, int] = {}
        waiting: list[Awaitable[Any]] = []
        for tp, records in fetch.records.items():
            partition = self._partitions[tp]
            await self._check_position(tp, partition, records)
            for at in range(0, len(records), _RECORDS_A_SLICE):
                outputs = partition.processor.apply(records[at : at + _RECORDS_A_SLICE])
                if at + _RECORDS_A_SLICE >= len(records):
                    outputs += partition.processor.partials()
                self._check_awake()
                waiting += [await self._send_output(tp, output) for output in outputs]
                self._metrics.outputs.inc(len(outputs))
                await asyncio.sleep(0)
            self._metrics.applied(tp, len(records), records[-1].offset)
            advanced[tp] = records[-1].offset
        segments = await self._send_segments(advanced)
        await asyncio.gather(*waiting)
        for tp, written in segments.items():
            await self._settle_segments(tp, written)
        await self._send_snapshots(advanced)

    async def _check_position(
        self, tp: TP, partition: _Partition, records: Sequence[Incoming]
    ) -> None:
        """Records must follow the state without a gap, unless the log itself has one there."""
        expected, first = partition.offset + 1, records[0].offset
        if first == expected:
            return
        loop = asyncio.get_running_loop()
        there = await loop.run_in_executor(
            None, self._state.next_offset, partition.source, expected
        )
        if there != first:
            end_process(
                f"{tp.topic} partition {tp.partition}: expected offset {expected}, got {first}, "
                f"the log has {there}"
            )
        # Control records, aborted transactions, or what retention deleted before it was read.
        logger.error(
            "%s partition %d: the log no longer has records %d to %d; going on without them",
            tp.topic,
            tp.partition,
            expected,
            first - 1,
        )

    async def _send_output(self, tp: TP, output: Output) -> Awaitable[Any]:
        return await self._send(
            self._topic(output.topic),
            output.key,
            codec.encode(output.record),
            tp.partition,
            output.timestamp / 1000.0,
            codec.headers_for(output.record),
        )

    async def _send_segments(
        self, advanced: Mapping[TP, int]
    ) -> dict[TP, list[tuple[str, str, Awaitable[Any]]]]:
        sent: dict[TP, list[tuple[str, str, Awaitable[Any]]]] = {}
        for tp, offset in advanced.items():
            partition = self._partitions[tp]
            topic = self._state_topics[partition.source.topic]
            for name, data in partition.processor.take_segments().items():
                if data is None:
                    self._retire(partition, name)
                    continue
                key = segment_key(partition.generation, name, offset, self._writer)
                delivery = await self._send(topic, key.encode(), data, tp.partition, None, None)
                sent.setdefault(tp, []).append((name, key, delivery))
        return sent

    async def _settle_segments(
        self, tp: TP, written: list[tuple[str, str, Awaitable[Any]]]
    ) -> None:
        partition = self._partitions[tp]
        for name, key, delivery in written:
            metadata = await delivery
            self._retire(partition, name)
            partition.segments[name] = (metadata.offset, key)

    @staticmethod
    def _retire(partition: _Partition, name: str) -> None:
        previous = partition.segments.pop(name, None)
        if previous is not None:
            partition.stale.append(previous[1].encode())

    async def _send_snapshots(self, advanced: Mapping[TP, int]) -> None:
        self._check_awake()
        deliveries = []
        for tp, offset in advanced.items():
            partition = self._partitions[tp]
            value = encode_snapshot(
                Snapshot(
                    partition.generation,
                    partition.topic_id,
                    offset,
                    partition.processor.hot(),
                    partition.segments,
                )
            )
            self._metrics.snapshot_bytes.inc(len(value))
            topic = self._state_topics[partition.source.topic]
            deliveries.append(
                await self._send(topic, SNAPSHOT_KEY, value, tp.partition, None, None)
            )
        await asyncio.gather(*deliveries)
        for tp, offset in advanced.items():
            partition = self._partitions[tp]
            partition.offset = offset
            topic = self._state_topics[partition.source.topic]
            stale, partition.stale = partition.stale, []
            for key in stale:
                await self._send(topic, key, None, tp.partition, None, None)


def end_process(why: str) -> None:
    """End at once, without any clean-up that could write: the supervisor starts a successor."""
    logger.critical("ending this process: %s", why)
    for handler in logging.getLogger().handlers:
        handler.flush()
    os._exit(EXIT_RESTART)
