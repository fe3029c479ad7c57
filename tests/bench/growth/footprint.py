"""What a replay left in Kafka: state by product, records a closed bar, bytes of state topics."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from optionstream.schemas import codec
from optionstream.schemas.derived import Bar
from optionstream.schemas.events import Tick, TickFrame
from optionstream.schemas.topics import OHLC, STATE_TOPIC_OF, UNDERLYING, Namespace
from optionstream.streams.core.intake import Source
from optionstream.streams.core.market.calendar import nse_calendar
from optionstream.streams.core.rules import Rules
from optionstream.streams.core.ticks.partition import TickPartition
from optionstream.streams.engine.state_topic import Snapshot, StateReader, encode_snapshot
from optionstream.streams.kafka.records import RawRecord
from optionstream.streams.kafka.topic_reader import TopicReader, size_of
from tests.bench.inputs import PRODUCTS, records_of
from tests.bench.report import Result, at_most

HOT_LIMIT_BYTES = 8_000
CHANGELOG_LIMIT = 0.5
_DAY_TICKS = 100_000
"""Of one product: 4 to 5 a second."""


@dataclass(frozen=True, slots=True)
class Footprint:
    """Bytes are before compression, keys included."""

    hot: int
    """The most of ``hot()`` over a day of one product, one tick at a time."""
    snapshot: int
    """The largest snapshot record of the replay, divided by the products in it."""
    records_a_bar: int
    """The most final records of one bar."""
    bars: int
    state_bytes: int
    input_bytes: int


class _Record(NamedTuple):
    offset: int
    timestamp: int
    key: bytes
    value: bytes
    headers: list[tuple[str, bytes]]


def footprint(kafka: str, namespace: Namespace) -> Footprint:
    """Measure what the replay of ``tests.bench.growth.memory`` left in the namespace."""
    with TopicReader(kafka, namespace) as reader:
        final = _final_records(reader)
        return Footprint(
            hot=most_hot(),
            snapshot=_largest_snapshot(kafka, namespace, len(reader.bounds(UNDERLYING))),
            records_a_bar=max(final.values()),
            bars=len(final),
            state_bytes=sum(_bytes(reader, topic) for topic in STATE_TOPIC_OF.values()),
            input_bytes=_bytes(reader, UNDERLYING),
        )


def results(found: Footprint) -> list[Result]:
    """One line each."""
    changelog = "state topics, bytes for each byte of input"
    return [
        at_most("hot state of one product, most of a day", "bytes", found.hot, HOT_LIMIT_BYTES),
        at_most("snapshot of one product in Kafka", "bytes", found.snapshot, HOT_LIMIT_BYTES),
        at_most(f"final records of one of {found.bars:,} bars", "records", found.records_a_bar, 1),
        at_most(
            changelog, "bytes/byte", found.state_bytes / found.input_bytes, 1.0, CHANGELOG_LIMIT
        ),
    ]


def most_hot(ticks: int = _DAY_TICKS) -> int:
    """The most bytes of ``hot()`` while a partition takes a day of one product."""
    partition = TickPartition(Source(UNDERLYING, 0, 1), Rules(nse_calendar()))
    most = 0
    for record in _records(ticks):
        partition.apply([record])
        most = max(most, len(partition.hot()))
        partition.take_segments()
    return most


def _records(ticks: int) -> Iterator[_Record]:
    for offset, event in enumerate(records_of(ticks, 1, PRODUCTS[:1])):
        assert isinstance(event, Tick | TickFrame)
        key, headers = event.product.encode(), codec.headers_for(event)
        yield _Record(offset, event.ts_recv or 0, key, codec.encode(event), headers)


def _largest_snapshot(kafka: str, namespace: Namespace, partitions: int) -> int:
    topic = namespace.topic(STATE_TOPIC_OF[UNDERLYING])
    reader = StateReader(kafka)
    try:
        found = [reader.snapshot(topic, partition) for partition in range(partitions)]
    finally:
        reader.close()
    return max(_a_product(snapshot) for snapshot in found if snapshot is not None)


def _a_product(snapshot: Snapshot) -> int:
    """Bytes of a snapshot for each product in it; segments are named by product."""
    products = {name.split("|", 1)[0] for name in snapshot.segments}
    return len(encode_snapshot(snapshot)) // max(1, len(products))


def _final_records(reader: TopicReader) -> Counter[tuple[str, str, int]]:
    counted: Counter[tuple[str, str, int]] = Counter()
    for record in _all(reader, OHLC):
        bar = codec.decode(record.value or b"", record.headers)
        if isinstance(bar, Bar) and bar.final:
            counted[bar.product, bar.interval, bar.start] += 1
    return counted


def _bytes(reader: TopicReader, topic: str) -> int:
    """Keys and values of all that was ever written; RuntimeError when compaction took some."""
    written, bounds = 0, reader.bounds(topic)
    total = 0
    for records in reader.read(topic, bounds):
        written += len(records)
        total += sum(len(record.key or b"") + len(record.value or b"") for record in records)
    if written != size_of(bounds):
        raise RuntimeError(f"{topic} was compacted before it was measured")
    return total


def _all(reader: TopicReader, topic: str) -> Iterator[RawRecord]:
    for records in reader.read(topic, reader.bounds(topic)):
        yield from records
