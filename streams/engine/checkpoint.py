"""The checkpoint: apply records in memory, send what follows, send the state, in that order.

A record of the source passes these states:

| state | it is there | set by | if the process ends now, its successor |
|---|---|---|---|
| applied | in memory | ``_take_part`` | applies it again |
| sent | outputs at the producer | ``_send_outputs`` | sends the same outputs again |
| settled | copied, outputs and segments on their way | ``_settle_applied`` | repeats both |
| durable | in a delivered snapshot | ``_make_durable`` | continues after it |

Outputs leave with the slice that made them. The state follows a few times a second, and never
before every output that it knows of is delivered. From the first applied record until the snapshot
is delivered, memory is ahead of what is durable. A failure in between ends the process; its
successor starts from the last snapshot and does the same again. Outputs sent twice carry the same
ids and versions, so readers see them once.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from uuid import uuid4

from faust.types import TP

from optionstream.schemas import codec
from optionstream.streams.core.intake import Incoming, Output, Source
from optionstream.streams.engine.metrics import EngineMetrics
from optionstream.streams.engine.partition import Moment, Part, Partition, restored_partition
from optionstream.streams.engine.ports import Processor, Send, StateSource
from optionstream.streams.engine.reader import Fetch
from optionstream.streams.engine.slices import SLICE_S
from optionstream.streams.engine.state_topic import (
    NOTHING_APPLIED,
    SNAPSHOT_KEY,
    Snapshot,
    encode_snapshot,
    segment_key,
)
from optionstream.streams.process import end_process

logger = logging.getLogger(__name__)

SETTLE_EVERY_S = 0.1
"""Snapshots follow each other no closer. A successor does so much again; an output waits for
none, except the views that are not quick."""
_MOST_WAITING = 5_000
"""Outputs on their way; beyond that records wait until they are delivered."""


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
        slice_s: float = SLICE_S,
    ) -> None:
        self._send = send
        self._topic = topic
        self._state_topics = state_topics
        self._processor = processor
        self._source = sources
        self._state = state
        self._metrics = metrics
        self._longest_sleep_s = longest_sleep_s
        self._slice_s = slice_s
        self._partitions: dict[TP, Partition] = {}
        self._generation = -1
        self._writer = uuid4().hex[:12]
        self._applying = asyncio.Lock()
        self._settling = asyncio.Lock()
        self._settler: asyncio.Task[None] | None = None
        self._waiting: list[Awaitable[int]] = []
        """Deliveries of outputs that no snapshot covers yet."""
        self._unsettled_since: float | None = None
        self._last_settled = 0.0
        self._beat = time.monotonic()

    # -- rebalances -------------------------------------------------------------------------

    async def restore(self, assignment: Iterable[TP], generation: int) -> dict[TP, int]:
        """Read the state of newly assigned partitions; returns the next offset of each."""
        self.end()
        async with self._settling, self._applying:
            # What was applied since the last snapshot comes again to whoever owns it now.
            self._unsettled_since, self._waiting = None, []
            loop = asyncio.get_running_loop()
            restored: dict[TP, Partition] = {}
            for tp in assignment:
                source = self._source(tp)
                try:
                    topic_id, stored = await loop.run_in_executor(None, self._state.restore, source)
                    restored[tp] = restored_partition(
                        source, self._processor(source), topic_id, stored
                    )
                except Exception as error:
                    end_process(f"state of {tp.topic} partition {tp.partition}: {error}")
            self._partitions = restored
        return {tp: partition.offset + 1 for tp, partition in restored.items()}

    def begin(self, generation: int) -> None:
        """From now on fetches of this generation are applied, others thrown away."""
        self._generation = generation
        self._beat = time.monotonic()

    def end(self) -> None:
        """Fetches at hand are stale from now on: whoever owns the partitions next reads them."""
        self._generation = -1

    def positions(self) -> dict[TP, int]:
        """The next offset of each partition, as of its last durable snapshot."""
        return {
            tp: partition.offset + 1
            for tp, partition in self._partitions.items()
            if partition.offset != NOTHING_APPLIED
        }

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

    # -- applying ---------------------------------------------------------------------------

    async def take(self, fetch: Fetch) -> None:
        """Apply one fetch and send what follows from it, slice by slice; never raises. Between
        slices of about ``slice_s`` fetches of other lanes get their turn.

        A slice's state is durable within ``SETTLE_EVERY_S`` and a delivery, however long the rest
        of the fetch takes: a worker that is killed again and again still gets on.
        """
        parts = self._parts(fetch)
        more = True
        while more:
            more = await self._take_next(fetch.generation, parts)
            self._settle_soon()
            if more:
                await asyncio.sleep(0)

    def _parts(self, fetch: Fetch) -> Iterator[Part]:
        for tp, records in fetch.records.items():
            for part in self._partitions[tp].slices.cut(records):
                yield Part(tp, part, last=part[-1] is records[-1])

    async def _take_next(self, generation: int, parts: Iterator[Part]) -> bool:
        """Apply the next slices, each whole, for the time of one: a fetch of many small ones waits
        for the other lane's only once. False when none is left, or they are stale."""
        async with self._applying:
            if generation != self._generation:
                self._metrics.stale_fetches.inc()
                return False
            until = time.perf_counter() + self._slice_s
            try:
                while (part := next(parts, None)) is not None:
                    await self._take_part(part)
                    if time.perf_counter() >= until:
                        return True
                return False
            except Exception as error:
                logger.exception("checkpoint failed")
                end_process(f"checkpoint failed: {error!r}")
            except BaseException:
                # Cancelled half way: what is in memory belongs to no offset.
                self._generation, self._unsettled_since = -1, None
                raise

    async def _take_part(self, part: Part) -> None:
        partition, records = self._partitions[part.tp], part.records
        await self._check_position(part.tp, partition, records)
        began = time.perf_counter()
        if self._unsettled_since is None:
            self._unsettled_since = time.monotonic()
        outputs = partition.processor.apply(records)
        if part.last:
            outputs += partition.processor.partials(quick=True)
        await self._send_outputs(part.tp, outputs)
        partition.applied = records[-1].offset
        partition.slices.took(len(records), time.perf_counter() - began, self._slice_s)
        self._metrics.applied(part.tp, len(records), partition.applied)
        if len(self._waiting) > _MOST_WAITING:
            waiting, self._waiting = self._waiting, []
            await _delivered(waiting)

    async def _check_position(
        self, tp: TP, partition: Partition, records: Sequence[Incoming]
    ) -> None:
        """Records must follow the state without a gap, unless the log itself has one there."""
        expected, first = partition.applied + 1, records[0].offset
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

    async def _send_outputs(self, tp: TP, outputs: Sequence[Output]) -> None:
        self._check_awake()
        for output in outputs:
            self._waiting.append(await self._send_output(tp, output))
        self._metrics.outputs.inc(len(outputs))

    async def _send_output(self, tp: TP, output: Output) -> Awaitable[int]:
        return await self._send(
            self._topic(output.topic),
            output.key,
            codec.encode(output.record),
            tp.partition,
            output.timestamp,
            codec.headers_for(output.record),
        )

    # -- settling ---------------------------------------------------------------------------

    def _settle_soon(self) -> None:
        if self._settler is None or self._settler.done():
            self._settler = asyncio.create_task(self._settle_when_due())

    async def _settle_when_due(self) -> None:
        while self._unsettled_since is not None:
            due = self._last_settled + SETTLE_EVERY_S
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            await self.settle()

    async def settle(self) -> None:
        """Make the state of everything applied so far durable; never raises, never half done."""
        await asyncio.shield(self._settle())

    async def _settle(self) -> None:
        async with self._settling:
            try:
                await self._settle_applied()
            except Exception as error:
                logger.exception("checkpoint failed")
                end_process(f"checkpoint failed: {error!r}")

    async def _settle_applied(self) -> None:
        async with self._applying:
            since, self._unsettled_since = self._unsettled_since, None
            if since is None:
                return
            for tp, partition in self._moved().items():
                await self._send_outputs(tp, partition.processor.partials())
            waiting, self._waiting = self._waiting, []
            moments = self._moments()
        self._last_settled = time.monotonic()
        await self._make_durable(moments, waiting)
        self._metrics.checkpoint_seconds.observe(time.monotonic() - since)

    def _moments(self) -> dict[TP, Moment]:
        return {
            tp: Moment(
                partition,
                partition.applied,
                partition.processor.hot(),
                partition.processor.take_segments(),
            )
            for tp, partition in self._moved().items()
        }

    def _moved(self) -> dict[TP, Partition]:
        """The partitions whose memory is ahead of what is durable."""
        return {
            tp: partition
            for tp, partition in self._partitions.items()
            if partition.applied != partition.offset
        }

    async def _make_durable(
        self, moments: Mapping[TP, Moment], waiting: Sequence[Awaitable[int]]
    ) -> None:
        self._check_awake()
        segments = {tp: await self._send_segments(tp, moment) for tp, moment in moments.items()}
        await _delivered(waiting)
        for tp, sent in segments.items():
            await self._settle_segments(moments[tp].partition, sent)
        self._check_awake()
        await asyncio.gather(
            *[await self._send_snapshot(tp, moment) for tp, moment in moments.items()]
        )
        for tp, moment in moments.items():
            moment.partition.offset = moment.offset
            await self._delete_stale(tp, moment.partition)

    async def _send_segments(self, tp: TP, moment: Moment) -> list[tuple[str, str, Awaitable[int]]]:
        partition, sent = moment.partition, []
        for name, data in moment.segments.items():
            if data is None:
                partition.retire_segment(name)
                continue
            key = segment_key(partition.generation, name, moment.offset, self._writer)
            delivery = await self._send_state(tp, partition, key.encode(), data)
            sent.append((name, key, delivery))
        return sent

    async def _settle_segments(
        self, partition: Partition, sent: Sequence[tuple[str, str, Awaitable[int]]]
    ) -> None:
        for name, key, delivery in sent:
            offset = await delivery
            partition.retire_segment(name)
            partition.segments[name] = (offset, key)

    async def _send_snapshot(self, tp: TP, moment: Moment) -> Awaitable[int]:
        partition = moment.partition
        value = encode_snapshot(
            Snapshot(
                partition.generation,
                partition.topic_id,
                moment.offset,
                moment.hot,
                partition.segments,
            )
        )
        self._metrics.snapshot_bytes.inc(len(value))
        return await self._send_state(tp, partition, SNAPSHOT_KEY, value)

    async def _delete_stale(self, tp: TP, partition: Partition) -> None:
        stale, partition.stale = partition.stale, []
        for key in stale:
            await self._send_state(tp, partition, key, None)

    async def _send_state(
        self, tp: TP, partition: Partition, key: bytes, value: bytes | None
    ) -> Awaitable[int]:
        topic = self._state_topics[partition.source.topic]
        return await self._send(topic, key, value, tp.partition, None, None)


async def _delivered(waiting: Iterable[Awaitable[int]]) -> None:
    """Until all are delivered; most are already, and ``gather`` would give each a callback."""
    for delivery in waiting:
        await delivery
