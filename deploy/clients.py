"""Clients of MongoDB and Redis for commands: their errors become one line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pymongo
import redis
from pymongo.errors import PyMongoError

from optionstream.deploy.stack.probes import first_line
from optionstream.schemas.connections import mongo_options, redis_options
from optionstream.schemas.errors import ServerUnavailable

_SERVER_WAIT_MS = 5_000

Row = dict[str, Any]
"""A document of MongoDB."""


@contextmanager
def mongo_client(uri: str) -> Iterator[pymongo.MongoClient[Row]]:
    """Open a MongoDB client for the block; its errors there become ServerUnavailable."""
    try:
        with pymongo.MongoClient[Row](
            **mongo_options(uri, _SERVER_WAIT_MS, tz_aware=True)
        ) as client:
            yield client
    except PyMongoError as error:
        raise ServerUnavailable(f"mongo: {first_line(error)}") from None


@contextmanager
def redis_client(url: str) -> Iterator[redis.Redis]:
    """Open a Redis client for the block; its errors there become ServerUnavailable."""
    try:
        with redis.Redis.from_url(**redis_options(url)) as client:
            yield client
    except redis.RedisError as error:
        raise ServerUnavailable(f"redis: {error}") from None
