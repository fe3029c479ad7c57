"""What MongoDB and Redis hold, read without the sinks' or the API's code."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
import polars as pl
from bson.codec_options import CodecOptions
from pymongo import MongoClient
from pymongo.database import Database
from pymongo.read_concern import ReadConcern
from redis import Redis

from optionstream.schemas import redis_keys
from optionstream.schemas.connections import mongo_options
from optionstream.schemas.documents import TICK_RANGES, TICKS, Document
from optionstream.schemas.times import to_ms
from optionstream.schemas.topics import Namespace
from optionstream.streams.verify.compare import BROKEN
from optionstream.streams.verify.kinds import KINDS
from optionstream.streams.verify.outputs import Found
from optionstream.streams.verify.report import DIFFERENT, UNREADABLE, Differences
from optionstream.streams.verify.ticks.stored import STORED_COLUMNS

Mongo = Database[Document]
Epochs = dict[Any, int]
"""Epochs by their value in MongoDB, numbered."""

_TICK_FIELDS = ("timestamp", "product", "price", "volume", "seq", "refused", "p", "o", "i", "e")
_CHUNK = 50_000


def mongo_client(uri: str) -> MongoClient[Document]:
    """Return a client that gives up a server after 5 s."""
    return MongoClient(**mongo_options(uri, 5_000))


def mongo_database(client: MongoClient[Document], namespace: Namespace) -> Mongo:
    """Return the namespace's database: aware datetimes, what a majority holds."""
    options: CodecOptions[Any] = CodecOptions(tz_aware=True)
    concern = ReadConcern("majority")
    return client.get_database(namespace.mongo_db, codec_options=options, read_concern=concern)


def stored_results(db: Mongo, differences: Differences) -> Found:
    """Return what MongoDB holds, but for ticks.

    A document that cannot be read is a difference, and so is one whose ``_id`` is not its own.
    """
    found = Found()
    for kind in KINDS:
        where = f"mongo {kind.collection}"
        id_of = kind.stored_id or kind.id_of
        for document in db[kind.collection].find({}, {"known_at": 0}):
            stored = document["_id"]
            try:
                facts = kind.read.of_document(document)
                own = id_of(facts)
            except BROKEN as error:
                differences.add(UNREADABLE, where, str(stored), kind.record.__name__, repr(error))
                continue
            if stored != own:
                differences.add(DIFFERENT, where, own, {"_id": own}, {"_id": stored})
            found.add_facts(kind, facts)
    return found


def stored_ticks(db: Mongo) -> tuple[pl.DataFrame, int]:
    """Return the ticks that count, in STORED_COLUMNS, and how many rows there are besides.

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
    names = ("partition", "first", "last")
    rows = [
        (epochs.setdefault(one["epoch"], len(epochs)), *(one[name] for name in names))
        for one in db[TICK_RANGES].find()
    ]
    schema = dict.fromkeys(("epoch", *names), pl.Int64)
    return pl.DataFrame(rows, schema=schema, orient="row")


def _owned(ticks: pl.DataFrame, ranges: pl.DataFrame) -> pl.DataFrame:
    """Return the ticks whose (partition, offset) is in a range of their epoch.

    One row per record is looked up, not one per tick: frames are long, ranges few.
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


class LatestValues:
    """The values of the latest state (``PATTERNS``) of one namespace."""

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
        """Return documents by key without the namespace's prefix; None for what is no object."""
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
