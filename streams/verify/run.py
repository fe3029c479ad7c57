"""``optionstream verify``: read everything from the servers and check it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from typing import Any

from pymongo.errors import PyMongoError
from redis import Redis, RedisError

from optionstream.schemas.connections import redis_options
from optionstream.schemas.errors import NamespaceError, ServerUnavailable
from optionstream.schemas.settings import Settings
from optionstream.schemas.topics import MARKET_TOPICS, OUTPUT_TOPICS, Namespace
from optionstream.streams.core.market.calendar import Calendar
from optionstream.streams.kafka.topic_reader import TopicReader, size_of
from optionstream.streams.verify.against import Comparison, compare_places
from optionstream.streams.verify.check import Check
from optionstream.streams.verify.places import places_of
from optionstream.streams.verify.report import Report
from optionstream.streams.verify.stores import LatestValues, mongo_client, mongo_database

Progress = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done, and how much there is."""


def verify(
    kafka: str,
    mongo: str,
    redis: str,
    namespace: Namespace,
    settings: Settings,
    calendar: Calendar,
    counts: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> Report:
    """Recompute the namespace from its input topics and compare it with all that it holds.

    ``kafka``, ``mongo`` and ``redis`` are addresses. ``counts`` are the analytics workers' own:
    {accepted, outside_session, outside{phase}, duplicates, held, rejects{reason}}, of all products
    and topics together. Raises NamespaceError when the namespace has no input topic,
    ServerUnavailable.
    """
    report = progress or (lambda what, done, total: None)
    with TopicReader(kafka, namespace) as reader:
        check = _read(reader, namespace, settings, calendar, report)
    report("recomputing and comparing with Kafka", 0, 1)
    check.compare_kafka()
    with _naming_servers(mongo, redis):
        report("comparing with MongoDB", 0, 1)
        with mongo_client(mongo) as stores:
            check.compare_mongo(mongo_database(stores, namespace))
        report("comparing with Redis", 0, 1)
        with closing(Redis.from_url(**redis_options(redis))) as keys:
            values = LatestValues(keys, namespace).read()
    check.compare_redis(values)
    check.compare_counts(counts or {})
    return check.report()


def compare_namespaces(
    kafka: str,
    mongo: str,
    redis: str,
    pair: tuple[Namespace, Namespace],
    counts_of: Callable[[Namespace], Mapping[str, Any]],
    progress: Callable[[str], None] = lambda place: None,
) -> Comparison:
    """Return what the two namespaces do not have in common (see ``against``).

    Nothing is recomputed. ``counts_of`` gives the analytics workers' own counts of a namespace,
    ``progress`` is called with each place. Raises ServerUnavailable.
    """
    one, other = pair
    with (
        _naming_servers(mongo, redis),
        TopicReader(kafka, one) as mine,
        TopicReader(kafka, other) as others,
        mongo_client(mongo) as stores,
        closing(Redis.from_url(**redis_options(redis))) as keys,
    ):
        ours, theirs = (
            places_of(reader, mongo_database(stores, space), keys, space, counts_of(space))
            for reader, space in ((mine, one), (others, other))
        )
        return compare_places(ours, theirs, progress)


@contextmanager
def _naming_servers(mongo: str, redis: str) -> Iterator[None]:
    """Raise ServerUnavailable, which names the server, for what a store's client raises."""
    try:
        yield
    except PyMongoError as error:
        raise ServerUnavailable(f"MongoDB at {mongo}: {error}") from error
    except RedisError as error:
        raise ServerUnavailable(f"Redis at {redis}: {error}") from error


def _read(
    reader: TopicReader,
    namespace: Namespace,
    settings: Settings,
    calendar: Calendar,
    report: Progress,
) -> Check:
    bounds = {topic: reader.bounds(topic) for topic in (*MARKET_TOPICS, *OUTPUT_TOPICS)}
    if not any(bounds[topic] for topic in MARKET_TOPICS):
        raise NamespaceError(f"namespace {namespace.name!r} has no topics of market data")
    partitions = {topic: len(parts) for topic, parts in bounds.items()}
    check = Check(namespace, settings, calendar, partitions)
    for topic, parts in bounds.items():
        take = check.take_inputs if topic in MARKET_TOPICS else check.take_outputs
        done, total = 0, size_of(parts)
        for batch in reader.read(topic, parts):
            take(batch)
            done += len(batch)
            report(f"reading {topic}", done, total)
    return check
