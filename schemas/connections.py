"""Options of Kafka, MongoDB and Redis clients as plain dicts. Every client of the product is made
from them; no driver is imported here.

A Kafka client takes its dict as it is (``Consumer(consumer_options(…))``), the others as keyword
arguments (``MongoClient(**mongo_options(…))``, ``Redis.from_url(**redis_options(…))``). Nothing
connects before its first use.
"""

from __future__ import annotations

import logging
from typing import Any, Final

Options = dict[str, Any]

WORKER_LOG: Final[Options] = {"log_level": 4, "logger": logging.getLogger("librdkafka")}
"""For the Kafka clients of workers: log warnings and worse through Python's logging."""
NO_LOG: Final[Options] = {"log_level": 0}
"""For the Kafka clients of commands: log nothing, errors are raised."""
_LONGEST_WAIT_MS: Final = 100


def kafka_options(kafka: str, more: Options | None = None) -> Options:
    """Options of any Kafka client, and all there is to those of an administration client.

    ``kafka``: bootstrap servers, ``host:port[,host:port]``; ``more``: further settings of
    librdkafka, which win.
    """
    return {"bootstrap.servers": kafka, **(more or {})}


def consumer_options(kafka: str, group: str, more: Options | None = None) -> Options:
    """Options of a consumer that commits nothing by itself and starts at the first record where
    it is told no offset."""
    return {
        "bootstrap.servers": kafka,
        "group.id": group,
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "auto.offset.reset": "earliest",
        **(more or {}),
    }


def producer_options(kafka: str, more: Options | None = None) -> Options:
    """Options of a producer that neither loses nor repeats nor reorders records by retrying."""
    return {"bootstrap.servers": kafka, "acks": "all", "enable.idempotence": True, **(more or {})}


def batched_fetches(gather_ms: int) -> Options:
    """Consumer settings that batch fetches: after records came, wait ``gather_ms`` for more.

    Every record in the client's queue is enough for that. The wait is in the client: a request that
    waits in the broker is looked at with each record that comes. After a quiet moment a request is
    there already, and answered at once.

    A client has one request under way. It leaves out the partitions that have just brought records,
    and they are asked for again only when it has been answered: where the others are quiet, that is
    ``fetch.wait.max.ms`` later.
    """
    return {
        "queued.min.messages": 1,
        "fetch.queue.backoff.ms": gather_ms,
        "fetch.wait.max.ms": min(_LONGEST_WAIT_MS, 5 * gather_ms),
    }


def mongo_options(uri: str, wait_ms: int, *, connect: bool = False, **more: Any) -> Options:
    """Options of a MongoDB client that waits ``wait_ms`` for a usable server.

    ``connect``: give up a single connection after that time, too (else after the driver's 20 s).
    ``more``: further options of pymongo.
    """
    limits = {"serverSelectionTimeoutMS": wait_ms}
    if connect:
        limits["connectTimeoutMS"] = wait_ms
    return {"host": uri, **limits, **more}


def redis_options(url: str, answer_s: float = 0.0, connect_s: float = 0.0, **more: Any) -> Options:
    """Options of a Redis client that gives up an answer or a connection after so many seconds
    (0: never). ``more``: further options of redis-py."""
    limits = {"socket_timeout": answer_s, "socket_connect_timeout": connect_s}
    return {"url": url, **{name: value for name, value in limits.items() if value}, **more}
