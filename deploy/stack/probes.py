"""Probes of servers: each returns None when the server is ready, else one line with the problem.

A port that accepts connections does not prove a working server: Kafka may still load its
coordinators, MongoDB elect its primary. ``thorough`` probes write something harmless to find
out; use them only on servers of our own.
"""

from __future__ import annotations

from typing import Any, Final

import pymongo
import redis as redis_client
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic
from pymongo.errors import PyMongoError

from optionstream.deploy.stack.ports import accepts_connections
from optionstream.deploy.stack.types import Server
from optionstream.deploy.waiting import attempts
from optionstream.schemas.connections import (
    NO_LOG,
    consumer_options,
    kafka_options,
    mongo_options,
    producer_options,
    redis_options,
)

PROBE_TOPIC = "__optionstream_ready"
"""Takes one empty record for each ``up``, kept for an hour; nothing reads it."""

_TIMEOUT_S = 3.0
_TIMEOUT_MS = 3_000
# librdkafka prints every refused connection on standard error; a probe expects them.
_SHORT: Final = {"socket.timeout.ms": _TIMEOUT_MS, **NO_LOG}


def find_problem(server: Server, address: str) -> str | None:
    """Probe a server at its address; return None when it is ready, else the problem."""
    match server:
        case Server.KAFKA:
            return kafka_problem(address)
        case Server.MONGO:
            return mongo_problem(address)
        case Server.REDIS:
            return redis_problem(address)


def kafka_problem(bootstrap: str, thorough: bool = False) -> str | None:
    """Check that Kafka is reachable and has a controller.

    ``thorough``: also that it takes an idempotent record and serves groups.
    """
    if not any(accepts_connections(*split_address(a, 9092)) for a in bootstrap.split(",")):
        return f"nothing answers at {bootstrap}"
    admin = AdminClient(kafka_options(bootstrap, _SHORT))
    try:
        cluster = admin.describe_cluster(request_timeout=_TIMEOUT_S).result(timeout=_TIMEOUT_S + 1)
        if cluster.controller is None or not cluster.nodes:
            return "the cluster has no controller yet"
        return _kafka_works(admin, bootstrap) if thorough else None
    except (KafkaException, TimeoutError) as error:
        return first_line(error) or "no answer in time"


def mongo_problem(uri: str) -> str | None:
    """Check that ``hello`` is answered by the primary of a replica set."""
    try:
        with pymongo.MongoClient[dict[str, Any]](
            **mongo_options(uri, _TIMEOUT_MS, connect=True)
        ) as client:
            hello = client.admin.command("hello")
    except PyMongoError as error:
        return first_line(error)
    if "setName" not in hello:
        return "not a replica set: history needs majority reads; start mongod with --replSet"
    return None if hello.get("isWritablePrimary") else "no primary elected yet"


def redis_problem(url: str) -> str | None:
    """Check that PING is answered, which needs the data set loaded."""
    try:
        with redis_client.Redis.from_url(**redis_options(url, _TIMEOUT_S, _TIMEOUT_S)) as client:
            client.ping()
    except (redis_client.RedisError, ValueError) as error:
        return first_line(error)
    return None


def split_address(address: str, default_port: int) -> tuple[str, int]:
    """Split ``host:port`` (or ``[::1]:port``); a missing port is ``default_port``."""
    host, colon, port = address.strip().rpartition(":")
    if not colon or not port.isdigit():
        return address.strip().strip("[]"), default_port
    return host.strip("[]"), int(port)


def _kafka_works(admin: AdminClient, bootstrap: str) -> str | None:
    _make_probe_topic(admin)
    outcome: list[KafkaError | None] = []
    producer = Producer(producer_options(bootstrap, _SHORT | {"delivery.timeout.ms": 5_000}))
    producer.produce(PROBE_TOPIC, b"", on_delivery=lambda error, _: outcome.append(error))
    producer.flush(_TIMEOUT_S + 3)
    # Not `outcome != [None]`: comparing a KafkaError with None raises.
    if not outcome:
        return "takes no idempotent record: no answer in time"
    if outcome[0] is not None:
        return f"takes no idempotent record: {outcome[0].str()}"
    return _groups_work(bootstrap)


def _groups_work(bootstrap: str) -> str | None:
    """Ask for a group's offsets, which makes the broker create and load its coordinator's topic.

    Asked by a consumer: AdminClient.list_consumer_group_offsets ends the whole process (librdkafka
    2.16.0 reads a null pointer below rd_kafka_handle_OffsetFetch) while a new broker answers
    NOT_COORDINATOR; a consumer gets that as an error.
    """
    consumer = Consumer(consumer_options(bootstrap, PROBE_TOPIC, _SHORT))
    try:
        consumer.committed([TopicPartition(PROBE_TOPIC, 0)], timeout=_TIMEOUT_S)
    finally:
        consumer.close()
    return None


def _make_probe_topic(admin: AdminClient) -> None:
    topic = NewTopic(PROBE_TOPIC, 1, 1, config={"retention.ms": "3600000"})
    for future in admin.create_topics([topic], operation_timeout=_TIMEOUT_S).values():
        try:
            future.result(timeout=_TIMEOUT_S + 1)
        except KafkaException as error:
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise
    for _ in attempts(_TIMEOUT_S, 0.05):
        if PROBE_TOPIC in admin.list_topics(timeout=_TIMEOUT_S).topics:
            return
    raise TimeoutError("a new topic does not appear")


def first_line(error: BaseException) -> str:
    """Return the first line of a driver's message, without its settings and topology."""
    cause = error.args[0] if error.args else error
    text = str(cause.str() if isinstance(cause, KafkaError) else error).strip().splitlines()
    first = text[0] if text else type(error).__name__
    return first.split(" (configured timeouts")[0].split(", Timeout:")[0]
