"""A reset of the tick history: rows from an offset on count no more, and are read again.

A position that is reset begins a new *generation*, noted in its document together with the offset
(``cut``) in one update: from then on a writer of an older generation cannot move it. After that
the ranges of older generations are cut off at that offset and marked ``retired``, so that a writer
that had moved the position before, and was frozen then, cannot bring its range back. A reset that
was interrupted in between is finished by whoever begins next.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from pymongo import UpdateOne
from pymongo.errors import BulkWriteError, DuplicateKeyError

from optionstream.schemas.documents import SINK_POSITIONS, TICK_RANGES, Document
from optionstream.streams.sinks.history.collections import Db
from optionstream.streams.sinks.history.storable import is_duplicate


def reset_ticks(db: Db, topic_id: str, partition: int, offset: int) -> None:
    """Let the stored ticks of a partition from ``offset`` on count no more, and the history go on
    there. The rows themselves stay, as surplus.

    May be repeated. Raises pymongo.errors.PyMongoError.
    """
    id_ = f"{topic_id}|{partition}"
    while not _moved(db, id_, topic_id, partition, offset):
        pass  # a worker moved it in between
    finish_cuts(db, [id_])


def partitions_of_other_topics(db: Db, topic_id: str) -> list[tuple[str, int]]:
    """Topic id and partition of what was stored of earlier topics of the same name."""
    found = db[SINK_POSITIONS].find({"topic_id": {"$ne": topic_id}})
    return [(row["topic_id"], row["partition"]) for row in found]


def finish_cuts(db: Db, ids: Collection[str]) -> list[Document]:
    """Finish the resets of these positions that were interrupted; returns the positions."""
    positions = _positions(db, ids)
    unfinished = [position for position in positions if "cut" in position]
    for position in unfinished:
        _cut(db, position)
    return _positions(db, ids) if unfinished else positions


def write_ranges(db: Db, positions: Sequence[Document]) -> None:
    """Bring the ranges noted in position documents to where readers look.

    Raises BulkWriteError for a repeated id when a reset has retired one of them.
    """
    writes = [_range_write(position) for position in positions if "range" in position]
    if writes:
        db[TICK_RANGES].bulk_write(writes, ordered=False)


def _range_write(position: Document) -> UpdateOne:
    noted = position["range"]
    generation = {"generation": noted["generation"]} if "generation" in noted else {}
    return UpdateOne(
        {"_id": noted["_id"], "retired": {"$exists": False}},
        {
            "$max": {"last": noted["last"]},
            "$setOnInsert": {
                "topic_id": position["topic_id"],
                "partition": position["partition"],
                "first": noted["first"],
                "epoch": noted["epoch"],
                **generation,
            },
        },
        upsert=True,
    )


def _moved(db: Db, id_: str, topic_id: str, partition: int, offset: int) -> bool:
    finish_cuts(db, [id_])
    before = db[SINK_POSITIONS].find_one({"_id": id_}) or {}
    as_seen = {name: before.get(name, {"$exists": False}) for name in ("next", "generation", "cut")}
    to = {
        "topic_id": topic_id,
        "partition": partition,
        "next": offset,
        "generation": before.get("generation", 0) + 1,
        "cut": offset,
    }
    try:
        done = db[SINK_POSITIONS].update_one(
            {"_id": id_, **as_seen}, {"$set": to}, upsert=not before
        )
    except DuplicateKeyError:
        return False
    return done.matched_count == 1 or done.upserted_id is not None


def _cut(db: Db, position: Document) -> None:
    """Cut the ranges of generations before the position's, and forget the cut."""
    try:
        write_ranges(db, [position])  # the one that the last flush noted, if it is not there
    except BulkWriteError as error:
        if not is_duplicate(error):  # else this was done before
            raise
    at, generation = position["cut"], position["generation"]
    older = {
        "topic_id": position["topic_id"],
        "partition": position["partition"],
        "last": {"$gte": at},
        "generation": {"$not": {"$gte": generation}},
    }
    # A range that lies behind the cut as a whole becomes empty: its end is before its beginning.
    end = {"$max": [{"$subtract": ["$first", 1]}, at - 1]}
    db[TICK_RANGES].update_many(older, [{"$set": {"last": end, "retired": True}}])
    db[SINK_POSITIONS].update_one(
        {"_id": position["_id"], "generation": generation, "cut": at},
        {"$unset": {"cut": "", "range": ""}},
    )


def _positions(db: Db, ids: Collection[str]) -> list[Document]:
    return list(db[SINK_POSITIONS].find({"_id": {"$in": list(ids)}}))
