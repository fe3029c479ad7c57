"""Reading stored ticks: exactly those whose (partition, offset) lies in a range of their epoch."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from typing import Any

from bson import ObjectId
from pymongo import ASCENDING

from optionstream.schemas.documents import TICK_RANGES, TICKS, Document
from optionstream.schemas.times import ist
from optionstream.streams.sinks.history.collections import Db

_IN_ORDER = [("timestamp", ASCENDING), ("p", ASCENDING), ("o", ASCENDING), ("i", ASCENDING)]


class Ownership:
    """Which epoch owns which offsets, as the ranges said when it was loaded."""

    def __init__(self, ranges: list[Document]) -> None:
        self._ranges: dict[tuple[ObjectId, int], list[tuple[int, int]]] = {}
        for one in ranges:
            key = one["epoch"], int(one["partition"])
            self._ranges.setdefault(key, []).append((int(one["first"]), int(one["last"])))
        for spans in self._ranges.values():
            spans.sort()

    @classmethod
    def load(cls, db: Db) -> Ownership:
        return cls(list(db[TICK_RANGES].find()))

    def holds(self, row: Document) -> bool:
        """Whether a row of the time-series collection counts."""
        spans = self._ranges.get((row["e"], row["p"]))
        if not spans:
            return False
        at = bisect_right(spans, (row["o"], 1 << 63)) - 1
        return at >= 0 and spans[at][0] <= row["o"] <= spans[at][1]


def read_ticks(
    db: Db, product: str, start: int | None = None, end: int | None = None
) -> Iterator[Document]:
    """The stored ticks of a product with ``start <= timestamp < end`` (epoch ms), each once.

    In the order of time, then of the log. ``timestamp`` is aware when ``db`` comes from
    mongo_schema.database. A flush during the reading may or may not be seen.
    """
    query: dict[str, Any] = {"product": product}
    bounds = {"$gte": start, "$lt": end}
    span = {name: ist(ms) for name, ms in bounds.items() if ms is not None}
    if span:
        query["timestamp"] = span
    rows = db[TICKS].find(query, allow_disk_use=True).sort(_IN_ORDER)
    # After the query began, so that no row that it sees lacks its range for having come later.
    first = next(rows, None)
    if first is None:
        return
    owned = Ownership.load(db)
    if owned.holds(first):
        yield first
    for row in rows:
        if owned.holds(row):
            yield row


def raw_surplus(db: Db) -> int:
    """How many stored rows no range owns: traces of crashes and of zombies, never read."""
    owned = Ownership.load(db)
    fields = {"p": 1, "o": 1, "e": 1, "_id": 0}
    return sum(not owned.holds(row) for row in db[TICKS].find({}, fields))
