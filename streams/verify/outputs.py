"""What was found: the results of a server, in a form that can be compared, and those of Kafka."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any

import polars as pl

from optionstream.schemas.codec import decode
from optionstream.schemas.derived import ChainAnalytics
from optionstream.schemas.errors import RecordError
from optionstream.schemas.topics import chain_key, partition_for
from optionstream.streams.kafka.records import RawRecord
from optionstream.streams.verify.kinds import BARS, KINDS, Kind
from optionstream.streams.verify.report import MISPLACED, UNREADABLE, Differences
from optionstream.streams.verify.ticks.journal import in_64_bits
from optionstream.streams.verify.ticks.window_book import BAR_COLUMNS


class Found:
    """The different facts of each kind; those of bars are kept in columns."""

    def __init__(self) -> None:
        self._bars: dict[str, list[Any]] = {name: [] for name in BAR_COLUMNS}
        self._facts: dict[Kind, dict[str, list[Any]]] = {kind: {} for kind in KINDS}

    def add_facts(self, kind: Kind, facts: Any) -> None:
        """Note the facts of a record or a document."""
        if kind is BARS:
            for name, column in self._bars.items():
                value = facts[name]
                column.append(in_64_bits(value) if type(value) is int else value)
            return
        held = self._facts[kind].setdefault(kind.id_of(facts), [])
        if facts not in held:
            held.append(facts)

    @cached_property
    def bars(self) -> pl.DataFrame:
        """The bars in BAR_COLUMNS, partial ones (revision 0) among them; ask when all are there."""
        columns, self._bars = self._bars, {}
        return pl.DataFrame(columns, schema=BAR_COLUMNS).unique()

    def facts(self, kind: Kind) -> Mapping[str, Sequence[Any]]:
        """Return the facts of any other kind, by id."""
        join, by_id = kind.join, self._facts[kind]
        return {id_: [join(parts)] for id_, parts in by_id.items()} if join else by_id


class Outputs:
    """Reads output records: ``take_records`` of them, then compare ``found``.

    A record that cannot be read, or is in the wrong place, is reported to ``differences``.
    """

    def __init__(self, partitions: Mapping[str, int], differences: Differences) -> None:
        self.found = Found()
        self.records = 0
        self._partitions = partitions
        self._differences = differences
        self._kinds = {kind.topic: kind for kind in KINDS}

    def take_records(self, records: Iterable[RawRecord]) -> None:
        """Read records of the output topics, in any order."""
        for record in records:
            self.take_record(record)

    def take_record(self, record: RawRecord) -> None:
        """Read one record."""
        self.records += 1
        kind = self._kinds[record.topic]
        try:
            content = decode(record.value, record.headers)
        except RecordError as error:
            self._report(UNREADABLE, record, "a readable record", str(error))
            return
        if not isinstance(content, kind.record):
            self._report(UNREADABLE, record, kind.record.__name__, type(content).__name__)
            return
        if kind.sources:
            self._check_place(record, content, kind.sources)
        self.found.add_facts(kind, kind.read.of_record(content))

    def _check_place(self, record: RawRecord, content: Any, sources: Sequence[str]) -> None:
        """Report a record without the key of its content, or not on the partition of its input."""
        product = content.product
        chain = isinstance(content, ChainAnalytics)
        key = chain_key(product, content.expiry) if chain else product
        counts = {self._partitions.get(topic, 0) for topic in sources} - {0}
        homes = sorted({partition_for(product, count) for count in counts})
        if record.key != key.encode() or record.partition not in homes:
            shown = (record.key or b"").decode("utf-8", "backslashreplace")
            wanted = " or ".join(map(str, homes))
            actual = f"key {shown}, partition {record.partition}"
            self._report(MISPLACED, record, f"key {key}, partition {wanted}", actual)

    def _report(self, kind: str, record: RawRecord, expected: str, actual: str) -> None:
        place = f"{record.partition}|{record.offset}"
        self._differences.add(kind, f"kafka {record.topic}", place, expected, actual)
