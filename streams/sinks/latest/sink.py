"""The ``latest`` sink: the newest of everything, in Redis."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence

import msgspec
import redis
from confluent_kafka import Message
from redis.backoff import NoBackoff
from redis.retry import Retry

from optionstream.schemas import redis_keys, topics
from optionstream.schemas.connections import redis_options
from optionstream.schemas.derived import Bar, ChainAnalytics, VolatilitySurface
from optionstream.schemas.errors import RecordError
from optionstream.schemas.events import TickFrame
from optionstream.schemas.newer_wins import NO_MOVES, Entry, Moves, Scores
from optionstream.schemas.rejects import WRONG_TOPIC
from optionstream.streams.core.rules import Rules
from optionstream.streams.process import WorkerConfig
from optionstream.streams.sinks.latest.newer_wins import write_newer
from optionstream.streams.sinks.latest.newest import Batch
from optionstream.streams.sinks.latest.positions import Positions
from optionstream.streams.sinks.loop import metrics as measures
from optionstream.streams.sinks.loop import records as reading
from optionstream.streams.sinks.loop.contract import Assigned, LoopOptions
from optionstream.streams.sinks.loop.main import run_sink

logger = logging.getLogger(__name__)

GROUP = "latest"
_RECORDS_A_BATCH = 1_000
_VALUES_A_BATCH = 4_000
"""A chain is 80 values and more: a batch of them is cut shorter, so that memory stays small."""
_LOOP = LoopOptions(
    commit_every_s=0.2,
    check_topics_every_s=1.0,
    gather_ms=2,
    # A chain is a document for each leg, a hundred times what a tick is.
    held=(topics.CHAIN, topics.SURFACE),
    held_s=0.2,
)


def run(config: WorkerConfig) -> int:
    """Run one worker of the group until SIGTERM or SIGINT; returns the exit code."""
    return run_sink(config, GROUP, LatestSink, _LOOP)


class LatestSink:
    """Conflates a batch to the newest of each key, then writes it: in one round trip, in two when
    there are chains."""

    server = "redis"
    unavailable: tuple[type[Exception], ...] = (redis.RedisError, OSError)

    def __init__(self, config: WorkerConfig) -> None:
        self._namespace = config.namespace
        self._rules = Rules.of(config.namespace, config.settings)
        self._client = redis.Redis.from_url(
            # The worker's loop retries, and logs it.
            **redis_options(config.redis, 10, 3, retry=Retry(NoBackoff(), 0))
        )
        self._bases: dict[str, str] = {}
        self._partitions: dict[str, int] = {}
        self._positions = Positions(self._client, config.namespace.redis(redis_keys.POSITIONS))
        self._batch = Batch(self._namespace)
        self._records = 0
        self._values_a_record = float(_VALUES_A_BATCH)

    @property
    def appetite(self) -> int:
        """So many records as make a batch if they are like those before."""
        return max(1, min(_RECORDS_A_BATCH, int(_VALUES_A_BATCH / self._values_a_record)))

    def prepare_store(self) -> None:
        self._client.ping()

    def start_partitions(self, assigned: Sequence[Assigned]) -> Mapping[tuple[str, int], int]:
        """Goes on at the positions in Redis: what they do not cover may be lost there, and
        writing anything again changes nothing."""
        self.drop_rows()
        self._bases = {one.topic.name: one.base for one in assigned}
        self._partitions = {one.topic.name: one.topic.partitions for one in assigned}
        return self._positions.start_partitions(assigned)

    def add_records(self, records: Sequence[Message]) -> int:
        for message in records:
            self._records += 1
            topic = message.topic() or ""
            try:
                self._add(self._bases[topic], message)
            except RecordError as error:
                measures.SKIPPED.labels(GROUP, topic, error.reason).inc()
        return len(records)

    def flush_rows(self, reached: Mapping[tuple[str, int], int]) -> None:
        entries, values = self._batch.quick_entries(), 0
        if self._batch.chains or self._batch.surfaces:
            # Ticks and bars need not wait until the documents of chains are made.
            self._write(entries, {}, NO_MOVES)
            values, entries = len(entries), self._batch.slow_entries()
        self._write(entries, self._batch.index_sets(), self._positions.plan_moves(reached))
        self._positions.note_moved(reached)
        seen = (values + len(entries)) / max(1, self._records)
        self._values_a_record = max(1.0, seen, self._values_a_record / 2)  # ticks and chains mix
        self.drop_rows()

    def check_store(self) -> None:
        self._positions.check_stored()

    def drop_rows(self) -> None:
        self._batch = Batch(self._namespace)
        self._records = 0

    def _write(self, entries: Sequence[Entry], index: Scores, moves: Moves) -> None:
        written = write_newer(self._client, entries, index, moves)
        measures.ROWS.labels(GROUP, "key").inc(written)
        measures.NOOPS.labels(GROUP, "key").inc(len(entries) - written)

    def _add(self, base: str, message: Message) -> None:
        if base == topics.UNDERLYING:
            self._add_ticks(message)
            return
        record = reading.read(message)
        if base == topics.OHLC and isinstance(record, Bar):
            reading.check_bar(record)
            self._batch.add_bar(record)
        elif base == topics.CHAIN and isinstance(record, ChainAnalytics):
            reading.check_chain(record)
            self._batch.add_chain(record)
        elif base == topics.SURFACE and isinstance(record, VolatilitySurface):
            reading.check_surface(record)
            self._batch.add_surface(record)
        else:
            raise RecordError(WRONG_TOPIC, type(record).__name__)

    def _add_ticks(self, message: Message) -> None:
        frame = reading.read_ticks(message)
        if frame is None:
            return
        topic = message.topic() or ""
        reading.check_ticks_place(message, frame, self._partitions[topic])
        if not self._rules.is_sound_frame(frame):
            frame = self._without_refused(frame, topic)
        if frame.ts_ms:
            self._batch.add_frame(frame)

    def _without_refused(self, frame: TickFrame, topic: str) -> TickFrame:
        """The frame without its refused ticks, which are counted."""
        kept = []
        for at, (ts_ms, price) in enumerate(zip(frame.ts_ms, frame.price, strict=True)):
            reason = self._rules.tick_fault(ts_ms, price, frame.ts_recv)
            if reason is None:
                kept.append(at)
            else:
                measures.SKIPPED.labels(GROUP, topic, reason).inc()
        return msgspec.structs.replace(
            frame,
            ts_ms=[frame.ts_ms[at] for at in kept],
            price=[frame.price[at] for at in kept],
            seq=[frame.seq[at] for at in kept],
            volume=None if frame.volume is None else [frame.volume[at] for at in kept],
            tick_id=None,
        )
