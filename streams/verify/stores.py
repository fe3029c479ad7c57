"""What MongoDB and Redis hold, read without the sinks' or the API's code."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

import msgspec
import polars as pl
from bson.codec_options import CodecOptions
from pymongo import MongoClient
from pymongo.database import Database
from pymongo.read_concern import ReadConcern
from redis import Redis

from optionstream.schemas import redis_keys
from optionstream.schemas.connections import mongo_options
from optionstream.schemas.documents import (
    BARS,
    CHAINS,
    GAPS,
    REJECTS,
    SURFACES,
    TICK_RANGES,
    TICKS,
    Document,
)
from optionstream.schemas.times import to_ms
from optionstream.schemas.topics import Namespace
from optionstream.streams.verify.chains.facts import ChainFacts, facts_of_document, instant
from optionstream.streams.verify.gaps.compare import GapFacts, facts_of_gap_document
from optionstream.streams.verify.reject_parts import RejectPart, part_of_document
from optionstream.streams.verify.report import DIFFERENT, UNREADABLE, Differences
from optionstream.streams.verify.surface import facts as surface_facts
from optionstream.streams.verify.surface.facts import Facts as SurfaceFacts
from optionstream.streams.verify.ticks.stored import STORED_COLUMNS
from optionstream.streams.verify.ticks.window_book import BAR_COLUMNS


class LatestValues:
    """The values of the latest state (``PATTERNS``) of one namespace, by their key without the
    namespace's prefix."""

    PATTERNS = (
        "latest:underlying:*",
        "latest:chain:*",
        "latest:pcr:*",
        "latest:option:*",
        "ohlc:*",
        "volatility_surface:*",
    )

    def __init__(self, client: Redis, namespace: Namespace) -> None:
        self._client = client
        self._namespace = namespace

    def read(self) -> dict[str, dict[str, Any] | None]:
        """Documents; None where the value is no JSON object."""
        prefix = self._namespace.redis("")
        found = {}
        for pattern in self.PATTERNS:
            for raw in self._client.scan_iter(match=prefix + pattern, count=1_000):
                key = raw.decode() if isinstance(raw, bytes) else str(raw)
                if not key.endswith(redis_keys.GUARD_SUFFIX):
                    found[key[len(prefix) :]] = self._document(key)
        return found

    def _document(self, key: str) -> dict[str, Any] | None:
        if self._client.type(key) not in (b"string", "string"):
            return None
        value: Any = self._client.get(key)
        try:
            return msgspec.json.decode(value or b"", type=dict[str, Any])
        except msgspec.DecodeError:
            return None


Mongo = Database[Document]
Facts = TypeVar("Facts")
Epochs = dict[Any, int]
"""Epochs by the value that stands in MongoDB, numbered."""

BROKEN = (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError)
"""What reading a document that is not of the shape expected raises."""

_TICK_FIELDS = ("timestamp", "product", "price", "volume", "seq", "refused", "p", "o", "i", "e")
_CHUNK = 50_000


def mongo_client(uri: str) -> MongoClient[Document]:
    return MongoClient(**mongo_options(uri, 5_000))


def mongo_database(client: MongoClient[Document], namespace: Namespace) -> Mongo:
    """The namespace's database: aware datetimes, what a majority holds."""
    options: CodecOptions[Any] = CodecOptions(tz_aware=True)
    concern = ReadConcern("majority")
    return client.get_database(namespace.mongo_db, codec_options=options, read_concern=concern)


def stored_bars(db: Mongo, differences: Differences) -> pl.DataFrame:
    """The bars of MongoDB, in BAR_COLUMNS; one whose ``_id`` is not its own is a difference."""
    where = f"mongo {BARS}"
    columns: dict[str, list[Any]] = {name: [] for name in BAR_COLUMNS}
    for document in db[BARS].find({}, {"known_at": 0}):
        try:
            row = bar_row(document)
        except BROKEN as error:
            differences.add(UNREADABLE, where, str(document["_id"]), "a bar", repr(error))
            continue
        if document["_id"] != bar_id(row):
            differences.add(DIFFERENT, where, bar_id(row), {"_id": bar_id(row)}, dict(document))
        for name, column in columns.items():
            column.append(row[name])
    return pl.DataFrame(columns, schema=BAR_COLUMNS)


def stored_chains(db: Mongo, differences: Differences) -> dict[str, list[ChainFacts]]:
    """The chains of MongoDB by ``_id``."""
    return _by_id(db, CHAINS, "a chain", facts_of_document, differences)


def stored_surfaces(db: Mongo, differences: Differences) -> dict[str, list[SurfaceFacts]]:
    """The volatility surfaces of MongoDB by ``_id``."""
    return _by_id(db, SURFACES, "a surface", surface_facts.facts_of_document, differences)


def _by_id(
    db: Mongo,
    name: str,
    what: str,
    facts_of: Callable[[Document], Facts],
    differences: Differences,
) -> dict[str, list[Facts]]:
    """The facts of a collection's documents by ``_id``; one that is none is a difference."""
    found: dict[str, list[Facts]] = {}
    for document in db[name].find({}, {"known_at": 0}):
        try:
            found[str(document["_id"])] = [facts_of(document)]
        except BROKEN as error:
            differences.add(UNREADABLE, f"mongo {name}", str(document["_id"]), what, repr(error))
    return found


def stored_gaps(db: Mongo, differences: Differences) -> set[GapFacts]:
    """The gaps of MongoDB; one whose ``_id`` is not its own is a difference."""
    where = f"mongo {GAPS}"
    found: set[GapFacts] = set()
    for document in db[GAPS].find({}, {"known_at": 0}):
        try:
            facts = facts_of_gap_document(document)
            found.add(facts)
        except BROKEN as error:
            differences.add(UNREADABLE, where, str(document["_id"]), "a gap", repr(error))
            continue
        if document["_id"] != facts.id:
            differences.add(DIFFERENT, where, facts.id, {"_id": facts.id}, dict(document))
    return found


def stored_rejects(db: Mongo, differences: Differences) -> list[RejectPart]:
    """The rejects of MongoDB."""
    found = []
    for document in db[REJECTS].find():
        try:
            found.append(part_of_document(document))
        except BROKEN as error:
            where, id_ = f"mongo {REJECTS}", str(document["_id"])
            differences.add(UNREADABLE, where, id_, "a reject", repr(error))
    return found


def bar_row(document: Mapping[str, Any]) -> dict[str, Any]:
    """A bar document in BAR_COLUMNS. Raises KeyError or ValueError when it is none."""
    row = {name: document[name] for name in BAR_COLUMNS}
    return {**row, "start": instant(row["start"]), "end": instant(row["end"])}


def bar_id(row: Mapping[str, Any]) -> str:
    """The id of the bar in a row of BAR_COLUMNS."""
    return "|".join(str(row[name]) for name in ("product", "interval", "start", "revision"))


def stored_ticks(db: Mongo) -> tuple[pl.DataFrame, int]:
    """The ticks that count, in STORED_COLUMNS, and how many rows there are besides.

    A row counts as often as ranges of its epoch hold its offset.
    """
    epochs: Epochs = {}
    ranges = _ranges(db, epochs)
    counted, rows = [], 0
    for chunk in _tick_chunks(db, epochs):
        rows += chunk.height
        counted.append(_owned(chunk, ranges))
    ticks = pl.concat([pl.DataFrame(schema=STORED_COLUMNS), *counted])
    return ticks, max(0, rows - ticks.height)


def _ranges(db: Mongo, epochs: Epochs) -> pl.DataFrame:
    rows = [
        (
            epochs.setdefault(one["epoch"], len(epochs)),
            one["partition"],
            one["first"],
            one["last"],
        )
        for one in db[TICK_RANGES].find()
    ]
    names = ("epoch", "partition", "first", "last")
    return pl.DataFrame(rows, schema=dict.fromkeys(names, pl.Int64), orient="row")


def _owned(ticks: pl.DataFrame, ranges: pl.DataFrame) -> pl.DataFrame:
    """The ticks whose (partition, offset) lies in a range of their epoch.

    One row a record is looked up, not one a tick: frames are long, ranges few.
    """
    record = ["epoch", "partition", "offset"]
    owned = (
        ticks.select(record)
        .unique()
        .join(ranges, on=["epoch", "partition"])
        .filter(pl.col("offset").is_between("first", "last"))
    )
    return ticks.join(owned.select(record), on=record).select(*STORED_COLUMNS)


def _tick_chunks(db: Mongo, epochs: Epochs) -> Iterator[pl.DataFrame]:
    fields = {"_id": 0, **dict.fromkeys(_TICK_FIELDS, 1)}
    rows: list[tuple[Any, ...]] = []
    for document in db[TICKS].find({}, fields, batch_size=10_000):
        rows.append(_tick_row(document, epochs))
        if len(rows) == _CHUNK:
            yield _tick_frame(rows)
            rows = []
    yield _tick_frame(rows)


def _tick_row(document: Mapping[str, Any], epochs: Epochs) -> tuple[Any, ...]:
    return (
        epochs.get(document["e"], -1),
        document["p"],
        document["o"],
        document["i"],
        document["product"],
        to_ms(document["timestamp"]),
        document["seq"],
        document["price"],
        document["volume"],
        document.get("refused"),
    )


def _tick_frame(rows: list[tuple[Any, ...]]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema={"epoch": pl.Int64, **STORED_COLUMNS}, orient="row")
