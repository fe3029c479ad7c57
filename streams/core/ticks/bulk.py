"""Many one-tick records read at once.

Foreign producers send one tick a record. Read one by one, each costs several times what its tick
costs; as lines of one text the decoder takes them all in one call. Whatever is not plain, from a
foreign header to a bad number, is left to the long way, which says what is wrong: same result.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec

from optionstream.schemas.codec import FOREIGN_SCHEMA, HEADER, is_product
from optionstream.schemas.events import Tick
from optionstream.schemas.topics import partition_for
from optionstream.streams.core.intake import Incoming, Source

_PLAIN = [(HEADER, FOREIGN_SCHEMA.encode())]
_decode_lines = msgspec.json.Decoder(Tick).decode_lines


@dataclass(slots=True)
class TickGroup:
    """The ticks of one product and feed, with the records they came in; ``seq`` in all or none."""

    product: str
    ticks: list[Tick] = field(default_factory=list)
    records: list[Incoming] = field(default_factory=list)

    def is_one_feed(self) -> bool:
        ticks, first = self.ticks, self.ticks[0]
        return (
            all(tick.source == first.source for tick in ticks)
            and all(tick.session == first.session for tick in ticks)
            and [tick.seq for tick in ticks].count(None) in (0, len(ticks))
        )


def read_ticks(records: Sequence[Incoming], source: Source) -> list[TickGroup] | None:
    """The records by product, each product's in order; None when one needs the long way."""
    if not all(not record.headers or list(record.headers) == _PLAIN for record in records):
        return None
    ticks = _decoded(records)
    if ticks is None:
        return None
    groups: dict[bytes | None, TickGroup] = {}
    for tick, record in zip(ticks, records, strict=True):
        group = groups.get(record.key)
        if group is None:
            if not _is_at_home(tick.product, record.key, source):
                return None
            group = groups[record.key] = TickGroup(tick.product)
        elif tick.product != group.product:
            return None
        group.ticks.append(tick)
        group.records.append(record)
    found = list(groups.values())
    return found if all(group.is_one_feed() for group in found) else None


def _decoded(records: Sequence[Incoming]) -> list[Tick] | None:
    """One tick a record. Lines cannot run into each other, since no value holds a line's end."""
    values = [record.value for record in records]
    if None in values:
        return None
    text = b"\n".join(values)  # type: ignore[arg-type]
    if text.count(b"\n") != len(records) - 1:
        return None
    try:
        ticks = _decode_lines(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return ticks if len(ticks) == len(records) else None


def _is_at_home(product: str, key: bytes | None, source: Source) -> bool:
    return (
        is_product(product)
        and key == product.encode()
        and partition_for(product, source.partitions) == source.partition
    )
