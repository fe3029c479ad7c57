"""Raw ``insert_many`` of the history sink's own tick documents into the same kind of collection."""

from __future__ import annotations

import time

from bson import ObjectId

from optionstream.schemas.documents import TICKS
from optionstream.schemas.events import TickFrame
from optionstream.schemas.settings import Settings
from optionstream.schemas.topics import Namespace
from optionstream.streams.core.rules import Rules
from optionstream.streams.sinks.history.collections import connect, database, ensure_collections
from optionstream.streams.sinks.history.tick_rows import tick_rows
from tests.bench.inputs import records_of


def raw_insert_rate(mongo: str, namespace: Namespace, settings: Settings, ticks: int) -> float:
    """Documents a second; the documents are ready-made and batched as the sink batches them."""
    rules = Rules.of(namespace, settings)
    client = connect(mongo)
    try:
        client.drop_database(namespace.mongo_db)
        db = database(client, namespace)
        ensure_collections(db)
        rows = []
        for offset, frame in enumerate(records_of(ticks, 1_000)):
            assert isinstance(frame, TickFrame)
            rows += tick_rows(frame, 0, offset, ObjectId(), rules)[0]
        size = settings.mongo_flush_rows
        started = time.perf_counter()
        for at in range(0, len(rows), size):
            db[TICKS].insert_many(rows[at : at + size], ordered=False)
        return len(rows) / (time.perf_counter() - started)
    finally:
        client.drop_database(namespace.mongo_db)
        client.close()
