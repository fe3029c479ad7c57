"""From records to rows in the store, and from where to read again. No Kafka here.

What is not yet settled is in memory alone: the positions in the store are therefore those of the
first record of each date that is still open, and a successor makes everything from there again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from optionstream.schemas.derived import Bar, ChainAnalytics
from optionstream.schemas.files.feature_rows import Row
from optionstream.schemas.topics import CHAIN, OHLC
from optionstream.streams.core.features.facts import facts_of
from optionstream.streams.core.features.join import (
    FeatureJoin,
    FeatureRules,
    ProductDay,
    day_of,
)
from optionstream.streams.sinks.features.store import FeatureStore

Source = tuple[str, int]
"""A topic without its namespace, and a partition."""


@dataclass(slots=True)
class _Part:
    """One partition number, of both topics."""

    join: FeatureJoin
    next: dict[str, int] = field(default_factory=dict)
    """By topic, the offset after the last record."""
    first: dict[str, dict[ProductDay, int]] = field(default_factory=lambda: {OHLC: {}, CHAIN: {}})
    """By topic, the offset of the first record of each date."""


class FeatureWriter:
    """Joins partitions and keeps their rows in a store. Not shared between threads."""

    def __init__(self, store: FeatureStore, rules: FeatureRules) -> None:
        self._store = store
        self._rules = rules
        self._ids: dict[Source, str] = {}
        self._parts: dict[int, _Part] = {}
        self._made: list[Row] = []
        """Rows that the store has not taken yet."""

    def start_partitions(self, ids: Mapping[Source, str]) -> dict[Source, int]:
        """Forget everything; these partitions follow, by the ids of their topics. Returns where
        those begin that the store knows."""
        self.drop_all()
        if not ids:
            return {}
        self._ids = dict(ids)
        stored = self._store.read_offsets()
        begin = {
            source: stored[topic_id, source[1]]
            for source, topic_id in ids.items()
            if (topic_id, source[1]) in stored
        }
        for (topic, partition), offset in begin.items():
            self._part(partition).next[topic] = offset
        return begin

    def drop_all(self) -> None:
        """Forget everything that is in memory."""
        self._ids = {}
        self._parts = {}
        self._made = []

    def skip_record(self, topic: str, partition: int, offset: int) -> None:
        """A record that says nothing here."""
        self._part(partition).next[topic] = offset + 1

    def add_bar(self, partition: int, offset: int, bar: Bar) -> bool:
        """Take a bar; False when it makes no row (`FeatureJoin.add_bar`)."""
        part = self._part(partition)
        part.next[OHLC] = offset + 1
        taken = part.join.add_bar(bar)
        if taken:
            part.first[OHLC].setdefault((bar.product, day_of(bar.start)), offset)
        return taken

    def add_chain(self, partition: int, offset: int, chain: ChainAnalytics) -> bool:
        """Take a chain; False when its date is no longer kept."""
        part = self._part(partition)
        part.next[CHAIN] = offset + 1
        taken = part.join.add_chain(facts_of(chain))
        if taken:
            part.first[CHAIN].setdefault((chain.product, day_of(chain.ts_event)), offset)
        return taken

    def write_rows(self, idle: Mapping[int, frozenset[str]] | None = None) -> int:
        """Keep the rows that are due, and the positions; returns how many rows were new. ``idle``:
        by partition, the products whose chains do not hold rows back for now. What the store
        refuses is kept for the next attempt."""
        waiting: dict[str, int] = {}
        for partition, part in self._parts.items():
            self._made += part.join.take_rows((idle or {}).get(partition, frozenset()))
            waiting |= part.join.outstanding()
        offsets = {
            (self._ids[topic, partition], partition): offset
            for (topic, partition), offset in self.resume_offsets().items()
        }
        added = self._store.write_rows(self._made, offsets, waiting)
        self._made = []
        return added

    def waiting_products(self) -> Iterator[tuple[int, str]]:
        """Partition and name of the products with bars that wait for their row."""
        for partition, part in self._parts.items():
            for product, count in part.join.outstanding().items():
                if count:
                    yield partition, product

    def next_offsets(self, partition: int) -> Mapping[str, int]:
        """By topic, the next offset; none of a topic of which nothing was read."""
        return self._part(partition).next

    def resume_offsets(self) -> dict[Source, int]:
        """From where a successor has to read."""
        found = {}
        for partition, part in self._parts.items():
            days = set(part.join.open_days())
            for topic, offset in part.next.items():
                first = part.first[topic]
                for day in first.keys() - days:
                    del first[day]
                found[topic, partition] = min((offset, *first.values()))
        return found

    def _part(self, partition: int) -> _Part:
        part = self._parts.get(partition)
        if part is None:
            part = self._parts[partition] = _Part(FeatureJoin(self._rules))
        return part
