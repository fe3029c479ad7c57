"""The collections of one namespace's database, and the indexes the API's routes use."""

from __future__ import annotations

from typing import Any

from bson.codec_options import CodecOptions
from pymongo import ASCENDING, DESCENDING, IndexModel, MongoClient
from pymongo.database import Database
from pymongo.errors import CollectionInvalid, OperationFailure
from pymongo.read_concern import ReadConcern
from pymongo.write_concern import WriteConcern

from optionstream.schemas.connections import mongo_options
from optionstream.schemas.documents import (
    BARS,
    CHAINS,
    GAPS,
    REJECTS,
    SINK_POSITIONS,
    SURFACES,
    TICK_RANGES,
    TICKS,
    Document,
)
from optionstream.schemas.times import IST
from optionstream.schemas.topics import Namespace

Db = Database[Document]

_ZSTD = {"wiredTiger": {"configString": "block_compressor=zstd"}}
_TIME_SERIES = {"timeField": "timestamp", "metaField": "product", "granularity": "seconds"}
_NAMESPACE_EXISTS = 48

INDEXES: dict[str, list[IndexModel]] = {
    TICKS: [IndexModel([("product", ASCENDING), ("timestamp", ASCENDING)], name="by_time")],
    TICK_RANGES: [IndexModel([("epoch", ASCENDING), ("partition", ASCENDING)], name="by_epoch")],
    BARS: [
        IndexModel(
            [
                ("product", ASCENDING),
                ("interval", ASCENDING),
                ("start", ASCENDING),
                ("revision", DESCENDING),
            ],
            name="by_window",
        )
    ],
    CHAINS: [
        IndexModel(
            [
                ("product", ASCENDING),
                ("expiry", ASCENDING),
                ("timestamp", DESCENDING),
                ("received", DESCENDING),
                ("snapshot_id", DESCENDING),
            ],
            name="by_version",
        ),
        IndexModel([("product", ASCENDING), ("timestamp", DESCENDING)], name="by_time"),
    ],
    SURFACES: [
        IndexModel(
            [("product", ASCENDING), ("timestamp", DESCENDING), ("number", DESCENDING)],
            name="by_version",
        )
    ],
    GAPS: [
        IndexModel(
            [("product", ASCENDING), ("start", ASCENDING), ("revision", DESCENDING)],
            name="by_start",
        )
    ],
    REJECTS: [
        IndexModel(
            [("topic", ASCENDING), ("partition", ASCENDING), ("offset", ASCENDING)],
            name="by_record",
        )
    ],
}
PLAIN = (TICK_RANGES, SINK_POSITIONS, BARS, CHAINS, SURFACES, GAPS, REJECTS)


def connect(uri: str) -> MongoClient[Document]:
    """A client for a sink: it never repeats a write by itself, because a repeated insert into a
    time-series collection cannot be told from a second one. Connects at first use."""
    return MongoClient(
        **mongo_options(uri, 5_000, connect=True, retryWrites=False, socketTimeoutMS=60_000)
    )


def database(client: MongoClient[Document], namespace: Namespace) -> Db:
    """The namespace's database: majority writes and reads, aware datetimes in IST."""
    options: CodecOptions[Any] = CodecOptions(tz_aware=True, tzinfo=IST)
    return client.get_database(
        namespace.mongo_db,
        codec_options=options,
        write_concern=WriteConcern("majority"),
        read_concern=ReadConcern("majority"),
    )


def ensure_collections(db: Db) -> None:
    """Create what is missing; what is there stays. Raises pymongo.errors.PyMongoError."""
    there = set(db.list_collection_names())
    if TICKS not in there:
        _create(db, TICKS, timeseries=_TIME_SERIES)
    for name in PLAIN:
        if name not in there:
            _create(db, name)
    for name, indexes in INDEXES.items():
        db[name].create_indexes(indexes)


def _create(db: Db, name: str, **options: Any) -> None:
    try:
        db.create_collection(name, storageEngine=_ZSTD, check_exists=False, **options)
    except CollectionInvalid:
        return
    except OperationFailure as error:
        if error.code != _NAMESPACE_EXISTS:  # another worker was faster
            raise
