"""What the partitions of all market topics have in common: reading, refusing, counting."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from optionstream.streams.core.counts import Counts
from optionstream.streams.core.intake import (
    Incoming,
    MarketRecord,
    Output,
    Refused,
    Source,
    read,
    reject_record,
)
from optionstream.streams.core.rules import Rules


class _Product(Protocol):
    @property
    def counts(self) -> Counts:
        """What became of its events."""


class Partition:
    """Records of one partition in; outputs out; state as bytes. Not shared between threads."""

    products: Mapping[str, _Product]

    def __init__(self, source: Source, rules: Rules) -> None:
        self.source = source
        self.rules = rules
        self.unread = Counts()
        """Counts of records that belong to no product's state."""

    def read_record(self, incoming: Incoming) -> MarketRecord | Output:
        """Return the event of a record, or its reject."""
        try:
            return read(incoming, self.source)
        except Refused as error:
            return self.refuse_record(incoming, error)

    def refuse_record(self, incoming: Incoming, error: Refused) -> Output:
        """Count a record as refused and return its reject."""
        self.unread.add_reject(error.reason, error.events)
        return reject_record(incoming, self.source, error)

    def partials(self, *, quick: bool = False) -> list[Output]:
        """Return views of the moment that changed: none where every output is final."""
        return []

    def counts(self) -> list[Counts]:
        """Return the counts of records that belong to no product, then those of each product."""
        return [self.unread, *(product.counts for product in self.products.values())]
