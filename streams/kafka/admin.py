"""The administration client, and how answers to its requests are awaited."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Future
from typing import Any, Final, TypeVar

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from optionstream.schemas.connections import NO_LOG, kafka_options
from optionstream.schemas.errors import ServerUnavailable
from optionstream.streams.kafka.answers import error_code, error_text, kafka_call

TIMEOUT_S: Final = 30.0
"""How long one request to the cluster may take."""

K = TypeVar("K")
T = TypeVar("T")


def admin_client(kafka: str) -> AdminClient:
    """An administration client that stays silent about connections; errors are raised."""
    return AdminClient(kafka_options(kafka, NO_LOG))


def partition_counts(admin: AdminClient) -> dict[str, int]:
    """Every topic of the cluster with its number of partitions."""
    listed = kafka_call(lambda: admin.list_topics(timeout=TIMEOUT_S))
    return {name: len(topic.partitions) for name, topic in listed.topics.items()}


def results(futures: Mapping[K, Future[T]]) -> dict[K, T]:
    """The answers to one request for many things; raises what the first failed one raises."""
    return {key: future.result(TIMEOUT_S) for key, future in futures.items()}


def settle(future: Future[Any], fine: int | None = None) -> None:
    """Wait for one change; the error code ``fine`` says that it was made already."""
    try:
        future.result(TIMEOUT_S)
    except KafkaException as error:
        if fine is None or error_code(error) != fine:
            raise ServerUnavailable(f"kafka: {error_text(error)}") from None
    except TimeoutError:
        raise ServerUnavailable(f"kafka: no answer within {TIMEOUT_S:.0f} s") from None
