"""A MongoDB client for commands: one line where it fails."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pymongo
from pymongo.errors import PyMongoError

from optionstream.schemas.connections import mongo_options
from optionstream.schemas.errors import ServerUnavailable

_SERVER_WAIT_MS = 5_000

Row = dict[str, Any]


@contextmanager
def mongo_client(uri: str) -> Iterator[pymongo.MongoClient[Row]]:
    """A client whose failures come out as one line of ServerUnavailable."""
    try:
        with pymongo.MongoClient[Row](
            **mongo_options(uri, _SERVER_WAIT_MS, tz_aware=True)
        ) as client:
            yield client
    except PyMongoError as error:
        raise ServerUnavailable(f"mongo: {reason_of(error)}") from None


def reason_of(error: PyMongoError) -> str:
    """The driver's first words, without its settings and its view of the replica set."""
    return str(error).split(" (configured timeouts")[0].split(", Timeout:")[0]
