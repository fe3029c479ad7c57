"""The consumer loop of every sink: read, add, flush, and only then commit.

- Membership is static, the protocol eager: a rebalance takes everything away, and what was not
  flushed by then is dropped and read again by whoever gets the partition.
- Where to begin is settled in the loop, not in the callbacks of the client, so that a slow or
  missing server can be waited for while the group sees us alive.
- Every committed offset carries the topic's id. An offset of an earlier incarnation of the
  topic is not followed.
- What can wait for the broker without holding up a flush does: commits, and with
  ``check_topics_every_s`` the look at the topics' ids.
- A failing server is tried again, with growing pauses, as long as it takes; nothing is skipped. An
  archive that cannot be written ends the worker.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from typing import Any

from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient

from optionstream.schemas.connections import (
    WORKER_LOG,
    batched_fetches,
    consumer_options,
    kafka_options,
)
from optionstream.schemas.errors import ArchiveError
from optionstream.schemas.topics import GROUP_TOPICS
from optionstream.streams.kafka.topic_ids import Question, describe
from optionstream.streams.process import WorkerConfig, end_process
from optionstream.streams.sinks.loop import metrics
from optionstream.streams.sinks.loop.contract import Assigned, Sink, StartAgain
from optionstream.streams.sinks.loop.held_back import Held
from optionstream.streams.sinks.loop.membership import Membership

logger = logging.getLogger(__name__)

GATHER_MS = 10
_IDLE_S = 0.2
_FIRST_PAUSE_S = 0.2
_LONGEST_PAUSE_S = 5.0
_COMMIT_TIMEOUT_S = 10.0
_CHECK_STORE_EVERY_S = 1.0


class SinkWorker:
    """One member of one group, writing through one sink.

    ``linger_s`` is how long rows may wait for company, ``commit_every_s`` how long a flushed
    offset may stay uncommitted, ``check_topics_every_s`` how often the topics' ids are asked for
    (0: before every flush, which waits for the answer; else the first flush after the answer
    heeds it). ``gather_ms`` is how long the next request for records waits once one has brought
    some: requests cost the broker more than records do. Records of the topics ``held`` are added
    every ``held_s`` (see ``Held``).
    """

    def __init__(
        self,
        config: WorkerConfig,
        group: str,
        sink: Sink,
        *,
        linger_s: float = 0.0,
        commit_every_s: float = 0.0,
        check_topics_every_s: float = 0.0,
        gather_ms: int = GATHER_MS,
        held: Collection[str] = (),
        held_s: float = 0.0,
        stop: threading.Event | None = None,
    ) -> None:
        self._config = config
        self._group = group
        self._sink = sink
        self._passing: tuple[type[Exception], ...] = (*sink.unavailable, KafkaException)
        self._dropped: tuple[type[Exception], ...] = (*self._passing, StartAgain, ArchiveError)
        self._linger_s = linger_s
        self._commit_every_s = commit_every_s
        self._check_topics_every_s = check_topics_every_s
        self.stop = stop or threading.Event()
        namespace = config.namespace
        self._topics = {namespace.topic(base): base for base in GROUP_TOPICS[group]}
        self._held = Held([namespace.topic(base) for base in held], held_s)
        self._gather_ms = gather_ms
        self._admin = AdminClient(kafka_options(config.kafka, WORKER_LOG))
        self._consumer = Consumer(self._consumer_settings())
        self._generation = 0
        self._given: list[TopicPartition] = []
        self._unsettled = False
        self._assigned: dict[tuple[str, int], Assigned] = {}
        self._read: dict[tuple[str, int], int] = {}
        self._flushed: dict[tuple[str, int], int] = {}
        self._first_pending_s: float | None = None
        self._last_commit_s = 0.0
        self._last_check_s = 0.0
        self._last_look_s = 0.0
        self._question: Question | None = None
        self._membership = Membership(self._broker_answers)

    def run(self) -> int:
        """Until ``stop`` is set: exit code 0. A fatal error of the client, or an archive that
        cannot be written: 1. Ends the process where the group has forgotten it."""
        try:
            if not self._patiently(self._sink.prepare):
                return 0
            self._consumer.subscribe(
                list(self._topics),
                on_assign=self._on_assign,
                on_revoke=self._on_revoke,
                on_lost=self._on_lost,
            )
            self._membership.waiting()
            while not self.stop.is_set():
                self._step()
            self._take(self._held.take())
            self._flush()
            self._commit(wait=True)
            if self._first_pending_s is None:
                logger.info("%s: stopped, everything read is written and committed", self._group)
            else:
                logger.warning("%s: stopped; what is not written will be read again", self._group)
            return 0
        except (KafkaException, ArchiveError) as error:
            logger.error("%s: %s", self._group, _text(error))
            return 1
        finally:
            self._forget()  # closing revokes: what was not written must not be committed there
            self._consumer.close()

    # -- the loop -----------------------------------------------------------------------------

    def _step(self) -> None:
        if self._membership.forgotten():
            end_process(f"group {self._group} does not take this worker back")
        if self._unsettled and not self._patiently(self._settle):
            return
        appetite = self._sink.appetite
        if appetite > 0:
            self._take(self._held.through(self._fetch(appetite)))
        if appetite <= 0 or self._due():
            self._flush()
        if time.monotonic() - self._last_commit_s >= self._commit_every_s:
            self._commit()
        if time.monotonic() - self._last_look_s >= _CHECK_STORE_EVERY_S:
            self._patiently(self._check_store)

    def _check_store(self) -> None:
        self._sink.check()
        self._last_look_s = time.monotonic()

    def _fetch(self, most: int) -> list[Message]:
        """The records at hand, at least one if any comes in time. ``consume`` never waits here:
        with a timeout it would sit it out."""
        generation = self._generation
        first = self._consumer.poll(self._patience_s())
        if first is None:
            return []
        messages = [first]
        if most > 1:
            messages += self._consumer.consume(most - 1, 0)
        if generation != self._generation:
            return []  # a rebalance in between: the partitions' new owner reads these
        return messages

    def _patience_s(self) -> float:
        return min(_IDLE_S, self._held.due_in_s(), self._flush_in_s())

    def _flush_in_s(self) -> float:
        """Seconds until what is pending is flushed; infinite where nothing is."""
        if self._first_pending_s is None:
            return float("inf")
        return max(0.0, self._first_pending_s + self._linger_s - time.monotonic())

    def _take(self, messages: Sequence[Message]) -> None:
        """Have the sink add the records, with a flush whenever it is full."""
        records, generation = self._readable(messages), self._generation
        while records:
            if self._first_pending_s is None:
                self._first_pending_s = time.monotonic()
            taken = self._sink.add(records)
            self._note_read(records[:taken])
            records = records[taken:]
            if not records:
                return
            self._flush()
            if generation != self._generation or self._first_pending_s is not None:
                return  # a rebalance, a restart or a stop: the rest is read again

    def _readable(self, messages: Sequence[Message]) -> list[Message]:
        """Those that are records, without errors; none when a partition went back."""
        records, seen = [], dict(self._read)
        for message in messages:
            error = message.error()
            if error is not None:
                self._complain(error)
                continue
            key, offset = _place(message)
            if offset < seen.get(key, -1):
                self._begin_again(f"{key[0]}/{key[1]} went back to offset {offset}")
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

    def _due(self) -> bool:
        return self._flush_in_s() <= 0.0

    def _flush(self) -> None:
        """Write what is pending; returns with it written, or dropped after a rebalance."""
        if self._first_pending_s is None:
            return
        started_s = time.monotonic()
        if not self._patiently(self._flush_once) or self._first_pending_s is None:
            return
        self._first_pending_s = None
        self._flushed.update(self._read)
        metrics.FLUSH_SECONDS.labels(self._group).observe(time.monotonic() - started_s)

    def _flush_once(self) -> None:
        self._check_topics()
        self._sink.flush(self._read)

    def _commit(self, *, wait: bool = False) -> None:
        """Commit what was flushed; a refusal means that the partition has another owner now.
        Without ``wait`` it is told later, to ``_on_commit``."""
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
            self._complain(error.args[0])
        self._tell_lag(offsets)

    def _on_commit(self, error: KafkaError | None, offsets: list[TopicPartition]) -> None:
        """Called by the client in a later ``poll``."""
        refused = error or next((at.error for at in offsets if at.error is not None), None)
        if refused is not None:
            self._complain(refused)

    def _tell_lag(self, committed: Sequence[TopicPartition]) -> None:
        for at in committed:
            _, end = self._consumer.get_watermark_offsets(at, cached=True)
            lag = max(0, end - at.offset)
            metrics.LAG.labels(self._group, at.topic, str(at.partition)).set(lag)

    # -- where to begin -----------------------------------------------------------------------

    def _settle(self) -> None:
        """Find where each given partition begins, and begin."""
        given = self._given
        described = describe(self._admin, {at.topic for at in given})
        committed = self._consumer.committed(given, timeout=_COMMIT_TIMEOUT_S) if given else []
        assigned = [
            Assigned(self._topics[at.topic], described[at.topic], at.partition, _set_by_hand(at))
            for at in committed
        ]
        begin = {
            (at.topic, at.partition): _committed_start(at, described[at.topic].id)
            for at in committed
        }
        kept = self._sink.start(assigned)
        begin.update(kept)
        self._assigned = {one.key: one for one in assigned}
        self._read = {key: offset for key, offset in begin.items() if offset >= 0}
        # The store's own positions are told to the group, which may know less (or nothing).
        self._flushed = {key: offset for key, offset in kept.items() if offset >= 0}
        self._first_pending_s = None
        places = [TopicPartition(*key, offset) for key, offset in begin.items()]
        self._consumer.assign(places)
        # A partition that was paused when it was taken away is still paused when it comes back.
        self._consumer.resume(places)
        self._unsettled = False
        self._last_check_s, self._question = time.monotonic(), None
        if given:
            logger.info("%s: reading %s", self._group, _listing(begin))

    def _check_topics(self) -> None:
        """Raises StartAgain when a topic was recreated since its partitions were given."""
        now_s = time.monotonic()
        if self._question is None:
            if now_s - self._last_check_s < self._check_topics_every_s:
                return
            self._question = Question(self._admin, {topic for topic, _ in self._assigned})
        if self._check_topics_every_s and not self._question.answered():
            return
        question, self._question = self._question, None
        for name, topic in question.answer().items():
            if any(
                one.topic.id != topic.id
                for one in self._assigned.values()
                if one.topic.name == name
            ):
                raise StartAgain(f"topic {name} was recreated")
        self._last_check_s = now_s

    def _begin_again(self, why: str) -> None:
        """Drop what is pending and read again from the stored positions."""
        logger.warning("%s: %s; reading again from the stored positions", self._group, why)
        metrics.RESTARTS.labels(self._group).inc()
        self._forget()
        self.stop.wait(_FIRST_PAUSE_S)
        self._consumer.assign([])
        self._unsettled = True

    def _forget(self) -> None:
        self._generation += 1
        self._sink.drop()
        self._held.drop()
        self._first_pending_s = None
        self._read = {}
        self._flushed = {}

    def _on_assign(self, consumer: Consumer, given: list[TopicPartition]) -> None:
        self._forget()
        self._membership.given()
        self._given = given
        self._unsettled = True
        consumer.assign([])

    def _on_revoke(self, consumer: Consumer, _: list[TopicPartition]) -> None:
        """Write and commit what is there, in one attempt; else the next owner reads it again."""
        try:
            if self._first_pending_s is not None:
                self._flush_once()
                self._flushed.update(self._read)
            self._commit(wait=True)
        except self._dropped as error:
            logger.warning("%s: revoked before it was written: %s", self._group, _text(error))
        self._on_lost(consumer, [])

    def _on_lost(self, consumer: Consumer, _: list[TopicPartition]) -> None:
        self._forget()
        self._membership.waiting()
        self._assigned = {}
        self._given = []
        self._unsettled = False
        consumer.unassign()

    def _broker_answers(self) -> bool:
        try:
            describe(self._admin, self._topics)
        except KafkaException:
            return False
        return True

    # -- failures -----------------------------------------------------------------------------

    def _patiently(self, action: Callable[[], None]) -> bool:
        """Try until it works: True. False when a stop or a rebalance came first."""
        generation = self._generation
        pause_s = _FIRST_PAUSE_S
        while True:
            try:
                action()
            except StartAgain as error:
                self._begin_again(str(error))
                return False
            except self._passing as error:
                self._note_failure(error, pause_s)
            else:
                return True
            if not self._wait(pause_s) or generation != self._generation:
                return False
            pause_s = min(_LONGEST_PAUSE_S, pause_s * 2)

    def _note_failure(self, error: Exception, pause_s: float) -> None:
        who = "kafka" if isinstance(error, KafkaException) else self._sink.server
        if isinstance(error, KafkaException) and _fatal(error):
            raise error
        metrics.RETRIES.labels(self._group).inc()
        logger.warning(
            "%s: %s failed, next try in %.1f s: %s", self._group, who, pause_s, _text(error)
        )

    def _wait(self, seconds: float) -> bool:
        """Sleep, paused but alive for the group. False when it is time to stop."""
        until_s = time.monotonic() + seconds
        generation = self._generation
        paused = self._consumer.assignment()
        if paused:
            self._consumer.pause(paused)
        try:
            while (left_s := until_s - time.monotonic()) > 0 and not self.stop.is_set():
                message = self._consumer.poll(min(left_s, 0.1))
                if generation != self._generation:
                    return True
                if message is not None and message.error() is None:
                    self._begin_again("a record came in while paused")
                    return True
        finally:
            if paused and generation == self._generation:
                self._consumer.resume(paused)
        return not self.stop.is_set()

    def _complain(self, error: Any) -> None:
        """Log an error the client reports; a fatal one (we were fenced) ends the worker."""
        if _is_fatal(error):
            raise KafkaException(error)
        logger.warning("%s: kafka: %s", self._group, error.str())

    def _consumer_settings(self) -> dict[str, Any]:
        config = self._config
        group = config.namespace.group(self._group)
        own = {
            "group.instance.id": f"{group}-{config.instance}",
            "session.timeout.ms": config.settings.session_timeout_ms,
            "heartbeat.interval.ms": max(500, config.settings.session_timeout_ms // 4),
            "partition.assignment.strategy": "range",
            "on_commit": self._on_commit,
            "topic.metadata.refresh.interval.ms": 5_000,
            "queued.max.messages.kbytes": 16_384,
            **batched_fetches(self._gather_ms),
            **WORKER_LOG,
        }
        return consumer_options(config.kafka, group, own)


def _place(message: Message) -> tuple[tuple[str, int], int]:
    """Topic and partition, and the offset, of a message without an error."""
    key: Any = message.topic(), message.partition()
    offset: Any = message.offset()
    return key, offset


def _committed_start(at: TopicPartition, topic_id: str) -> int:
    """The committed offset, unless another incarnation of the topic was meant. An offset
    without a topic id was set by hand."""
    if at.error is not None:
        raise KafkaException(at.error)
    if at.offset < 0 or (at.metadata and at.metadata != topic_id):
        return OFFSET_BEGINNING
    return int(at.offset)


def _set_by_hand(at: TopicPartition) -> int | None:
    return int(at.offset) if at.offset >= 0 and not at.metadata else None


def _listing(begin: dict[tuple[str, int], int]) -> str:
    """``market.underlying 0 from 17, 1 from the beginning; …`` with what is anew summed up."""
    known = [f"{topic}/{number} from {at}" for (topic, number), at in begin.items() if at >= 0]
    anew = len(begin) - len(known)
    if anew:
        known.append(f"{anew} partitions from the beginning")
    return ", ".join(known)


def _is_fatal(error: KafkaError) -> bool:
    """Whether the client is done for. The event that says so, and the refusal that made it so,
    do not call themselves fatal (librdkafka 2.16)."""
    return error.fatal() or error.code() in (KafkaError._FATAL, KafkaError.FENCED_INSTANCE_ID)


def _fatal(error: KafkaException) -> bool:
    first = error.args[0] if error.args else None
    return isinstance(first, KafkaError) and _is_fatal(first)


def _text(error: Exception) -> str:
    first = error.args[0] if error.args else None
    if isinstance(first, KafkaError):
        return first.str()
    return (str(error).splitlines() or [type(error).__name__])[0][:300]
