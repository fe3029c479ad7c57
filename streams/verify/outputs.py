"""What came out: the records of the output topics in a form that can be compared."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import polars as pl

from optionstream.schemas.codec import decode
from optionstream.schemas.derived import Bar, ChainAnalytics, Gap, Reject, VolatilitySurface
from optionstream.schemas.errors import RecordError
from optionstream.schemas.topics import (
    CHAIN,
    GAPS,
    OHLC,
    OPTION_CHAIN,
    OPTION_QUOTE,
    REJECTS,
    SURFACE,
    UNDERLYING,
    chain_key,
    partition_for,
)
from optionstream.streams.kafka.records import RawRecord
from optionstream.streams.verify.chains.facts import ChainFacts, facts_of_record
from optionstream.streams.verify.gaps.compare import GapFacts, facts_of_gap
from optionstream.streams.verify.reject_parts import RejectPart, part_of_record
from optionstream.streams.verify.report import MISPLACED, UNREADABLE, Differences
from optionstream.streams.verify.surface.facts import Facts, facts_of_surface, id_of
from optionstream.streams.verify.ticks.journal import in_64_bits
from optionstream.streams.verify.ticks.window_book import BAR_COLUMNS

Told = Bar | ChainAnalytics | VolatilitySurface | Gap | Reject

_BELONGS: dict[str, type] = {
    OHLC: Bar,
    CHAIN: ChainAnalytics,
    SURFACE: VolatilitySurface,
    GAPS: Gap,
    REJECTS: Reject,
}
_SOURCES = {
    OHLC: (UNDERLYING,),
    GAPS: (UNDERLYING,),
    CHAIN: (OPTION_CHAIN, OPTION_QUOTE),
    SURFACE: (OPTION_CHAIN, OPTION_QUOTE),
}
"""The topics whose partition a record goes out to."""


class Outputs:
    """Feed it every output record (``take_all``), then ask.

    ``chains`` and ``surfaces``: by id, the different facts reported under it. ``rejects`` and
    ``gaps``: the different ones. A record that cannot be read, or is in the wrong place, goes to
    ``differences``.
    """

    def __init__(self, partitions: dict[str, int], differences: Differences) -> None:
        self.chains: dict[str, list[ChainFacts]] = {}
        self.surfaces: dict[str, list[Facts]] = {}
        self.rejects: set[RejectPart] = set()
        self.gaps: set[GapFacts] = set()
        self.records = 0
        self._partitions = partitions
        self._differences = differences
        self._bars: dict[str, list[Any]] = {name: [] for name in BAR_COLUMNS}

    def take_all(self, records: Iterable[RawRecord]) -> None:
        for record in records:
            self.take(record)

    def take(self, record: RawRecord) -> None:
        self.records += 1
        content = self._decoded(record)
        if isinstance(content, Reject):
            self.rejects.add(part_of_record(content))
        elif isinstance(content, Bar):
            self._check_place(record, content.product, content.product)
            self._take_bar(content)
        elif isinstance(content, Gap):
            self._check_place(record, content.product, content.product)
            self.gaps.add(facts_of_gap(content))
        elif isinstance(content, ChainAnalytics):
            key = chain_key(content.product, content.expiry)
            self._check_place(record, content.product, key)
            self._take_chain(content)
        elif isinstance(content, VolatilitySurface):
            self._check_place(record, content.product, content.product)
            self._take_surface(content)

    def bars(self) -> pl.DataFrame:
        """The different bars, in BAR_COLUMNS, partial ones (revision 0) among them."""
        return pl.DataFrame(self._bars, schema=BAR_COLUMNS).unique()

    def _take_bar(self, bar: Bar) -> None:
        for name, column in self._bars.items():
            value = getattr(bar, name)
            column.append(in_64_bits(value) if type(value) is int else value)

    def _take_chain(self, chain: ChainAnalytics) -> None:
        facts = facts_of_record(chain)
        told = self.chains.setdefault(facts.id, [])
        if facts not in told:
            told.append(facts)

    def _take_surface(self, surface: VolatilitySurface) -> None:
        facts = facts_of_surface(surface)
        told = self.surfaces.setdefault(id_of(facts), [])
        if facts not in told:
            told.append(facts)

    def _decoded(self, record: RawRecord) -> Told | None:
        try:
            content = decode(record.value, record.headers)
        except RecordError as error:
            self._report(UNREADABLE, record, "a readable record", str(error))
            return None
        if not isinstance(content, _BELONGS[record.topic]):
            wanted = _BELONGS[record.topic].__name__
            self._report(UNREADABLE, record, wanted, type(content).__name__)
            return None
        assert isinstance(content, Told)
        return content

    def _check_place(self, record: RawRecord, product: str, key: str) -> None:
        """Report a record without the key of its content, or not on the partition of its input."""
        counts = {self._partitions.get(topic, 0) for topic in _SOURCES[record.topic]} - {0}
        homes = sorted({partition_for(product, count) for count in counts})
        if record.key != key.encode() or record.partition not in homes:
            shown = (record.key or b"").decode("utf-8", "backslashreplace")
            wanted = " or ".join(map(str, homes))
            actual = f"key {shown}, partition {record.partition}"
            self._report(MISPLACED, record, f"key {key}, partition {wanted}", actual)

    def _report(self, kind: str, record: RawRecord, expected: str, actual: str) -> None:
        place = f"{record.partition}|{record.offset}"
        self._differences.add(kind, f"kafka {record.topic}", place, expected, actual)
