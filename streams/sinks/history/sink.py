"""The ``history`` sink: everything that happened, in MongoDB."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pymongo
from confluent_kafka import Message
from pymongo.errors import PyMongoError

from optionstream.schemas import topics
from optionstream.schemas.derived import Bar, ChainAnalytics, Gap, Reject, VolatilitySurface
from optionstream.schemas.documents import (
    BARS,
    CHAINS,
    GAPS,
    REJECTS,
    SURFACES,
    Document,
    bar_document,
    chain_document,
    gap_document,
    surface_document,
)
from optionstream.schemas.errors import RecordError
from optionstream.schemas.rejects import BAD_TIME, WRONG_TOPIC
from optionstream.streams.core.rules import Rules
from optionstream.streams.process import WorkerConfig
from optionstream.streams.sinks.history.collections import connect, database, ensure_collections
from optionstream.streams.sinks.history.storable import insert_new
from optionstream.streams.sinks.history.tick_store import TickStore
from optionstream.streams.sinks.loop import metrics as measures
from optionstream.streams.sinks.loop import records as reading
from optionstream.streams.sinks.loop.contract import Assigned, LoopOptions
from optionstream.streams.sinks.loop.main import run_sink

GROUP = "history"
_LINGER_S = 0.2
_MOST_RECORDS = 5_000
_FLUSH_TIMEOUT_S = 30.0


def run(config: WorkerConfig) -> int:
    """Run one worker of the group until SIGTERM or SIGINT; returns the exit code."""
    return run_sink(config, GROUP, HistorySink, LoopOptions(linger_s=_LINGER_S))


class HistorySink:
    """Appends: derived values under their deterministic id, ticks through `TickStore`."""

    server = "mongodb"
    unavailable: tuple[type[Exception], ...] = (PyMongoError,)

    def __init__(self, config: WorkerConfig) -> None:
        self._client = connect(config.mongo)
        self._db = database(self._client, config.namespace)
        self._ticks = TickStore(self._db, Rules.of(config.namespace, config.settings))
        self._derived: dict[str, list[Document]] = {
            name: [] for name in (BARS, CHAINS, SURFACES, GAPS, REJECTS)
        }
        self._bases: dict[str, str] = {}
        self._flush_rows = config.settings.mongo_flush_rows
        self._rows_a_record = float(self._flush_rows)

    @property
    def pending(self) -> int:
        return len(self._ticks.rows) + sum(len(rows) for rows in self._derived.values())

    @property
    def appetite(self) -> int:
        """So many records as fill the flush if they are like those before."""
        room = self._flush_rows - self.pending
        if room <= 0:
            return 0
        return max(1, min(_MOST_RECORDS, int(room / self._rows_a_record)))

    def prepare_store(self) -> None:
        ensure_collections(self._db)

    def start_partitions(self, assigned: Sequence[Assigned]) -> Mapping[tuple[str, int], int]:
        """Ticks go on at the position in MongoDB, all else at the committed offset."""
        self.drop_rows()
        self._bases = {one.topic.name: one.base for one in assigned}
        return self._ticks.start_partitions(
            [one for one in assigned if one.base == topics.UNDERLYING]
        )

    def add_records(self, records: Sequence[Message]) -> int:
        """Stops when the flush is full: what records are like is known only when they are read, and
        thousands that were expected to be bars may be frames."""
        before, count = self.pending, 0
        for message in records:
            if count and self.pending >= self._flush_rows:
                break
            count += 1
            topic = message.topic() or ""
            try:
                self._add(self._bases[topic], message)
            except RecordError as error:
                measures.SKIPPED.labels(GROUP, topic, error.reason).inc()
        self._rows_a_record = max(1.0, (self.pending - before) / max(1, count))
        return count

    def flush_rows(self, reached: Mapping[tuple[str, int], int]) -> None:
        with pymongo.timeout(_FLUSH_TIMEOUT_S):
            for name, documents in self._derived.items():
                self._flush_derived(name, documents)
            measures.ROWS.labels(GROUP, "tick").inc(self._ticks.flush_rows())
        self._derived = {name: [] for name in self._derived}

    def check_store(self) -> None:
        """Nothing: MongoDB keeps what it acknowledged."""

    def drop_rows(self) -> None:
        self._ticks.drop_rows()
        self._derived = {name: [] for name in self._derived}

    def _flush_derived(self, name: str, documents: Sequence[Document]) -> None:
        if not documents:
            return
        written = insert_new(self._db[name], documents)
        measures.ROWS.labels(GROUP, name).inc(written)
        measures.NOOPS.labels(GROUP, name).inc(len(documents) - written)

    def _add(self, base: str, message: Message) -> None:
        if base == topics.UNDERLYING:
            self._add_ticks(message)
            return
        record = reading.read(message)
        if base == topics.OHLC and isinstance(record, Bar):
            self._add_bar(record)
        elif base == topics.CHAIN and isinstance(record, ChainAnalytics):
            reading.check_chain(record)
            self._derived[CHAINS].append({"_id": record.id, **chain_document(record)})
        elif base == topics.SURFACE and isinstance(record, VolatilitySurface):
            reading.check_surface(record)
            self._derived[SURFACES].append({"_id": record.id, **surface_document(record)})
        elif base == topics.GAPS and isinstance(record, Gap):
            reading.check_gap(record)
            self._derived[GAPS].append({"_id": record.id, **gap_document(record)})
        elif base == topics.REJECTS and isinstance(record, Reject):
            self._derived[REJECTS].append(_reject_document(record))
        else:
            raise RecordError(WRONG_TOPIC, type(record).__name__)

    def _add_bar(self, bar: Bar) -> None:
        """Bars of open windows are views of the moment, not history."""
        if not bar.final:
            return
        reading.check_bar(bar)
        self._derived[BARS].append({"_id": bar.id, **bar_document(bar)})

    def _add_ticks(self, message: Message) -> None:
        partition, offset = message.partition(), message.offset()
        assert partition is not None
        assert offset is not None
        try:
            frame = reading.read_ticks(message)
        except RecordError:
            self._ticks.add_record(partition, offset, None)
            raise
        left_out = self._ticks.add_record(partition, offset, frame)
        if left_out:
            measures.SKIPPED.labels(GROUP, message.topic(), BAD_TIME).inc(left_out)


def _reject_document(reject: Reject) -> Document:
    return {
        "_id": reject.id,
        "reason": reject.reason,
        "detail": reject.detail,
        "topic": reject.topic,
        "partition": reject.partition,
        "offset": reject.offset,
        "record_ts": reject.record_ts,
        "events": reject.events,
        "indices": reject.indices,
        "raw_key": reject.raw_key,
        "raw": reject.raw,
        "headers": [[name, value] for name, value in reject.headers],
    }
