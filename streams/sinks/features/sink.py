"""The ``features`` sink: bars joined with option chains, as Parquet for learning. docs/features.md.

The store decides where reading goes on, not the committed offsets.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping, Sequence

from confluent_kafka import OFFSET_BEGINNING, KafkaException, Message, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from optionstream.schemas.connections import WORKER_LOG, kafka_options
from optionstream.schemas.derived import Bar, ChainAnalytics
from optionstream.schemas.errors import RecordError
from optionstream.schemas.rejects import WRONG_TOPIC
from optionstream.schemas.topics import CHAIN, OHLC
from optionstream.streams.core.features.join import FeatureRules
from optionstream.streams.process import WorkerConfig
from optionstream.streams.sinks.features.store import FeatureStore
from optionstream.streams.sinks.features.writer import FeatureWriter
from optionstream.streams.sinks.loop import metrics as measures
from optionstream.streams.sinks.loop import records as reading
from optionstream.streams.sinks.loop.contract import Assigned, LoopOptions
from optionstream.streams.sinks.loop.file_lock import ArchiveBusy
from optionstream.streams.sinks.loop.main import run_sink

GROUP = "features"
_MOST_RECORDS = 500
"""A chain's record is tens of kilobytes."""
_TIMEOUT_S = 10.0

logger = logging.getLogger(__name__)


def run(config: WorkerConfig) -> int:
    """Run one worker of the group until SIGTERM or SIGINT: exit code 0. A folder that cannot be
    written: 1."""
    linger_s = float(config.settings.features_flush_s)
    return run_sink(config, GROUP, FeaturesSink, LoopOptions(linger_s=linger_s))


def rules_for(config: WorkerConfig) -> FeatureRules:
    """The rules in force: chains are waited for as long as ticks are."""
    settings = config.settings
    return FeatureRules(
        grace_ms=settings.allowed_lateness_ms,
        lateness_ms=settings.allowed_lateness_ms,
        max_age_ms=settings.features_max_age_ms,
        intervals=settings.features_intervals,
    )


class FeaturesSink:
    """Joins what it reads and has the rows kept.

    A product whose bars and chains both were silent for a while, everything read, is idle: its
    rows go out as they are. That decides when a row goes out, never what it says.
    """

    server = "features"
    unavailable: tuple[type[Exception], ...] = (ArchiveBusy,)

    def __init__(self, config: WorkerConfig) -> None:
        self._store = FeatureStore(config.settings.features_folder(config.namespace.name))
        self._writer = FeatureWriter(self._store, rules_for(config))
        self._admin = AdminClient(kafka_options(config.kafka, WORKER_LOG))
        self._idle_s = float(config.settings.features_idle_s)
        self._names: dict[str, str] = {}
        self._bases: dict[str, str] = {}
        self._heard_s: dict[str, float] = {}
        """When each product was last heard of."""
        self._started_s = 0.0

    @property
    def appetite(self) -> int:
        return _MOST_RECORDS

    def prepare_store(self) -> None:
        self._store.open()

    def start_partitions(self, assigned: Sequence[Assigned]) -> Mapping[tuple[str, int], int]:
        """Every partition goes on where the store says, whatever was asked for by hand: the rows
        to come need everything from there on."""
        self._bases = {one.topic.name: one.base for one in assigned}
        self._names = {one.base: one.topic.name for one in assigned}
        self._heard_s, self._started_s = {}, time.monotonic()
        known = self._writer.start_partitions(
            {(one.base, one.partition): one.topic.id for one in assigned}
        )
        return {one.key: known.get((one.base, one.partition), OFFSET_BEGINNING) for one in assigned}

    def add_records(self, records: Sequence[Message]) -> int:
        for message in records:
            topic, partition = message.topic() or "", message.partition() or 0
            base, offset = self._bases[topic], message.offset() or 0
            try:
                self._add(base, partition, offset, message)
            except RecordError as error:
                self._writer.skip_record(base, partition, offset)
                measures.SKIPPED.labels(GROUP, topic, error.reason).inc()
        return len(records)

    def flush_rows(self, reached: Mapping[tuple[str, int], int]) -> None:
        self._write({})

    def check_store(self) -> None:
        """The folder is still there; rows of idle products go out."""
        self._store.check_folder()
        idle = self._idle()
        if idle:
            self._write(idle)

    def drop_rows(self) -> None:
        self._writer.drop_all()

    # -- records ----------------------------------------------------------------------------

    def _add(self, base: str, partition: int, offset: int, message: Message) -> None:
        record = reading.read(message)
        if base == OHLC and isinstance(record, Bar):
            reading.check_bar(record)
            if self._writer.add_bar(partition, offset, record):
                self._heard_s[record.product] = time.monotonic()
        elif base == CHAIN and isinstance(record, ChainAnalytics):
            reading.check_chain(record)
            self._heard_s[record.product] = time.monotonic()
            if not self._writer.add_chain(partition, offset, record):
                measures.SKIPPED.labels(GROUP, message.topic(), "late_date").inc()
        else:
            raise RecordError(WRONG_TOPIC, type(record).__name__)

    def _write(self, idle: Mapping[int, frozenset[str]]) -> None:
        measures.ROWS.labels(GROUP, "row").inc(self._writer.write_rows(idle))

    # -- idle products ----------------------------------------------------------------------

    def _idle(self) -> dict[int, frozenset[str]]:
        """By partition, the products with bars that wait while nothing comes any more."""
        long_ago_s = time.monotonic() - self._idle_s
        silent: dict[int, set[str]] = {}
        for partition, product in self._writer.waiting_products():
            if self._heard_s.get(product, self._started_s) <= long_ago_s:
                silent.setdefault(partition, set()).add(product)
        read = self._read_to_the_end(silent)
        return {partition: frozenset(silent[partition]) for partition in read}

    def _read_to_the_end(self, partitions: Mapping[int, set[str]]) -> Iterator[int]:
        """Those of which both topics hold nothing more. Raises KafkaException."""
        if not partitions:
            return
        places = [
            TopicPartition(self._names[base], partition)
            for partition in partitions
            for base in (OHLC, CHAIN)
        ]
        first = self._offsets(places, OffsetSpec.earliest())  # type: ignore[no-untyped-call]
        last = self._offsets(places, OffsetSpec.latest())  # type: ignore[no-untyped-call]
        for partition in partitions:
            at = self._writer.next_offsets(partition)
            if all(
                max(at.get(base, 0), first[place]) >= last[place]
                for base in (OHLC, CHAIN)
                for place in ((self._names[base], partition),)
            ):
                yield partition

    def _offsets(
        self, places: Sequence[TopicPartition], spec: OffsetSpec
    ) -> dict[tuple[str, int], int]:
        asked = self._admin.list_offsets(dict.fromkeys(places, spec), request_timeout=_TIMEOUT_S)
        try:
            return {
                (place.topic, place.partition): future.result(timeout=_TIMEOUT_S + 1).offset
                for place, future in asked.items()
            }
        except TimeoutError:
            raise KafkaException("no answer about the ends of the topics") from None
