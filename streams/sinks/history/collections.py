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

INDEXES: dict[str, dict[str, str]] = {
    TICKS: {"by_time": "product timestamp"},
    TICK_RANGES: {"by_epoch": "epoch partition"},
    BARS: {"by_window": "product interval start -revision"},
    CHAINS: {
        "by_version": "product expiry -timestamp -received -snapshot_id",
        "by_time": "product -timestamp",
    },
    SURFACES: {"by_version": "product -timestamp -number"},
    GAPS: {"by_start": "product start -revision"},
    REJECTS: {"by_record": "topic partition offset"},
}
"""Fields of each index, by collection and name; ``-`` for descending."""
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
        db[name].create_indexes([index_model(*one) for one in indexes.items()])


def index_model(name: str, fields: str) -> IndexModel:
    """Return the index that a row of ``INDEXES`` describes."""
    keys = [(one.lstrip("-"), DESCENDING if one[0] == "-" else ASCENDING) for one in fields.split()]
    return IndexModel(keys, name=name)


def _create(db: Db, name: str, **options: Any) -> None:
    try:
        db.create_collection(name, storageEngine=_ZSTD, check_exists=False, **options)
    except CollectionInvalid:
        return
    except OperationFailure as error:
        if error.code != _NAMESPACE_EXISTS:  # another worker was faster
            raise
