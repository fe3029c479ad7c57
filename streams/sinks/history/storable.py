"""Inserting documents of which a few may be more than MongoDB can hold.

A number beyond 64 bits or a document beyond 16 MB would fail its whole batch for ever. Such a
document is left out, counted and logged; the record it came from stays in Kafka.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import bson
from bson.errors import BSONError
from pymongo.collection import Collection
from pymongo.errors import BulkWriteError, DocumentTooLarge

from optionstream.schemas.documents import Document
from optionstream.streams.sinks.loop import metrics

logger = logging.getLogger(__name__)

UNSTORABLE = (OverflowError, BSONError, DocumentTooLarge)
"""What an insert raises for a document that cannot be held, before or while it sends."""
_MOST_BYTES = 16 * 1024 * 1024
_DUPLICATE_KEY = 11000


def insert_new(collection: Collection[Document], documents: Sequence[Document]) -> int:
    """Insert the documents whose ``_id`` is new; returns how many were.

    Raises pymongo.errors.PyMongoError for anything but a repeated id.
    """
    try:
        return _insert_new(collection, documents)
    except UNSTORABLE:
        # What of the batch is in already counts as repeated now.
        return _insert_new(collection, keep_storable(documents, collection.name))


def keep_storable(documents: Sequence[Document], collection: str) -> list[Document]:
    """The documents that MongoDB can hold; the others are counted and logged."""
    kept = []
    for document in documents:
        try:
            size = len(bson.encode(document))
        except UNSTORABLE as error:
            _leave_out(document, collection, str(error))
            continue
        if size > _MOST_BYTES:
            _leave_out(document, collection, f"{size} bytes")
            continue
        kept.append(document)
    return kept


def is_duplicate(error: BulkWriteError) -> bool:
    """Whether nothing but repeated ids went wrong."""
    details: Any = error.details or {}
    if details.get("writeConcernErrors"):
        return False
    failed = details.get("writeErrors", [])
    return bool(failed) and all(one.get("code") == _DUPLICATE_KEY for one in failed)


def _insert_new(collection: Collection[Document], documents: Sequence[Document]) -> int:
    if not documents:
        return 0
    try:
        collection.insert_many(documents, ordered=False)
    except BulkWriteError as error:
        if not is_duplicate(error):
            raise
        return len(documents) - len(error.details["writeErrors"])
    return len(documents)


def _leave_out(document: Document, collection: str, why: str) -> None:
    name = document.get("_id") or {key: document.get(key) for key in ("product", "p", "o", "i")}
    logger.error("history: %s cannot hold %s: %s", collection, name, why)
    metrics.SKIPPED.labels("history", collection, "unstorable").inc()
