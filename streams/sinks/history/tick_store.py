"""Ticks into the time-series collection, each once as read.

A time-series collection has neither unique indexes nor transactions. So every row carries the
epoch of who wrote it, and an ordinary collection says which epoch owns which range of offsets:

1. insert the rows under this store's epoch (nobody sees them yet);
2. move each partition's position from where this store believes it to be to after the last row,
   and note in the same document which range that gives to the epoch. This one atomic update
   decides: of two that write the same records, one fails here, and its rows are surplus;
3. write the noted range to the collection that readers use.

A crash after 1 leaves surplus that is never read. After 2, whoever starts next does 3, which
may be repeated. A transaction over 2 and 3 would be shorter, but one that a killed process
leaves open blocks its successor for a minute (docs/stores.md).

    sink_positions           {_id: "<topic id>|<partition>", topic_id, partition, next,
                              range: {_id, first, last, epoch}[, generation][, cut]}
    underlying_tick_ranges   {_id: "<topic id>|<partition>|<first>|<epoch>", topic_id, partition,
                              first, last, epoch[, generation][, retired]}

``generation``, ``cut`` and ``retired`` come with a reset: streams.sinks.history.tick_generations.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from bson import ObjectId
from pymongo import UpdateOne
from pymongo.errors import BulkWriteError, PyMongoError

from optionstream.schemas.documents import SINK_POSITIONS, TICKS, Document
from optionstream.schemas.events import TickFrame
from optionstream.streams.core.rules import Rules
from optionstream.streams.sinks.history.collections import Db
from optionstream.streams.sinks.history.storable import UNSTORABLE, is_duplicate, keep_storable
from optionstream.streams.sinks.history.tick_generations import finish_cuts, write_ranges
from optionstream.streams.sinks.history.tick_rows import tick_rows
from optionstream.streams.sinks.loop.contract import Assigned, StartAgain

BEGINNING = -2
"""confluent_kafka.OFFSET_BEGINNING."""
_TAKEN = "another worker wrote the same records"


@dataclass
class _Partition:
    topic_id: str
    number: int
    next: int | None
    """The position in the store, as this process believes; None when there is none yet."""
    first: int | None = None
    """Where this epoch's range begins; it ends just before ``next``. None: it has none yet."""
    last: int | None = None
    """Offset of the last record added since the last flush."""
    generation: int | None = None
    """How often the position was reset; None: never."""

    @property
    def id(self) -> str:
        return f"{self.topic_id}|{self.number}"


@dataclass
class TickStore:
    """The rows of the underlying topic's partitions that this process was given."""

    db: Db
    rules: Rules
    epoch: ObjectId = field(default_factory=ObjectId)
    rows: list[Document] = field(default_factory=list)
    _partitions: dict[int, _Partition] = field(default_factory=dict)

    def start_partitions(self, assigned: Sequence[Assigned]) -> dict[tuple[str, int], int]:
        """Forget all rows, take up a new epoch, and return where each partition goes on.

        Raises pymongo.errors.PyMongoError.
        """
        self.drop_rows()
        self._new_epoch()
        parts = [_Partition(one.topic.id, one.partition, None) for one in assigned]
        # The last owner, or a reset, may not have come to it.
        positions = finish_cuts(self.db, [part.id for part in parts])
        self._write_ranges(positions)
        stored = {position["_id"]: position for position in positions}
        for part in parts:
            if (position := stored.get(part.id)) is not None:
                part.next, part.generation = int(position["next"]), position.get("generation")
        self._partitions = {part.number: part for part in parts}
        return {
            one.key: BEGINNING if part.next is None else part.next
            for one, part in zip(assigned, parts, strict=True)
        }

    def add_record(self, partition: int, offset: int, frame: TickFrame | None) -> int:
        """Keep a record's rows; None is a record without ticks, which is only passed over.

        Returns how many ticks were left out because of their time.
        """
        part = self._partitions[partition]
        if part.next is not None and offset < part.next:
            return 0  # stored already
        part.last = offset
        if frame is None:
            return 0
        rows, left_out = tick_rows(frame, partition, offset, self.epoch, self.rules)
        self.rows += rows
        return left_out

    def flush_rows(self) -> int:
        """Write the rows; returns how many.

        Raises pymongo.errors.PyMongoError with the rows kept, under a new epoch, or StartAgain
        when somebody else has moved a position.
        """
        moved = [part for part in self._partitions.values() if part.last is not None]
        if not moved:
            return 0
        try:
            self._insert()
            self._own(moved)
        except PyMongoError:
            self._new_epoch()  # what was inserted so far is surplus
            raise
        for part in moved:
            assert part.last is not None
            part.first = part.first if part.first is not None else part.next or 0
            part.next = part.last + 1
            part.last = None
        written = len(self.rows)
        self.rows = []
        return written

    def drop_rows(self) -> None:
        self.rows = []
        for part in self._partitions.values():
            part.last = None

    def _insert(self) -> None:
        if not self.rows:
            return
        try:
            self.db[TICKS].insert_many(self.rows, ordered=False)
        except UNSTORABLE:
            self.rows = keep_storable(self.rows, TICKS)
            self._new_epoch()
            if self.rows:
                self.db[TICKS].insert_many(self.rows, ordered=False)

    def _new_epoch(self) -> None:
        self.epoch = ObjectId()
        for row in self.rows:
            row["e"] = self.epoch
            row.pop("_id", None)
        for part in self._partitions.values():
            part.first = None

    def _own(self, moved: Sequence[_Partition]) -> None:
        """Take the offsets up to ``last`` of each partition, or raise StartAgain."""
        try:
            done = self.db[SINK_POSITIONS].bulk_write(
                [self._move_position(part) for part in moved], ordered=False
            )
        except BulkWriteError as error:
            if is_duplicate(error):
                raise StartAgain(_TAKEN) from None
            raise
        if done.matched_count + done.upserted_count != len(moved):
            raise StartAgain(_TAKEN)
        self._write_ranges([self._position(part) for part in moved])

    def _write_ranges(self, positions: Sequence[Document]) -> None:
        try:
            write_ranges(self.db, positions)
        except BulkWriteError as error:
            if is_duplicate(error):
                raise StartAgain("the position was reset meanwhile") from None
            raise

    def _move_position(self, part: _Partition) -> UpdateOne:
        return UpdateOne(
            {"_id": part.id, "next": part.next, "generation": _equal(part.generation)},
            {"$set": self._position(part)},
            # A position that is there but differs makes the upsert a duplicate key.
            upsert=part.next is None,
        )

    def _position(self, part: _Partition) -> Document:
        """The partition's position document after this flush, without its id."""
        assert part.last is not None
        first = (part.next or 0) if part.first is None else part.first
        return {
            "topic_id": part.topic_id,
            "partition": part.number,
            "next": part.last + 1,
            "range": {
                "_id": f"{part.topic_id}|{part.number}|{first}|{self.epoch}",
                "first": first,
                "last": part.last,
                "epoch": self.epoch,
                **({} if part.generation is None else {"generation": part.generation}),
            },
        }


def _equal(generation: int | None) -> Any:
    """The condition that a position is of this generation; an upsert adds no field for none."""
    return {"$exists": False} if generation is None else generation
