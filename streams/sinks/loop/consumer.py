"""The consumer loop of every sink: read, add, flush, and only then commit.

- Membership is static, the protocol eager: a rebalance takes everything away. What was not flushed
  by then is dropped and read again by whoever gets the partition.
- Where to begin is decided in the loop, not in the callbacks of the client. A slow or missing
  server can then be waited for while the group sees this worker alive.
- What can wait for the broker without holding up a flush does: commits, and with
  ``check_topics_every_s`` the check of the topics' ids.
- A failing server is tried again (``patience``); nothing is skipped. An archive that cannot be
  written ends the worker.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition
from confluent_kafka.admin import AdminClient

from optionstream.schemas.connections import (
    WORKER_LOG,
    Options,
    batched_fetches,
    consumer_options,
    kafka_options,
)
from optionstream.schemas.errors import ArchiveError
from optionstream.schemas.topics import GROUP_TOPICS
from optionstream.streams.kafka.topic_ids import describe
from optionstream.streams.process import WorkerConfig, end_process
from optionstream.streams.sinks.loop import metrics
from optionstream.streams.sinks.loop.beginning import TopicWatch, describe_starts, read_committed
from optionstream.streams.sinks.loop.contract import (
    Assigned,
    LoopOptions,
    Place,
    Sink,
    StartAgain,
)
from optionstream.streams.sinks.loop.held_back import HeldRecords
from optionstream.streams.sinks.loop.membership import Membership
from optionstream.streams.sinks.loop.patience import (
    FIRST_PAUSE_S,
    Patience,
    error_line,
    report_kafka_error,
)

logger = logging.getLogger(__name__)

_IDLE_S = 0.2
_CHECK_STORE_EVERY_S = 1.0


class SinkWorker:
    """One member of one group, writing through one sink."""

    def __init__(
        self,
        config: WorkerConfig,
        group: str,
        sink: Sink,
        options: LoopOptions,
        stop: threading.Event | None = None,
    ) -> None:
        self._group = group
        self._sink = sink
        self._options = options
        self.stop = stop or threading.Event()
        namespace = config.namespace
        self._topics = {namespace.topic(base): base for base in GROUP_TOPICS[group]}
        self._held = HeldRecords([namespace.topic(base) for base in options.held], options.held_s)
        self._admin = AdminClient(kafka_options(config.kafka, WORKER_LOG))
        own = {"on_commit": self._on_commit, **batched_fetches(options.gather_ms)}
        self._consumer = Consumer(_consumer_settings(config, group) | own)
        self.generation = 0
        """Rises with whatever drops what is pending: a rebalance, a restart."""
        self._given: list[TopicPartition] = []
        self._unstarted = False
        """Partitions were given of which it is not yet decided where to begin."""
        self._assigned: dict[Place, Assigned] = {}
        self._read: dict[Place, int] = {}
        self._flushed: dict[Place, int] = {}
        """Next offsets to commit."""
        self._first_pending_s: float | None = None
        self._last_commit_s = 0.0
        self._last_look_s = 0.0
        self._topic_watch = TopicWatch(self._admin, options.check_topics_every_s)
        self._patience = Patience(group, sink, self._consumer, self.stop, self)
        self._dropped: tuple[type[Exception], ...] = (
            *self._patience.passing,
            StartAgain,
            ArchiveError,
        )
        self._membership = Membership(self._broker_answers)

    def run(self) -> int:
        """Run until ``stop`` is set: exit code 0. A fatal error of the client, or an archive that
        cannot be written: 1. Ends the process when the group has forgotten it."""
        try:
            if not self._patience.retry(self._sink.prepare_store):
                return 0
            self._consumer.subscribe(
                list(self._topics),
                on_assign=self._on_assign,
                on_revoke=self._on_revoke,
                on_lost=self._on_lost,
            )
            self._membership.note_waiting()
            while not self.stop.is_set():
                self._step()
            self._add_messages(self._held.take_all())
            self._flush()
            self._commit(wait=True)
            if self._first_pending_s is None:
                logger.info("%s: stopped, everything read is written and committed", self._group)
            else:
                logger.warning("%s: stopped; what is not written will be read again", self._group)
            return 0
        except (KafkaException, ArchiveError) as error:
            logger.error("%s: %s", self._group, error_line(error))
            return 1
        finally:
            self._drop_all()  # closing revokes: what was not written must not be committed there
            self._consumer.close()

    def start_again(self, why: str) -> None:
        """Drop what is pending and read again from the stored positions."""
        logger.warning("%s: %s; re-reading from the stored position", self._group, why)
        metrics.RESTARTS.labels(self._group).inc()
        self._drop_all()
        self.stop.wait(FIRST_PAUSE_S)
        self._consumer.assign([])
        self._unstarted = True

    # -- the loop -----------------------------------------------------------------------------

    def _step(self) -> None:
        if self._membership.is_forgotten():
            end_process(f"group {self._group} does not take this worker back")
        if self._unstarted and not self._patience.retry(self._start_partitions):
            return
        appetite = self._sink.appetite
        if appetite > 0:
            self._add_messages(self._held.let_through(self._fetch(appetite)))
        if appetite <= 0 or self._flush_in_s() <= 0.0:
            self._flush()
        if time.monotonic() - self._last_commit_s >= self._options.commit_every_s:
            self._commit()
        if time.monotonic() - self._last_look_s >= _CHECK_STORE_EVERY_S:
            self._patience.retry(self._check_store)

    def _check_store(self) -> None:
        self._sink.check_store()
        self._last_look_s = time.monotonic()

    def _fetch(self, most: int) -> list[Message]:
        """The records at hand, at least one if any comes in time. ``consume`` never waits here:
        with a timeout it would sit it out."""
        generation = self.generation
        first = self._consumer.poll(min(_IDLE_S, self._held.due_in_s(), self._flush_in_s()))
        if first is None:
            return []
        messages = [first]
        if most > 1:
            messages += self._consumer.consume(most - 1, 0)
        if generation != self.generation:
            return []  # a rebalance in between: the partitions' new owner reads these
        return messages

    def _flush_in_s(self) -> float:
        """Seconds until what is pending is flushed; infinite where nothing is."""
        if self._first_pending_s is None:
            return float("inf")
        return max(0.0, self._first_pending_s + self._options.linger_s - time.monotonic())

    def _add_messages(self, messages: Sequence[Message]) -> None:
        """Have the sink add the records, with a flush whenever it is full."""
        records, generation = self._records_of(messages), self.generation
        while records:
            if self._first_pending_s is None:
                self._first_pending_s = time.monotonic()
            added = self._sink.add_records(records)
            self._note_read(records[:added])
            records = records[added:]
            if not records:
                return
            self._flush()
            if generation != self.generation or self._first_pending_s is not None:
                return  # a rebalance, a restart or a stop: the rest is read again

    def _records_of(self, messages: Sequence[Message]) -> list[Message]:
        """Those that are records, without errors; none when a partition went back."""
        records, seen = [], dict(self._read)
        for message in messages:
            error = message.error()
            if error is not None:
                report_kafka_error(self._group, error)
                continue
            key, offset = _place(message)
            if offset < seen.get(key, -1):
                self.start_again(f"{key[0]}/{key[1]} went back to offset {offset}")
                return []
            seen[key] = offset + 1
            records.append(message)
        return records

    def _note_read(self, records: Sequence[Message]) -> None:
        for message in records:
            key, offset = _place(message)
            self._read[key] = offset + 1
        for topic, count in Counter(message.topic() for message in records).items():
            metrics.RECORDS.labels(self._group, topic).inc(count)

    def _flush(self) -> None:
        """Write what is pending; returns with it written, or dropped after a rebalance."""
        if self._first_pending_s is None:
            return
        started_s = time.monotonic()
        if not self._patience.retry(self._flush_once) or self._first_pending_s is None:
            return
        self._first_pending_s = None
        self._flushed.update(self._read)
        metrics.FLUSH_SECONDS.labels(self._group).observe(time.monotonic() - started_s)

    def _flush_once(self) -> None:
        self._topic_watch.check()
        self._sink.flush_rows(self._read)

    def _commit(self, *, wait: bool = False) -> None:
        """Commit what was flushed; a refusal means that the partition has another owner now.
        Without ``wait`` a refusal arrives later, in ``_on_commit``."""
        self._last_commit_s = time.monotonic()
        if not self._flushed:
            return
        offsets = [
            TopicPartition(*key, offset, self._assigned[key].topic.id)
            for key, offset in self._flushed.items()
            if key in self._assigned
        ]
        self._flushed = {}
        try:
            if offsets and wait:
                self._consumer.commit(offsets=offsets, asynchronous=False)
            elif offsets:
                self._consumer.commit(offsets=offsets)
        except KafkaException as error:
            report_kafka_error(self._group, error.args[0])
        for at in offsets:
            _, end = self._consumer.get_watermark_offsets(at, cached=True)
            lag = max(0, end - at.offset)
            metrics.LAG.labels(self._group, at.topic, str(at.partition)).set(lag)

    # -- partitions ---------------------------------------------------------------------------

    def _start_partitions(self) -> None:
        """Find where each given partition begins, and begin."""
        assigned, begin = read_committed(self._admin, self._consumer, self._given, self._topics)
        kept = self._sink.start_partitions(assigned)
        begin.update(kept)
        self._assigned = {one.key: one for one in assigned}
        self._read = {key: offset for key, offset in begin.items() if offset >= 0}
        # The store's own positions are committed: the group may know less, or nothing.
        self._flushed = {key: offset for key, offset in kept.items() if offset >= 0}
        self._first_pending_s = None
        places = [TopicPartition(*key, offset) for key, offset in begin.items()]
        self._consumer.assign(places)
        # A partition that was paused when it was taken away is still paused when it comes back.
        self._consumer.resume(places)
        self._unstarted = False
        self._topic_watch.start(assigned)
        if self._given:
            logger.info("%s: reading %s", self._group, describe_starts(begin))

    def _drop_all(self) -> None:
        self.generation += 1
        self._sink.drop_rows()
        self._held.drop_all()
        self._first_pending_s = None
        self._read = {}
        self._flushed = {}

    # -- called by the client, in a ``poll`` ----------------------------------------------------

    def _on_assign(self, consumer: Consumer, given: list[TopicPartition]) -> None:
        self._drop_all()
        self._membership.note_given()
        self._given = given
        self._unstarted = True
        consumer.assign([])

    def _on_revoke(self, consumer: Consumer, _: list[TopicPartition]) -> None:
        """Write and commit what is there, in one attempt; else the next owner reads it again."""
        try:
            if self._first_pending_s is not None:
                self._flush_once()
                self._flushed.update(self._read)
            self._commit(wait=True)
        except self._dropped as error:
            logger.warning("%s: revoked before it was written: %s", self._group, error_line(error))
        self._on_lost(consumer, [])

    def _on_lost(self, consumer: Consumer, _: list[TopicPartition]) -> None:
        self._drop_all()
        self._membership.note_waiting()
        self._assigned = {}
        self._given = []
        self._unstarted = False
        consumer.unassign()

    def _on_commit(self, error: KafkaError | None, offsets: list[TopicPartition]) -> None:
        refused = error or next((at.error for at in offsets if at.error is not None), None)
        if refused is not None:
            report_kafka_error(self._group, refused)

    def _broker_answers(self) -> bool:
        try:
            describe(self._admin, self._topics)
        except KafkaException:
            return False
        return True


def _consumer_settings(config: WorkerConfig, group: str) -> Options:
    name = config.namespace.group(group)
    session_ms = config.settings.session_timeout_ms
    own = {
        "group.instance.id": f"{name}-{config.instance}",
        "session.timeout.ms": session_ms,
        "heartbeat.interval.ms": max(500, session_ms // 4),
        "partition.assignment.strategy": "range",
        "topic.metadata.refresh.interval.ms": 5_000,
        "queued.max.messages.kbytes": 16_384,
        **WORKER_LOG,
    }
    return consumer_options(config.kafka, name, own)


def _place(message: Message) -> tuple[Place, int]:
    """Topic and partition, and the offset, of a message without an error."""
    key: Any = message.topic(), message.partition()
    offset: Any = message.offset()
    return key, offset
