"""Reads the source partitions through librdkafka, in a thread of its own.

Faust's consumer is the member of the group; it is paused and fetches nothing. This reader has no
part in the group: it is told which partitions to read from which offsets, by whoever has restored
their state. What it brings carries the generation it was told with.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
from confluent_kafka import Consumer, Message, TopicPartition
from faust.types import TP

from optionstream.schemas.connections import WORKER_LOG, batched_fetches, consumer_options
from optionstream.streams.engine.pace import Pace

logger = logging.getLogger(__name__)

_MOST_RECORDS = 5_000
_LIVE_BYTES = 64 << 10
"""Larger fetches mean a backlog; do not pause after them."""
_LOOK_S = 0.1
_CLOSE_S = 5.0


class Record(msgspec.Struct, frozen=True, gc=False):
    """A consumed record; ``timestamp`` is UTC epoch ms, as the broker has it."""

    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]]


@dataclass(frozen=True, slots=True)
class Fetch:
    """What was read at once: records by partition, and the group generation it belongs to."""

    generation: int
    records: Mapping[TP, list[Any]]
    at_hand_s: float = field(default_factory=time.monotonic)
    """When it came, by ``time.monotonic``."""


@dataclass(frozen=True, slots=True)
class _Task:
    generation: int
    positions: Mapping[TP, int]


_NOTHING = _Task(-1, {})


class FetchReader(threading.Thread):
    """Brings fetches to ``deliver``, at most ``most_waiting`` that were not ``taken`` yet.

    ``gather_ms`` is how long the next request waits once one has brought records: what a fetch
    costs by itself, here and in the broker, is most of a live stream's cost. What comes after a
    quiet moment is answered at once. A worker that takes much of a core gathers longer (``Pace``).

    ``deliver`` and ``failed`` are called in this thread. An error that the client does not pass by
    itself ends the reading: ``failed`` has to end the process, which would stand still otherwise.
    """

    def __init__(
        self,
        kafka: str,
        group: str,
        *,
        deliver: Callable[[Fetch], None],
        failed: Callable[[str], None],
        most_waiting: int,
        gather_ms: int,
    ) -> None:
        super().__init__(name="fetch-reader", daemon=True)
        self._settings = _settings(kafka, group, gather_ms)
        self._deliver = deliver
        self._failed = failed
        self._room = threading.Semaphore(most_waiting)
        self._pace = Pace()
        self._told = threading.Condition()
        self._wanted, self._task = _NOTHING, _NOTHING
        self._closing = False

    # -- told by others ---------------------------------------------------------------------

    def read_from(self, generation: int, positions: Mapping[TP, int]) -> None:
        """Read these partitions, from these offsets, and no others."""
        self._tell(_Task(generation, dict(positions)))

    def stop_reading(self) -> None:
        """Read nothing until told again."""
        self._tell(_NOTHING)

    def taken(self) -> None:
        """A fetch has been taken: there is room for another."""
        self._room.release()

    def close(self) -> None:
        """Stop reading for good, and wait for the thread."""
        with self._told:
            self._closing = True
            self._told.notify()
        self._room.release()
        if self.is_alive():
            self.join(_CLOSE_S)

    def _tell(self, task: _Task) -> None:
        with self._told:
            self._wanted = task
            self._told.notify()

    # -- the thread -------------------------------------------------------------------------

    def run(self) -> None:
        try:
            consumer = Consumer(self._settings)
            try:
                while self._follow(consumer):
                    self._bring(consumer)
            finally:
                consumer.close()
        except Exception as error:
            logger.exception("reading failed")
            self._failed(f"reading failed: {error!r}")

    def _follow(self, consumer: Consumer) -> bool:
        """Assign what is wanted; False at the end. Waits while nothing is."""
        with self._told:
            while not self._closing and self._wanted is _NOTHING and self._task is _NOTHING:
                self._told.wait()
            wanted = self._wanted
        if self._closing:
            return False
        if wanted is not self._task:
            consumer.assign(
                [
                    TopicPartition(tp.topic, tp.partition, offset)
                    for tp, offset in wanted.positions.items()
                ]
            )
            self._task = wanted
        return True

    def _bring(self, consumer: Consumer) -> None:
        if not self._room.acquire(timeout=_LOOK_S):
            return
        records = by_partition(self._read(consumer))
        if records and self._wanted is self._task and not self._closing:
            self._deliver(Fetch(self._task.generation, records))
            if _bytes(records) < _LIVE_BYTES and (pause_s := self._pace.pause_s()) > 0.0:
                time.sleep(pause_s)
        else:
            self._room.release()

    def _read(self, consumer: Consumer) -> list[Message]:
        """What is there, at least one record if any comes in time."""
        first = consumer.poll(_LOOK_S)
        return [] if first is None else [first, *consumer.consume(_MOST_RECORDS - 1, 0)]


def by_partition(messages: Iterable[Message]) -> dict[TP, list[Record]]:
    """The records of each partition, in their order; the client's errors go to the log."""
    records: dict[TP, list[Record]] = {}
    at: TP | None = None
    found: list[Record] = []
    for message in messages:
        error = message.error()
        if error is not None:
            logger.warning("reading %s: %s", message.topic() or "the broker", error.str())
            continue
        if at is None or message.partition() != at.partition or message.topic() != at.topic:
            # Once for a run of them: a place for each would cost half as much as the records.
            at = _place(message)
            found = records.setdefault(at, [])
        found.append(_record(message))
    return records


def _bytes(records: Mapping[TP, Sequence[Record]]) -> int:
    return sum(len(one.value or b"") for many in records.values() for one in many)


def _place(message: Any) -> TP:
    return TP(message.topic(), message.partition())


def _record(message: Any) -> Record:
    """Of a message without an error, whose fields are there."""
    return Record(
        message.offset(),
        message.timestamp()[1],
        message.key(),
        message.value(),
        message.headers() or (),
    )


def _settings(kafka: str, group: str, gather_ms: int) -> dict[str, Any]:
    """The queue bounds memory: 2 MB, however large the records; five such amounts can be under way
    (one in the client, one being read, two waiting, one applied), and what a response brings is
    not counted until it is taken apart. The fetch wait bounds how long a new assignment waits for
    the fetch that is under way."""
    own = {
        "isolation.level": "read_committed",
        "check.crcs": True,
        "max.partition.fetch.bytes": 256 << 10,
        "queued.max.messages.kbytes": 2 << 10,
        "socket.nagle.disable": True,
        **batched_fetches(gather_ms),
        **WORKER_LOG,
    }
    return consumer_options(kafka, group, own)
