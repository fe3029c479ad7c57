"""Publishing market events to Kafka: nothing is lost without an error that says so.

Every record is acknowledged by all in-sync replicas, written once (idempotent producer) and lies
on the partition of its product. Nothing is sent before every partition has its leader, and an
acknowledgement without an offset is none (docs/adr/0019). A record that Kafka did not take raises
DeliveryError at the next ``publish``, ``flush`` or ``close``, and at each one after that.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException, Message, Producer
from confluent_kafka.admin import AdminClient

from optionstream.producers.kafka.leaders import wait_for_leaders
from optionstream.producers.kafka.settings import PublisherSettings, PublishStats
from optionstream.schemas import codec, topics
from optionstream.schemas.connections import kafka_options
from optionstream.schemas.errors import DeliveryError, NamespaceError, ServerUnavailable
from optionstream.schemas.events import ChainSnapshot, MarketEvent, OptionQuoteFrame, Tick

_FULL_QUEUE_WAIT_S: Final = 0.05
_FLUSH_SLICE_S: Final = 0.5
_FLUSH_GRACE_S: Final = 10.0
_PERHAPS_LOST: Final = "taken for a duplicate, perhaps not stored"
_log: Final = logging.getLogger(__name__)
_log.addHandler(logging.NullHandler())  # what matters comes as an error


class Publisher:
    """Publishes into one namespace; a context manager that flushes when it ends.

    ``bootstrap`` is ``host:port[,…]``; ``raw`` allows ``publish_raw``. Files and replays may not go
    into ``live`` and ``sim``: unless ``allow_live`` these raise NamespaceError. Raises
    ServerUnavailable when no broker answers, NamespaceError when the namespace's topics do not
    exist.
    """

    def __init__(
        self,
        bootstrap: str,
        namespace: topics.Namespace,
        *,
        allow_live: bool,
        raw: bool = False,
        settings: PublisherSettings | None = None,
    ) -> None:
        if namespace.is_live and not allow_live:
            raise NamespaceError(
                f"namespace {namespace.name!r} is for live feeds: replay files into one of their "
                "own, e.g. --namespace monday"
            )
        self.stats = PublishStats()
        self._bootstrap = bootstrap
        self._settings = settings or PublisherSettings()
        self._failures: list[str] = []
        self._last_error = ""
        self._closed = False
        wanted = (*topics.MARKET_TOPICS, *(topics.RAW_TOPICS if raw else ()))
        self._topics = {base: namespace.topic(base) for base in wanted}
        self._raw_topics = {namespace.topic(base) for base in topics.RAW_TOPICS}
        self._producer = Producer(
            {
                **self._settings.configuration(bootstrap),
                "error_cb": self._remember,
                "logger": _log,
            }
        )
        self._partitions = self._read_partitions()

    def publish(self, event: MarketEvent) -> None:
        """Hand one event to the producer; waits while the local queue is full. Raises
        DeliveryError when an earlier record failed or Kafka can never take this one."""
        self._raise_failures()
        base, key = address_of(event)
        value = codec.encode(event)
        topic = self._topics[base]
        partition = topics.partition_for(event.product, self._partitions[topic])
        headers = codec.headers_for(event)
        self._produce(topic, partition, key.encode(), value, headers, event.ts_recv)
        self.stats.count(event, len(value))
        self._producer.poll(0)

    def publish_copy(
        self,
        base: str,
        partition: int,
        key: bytes | None,
        value: bytes | None,
        headers: Sequence[tuple[str, bytes | None]],
        stamp_ms: int,
        event: MarketEvent | Tick | None,
    ) -> None:
        """Hand over a record of another namespace as it is: to the same partition of the topic that
        plays the part ``base``. ``event`` is what it holds, None for a record that cannot be read.
        Raises as ``publish``."""
        self._raise_failures()
        self._produce(self._topics[base], partition, key, value, headers, stamp_ms)
        self.stats.count(event, len(value or b""))
        self._producer.poll(0)

    def publish_raw(
        self, base: str, value: bytes, headers: Sequence[tuple[str, bytes]], stamp_ms: int
    ) -> None:
        """Hand over a body as received, or a part of one, for the raw topic ``base``. Raises as
        ``publish``."""
        self._raise_failures()
        self._produce(self._topics[base], 0, None, value, headers, stamp_ms)
        self.stats.raw += 1
        self._producer.poll(0)

    def flush(self) -> None:
        """Wait until every record is acknowledged. Raises DeliveryError."""
        self._drain()
        self._raise_failures()

    def close(self) -> None:
        """Flush and publish no more. Raises DeliveryError; calling it again does nothing more."""
        if not self._closed:
            self._closed = True
            self._drain()
        self._raise_failures()

    def __enter__(self) -> Publisher:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self.close()
        except DeliveryError as failed:
            if error is None:
                raise
            if failed.args != error.args:  # the block's own error goes first, this one with it
                error.add_note(str(failed))

    def _produce(
        self,
        topic: str,
        partition: int,
        key: bytes | None,
        value: bytes | None,
        headers: Any,
        stamp_ms: int,
    ) -> None:
        while True:
            try:
                self._producer.produce(
                    topic,
                    value=value,
                    key=key,
                    partition=partition,
                    headers=headers,
                    timestamp=stamp_ms,
                    on_delivery=self._delivered,
                )
                return
            except BufferError:
                self.stats.retries_queue_full += 1
                self._producer.poll(_FULL_QUEUE_WAIT_S)
                self._raise_failures()
            except KafkaException as error:
                raise DeliveryError(_failure(topic, _shown(key), error.args[0])) from None

    def _delivered(self, error: KafkaError | None, message: Message) -> None:
        if error is None and message.offset() is not None:
            self.stats.delivered += message.topic() not in self._raw_topics
            return
        # Without an offset the broker took it for one that it has, which it says of lost ones too.
        why = error or KafkaError(KafkaError.DUPLICATE_SEQUENCE_NUMBER, _PERHAPS_LOST)
        self._failures.append(_failure(message.topic() or "?", _shown(message.key()), why))

    def _raise_failures(self) -> None:
        if self._failures:
            more = len(self._failures) - 1
            raise DeliveryError(self._failures[0] + (f" (and {more} more)" if more else ""))

    def _drain(self) -> None:
        limit = self._settings.delivery_timeout_ms / 1000.0 + _FLUSH_GRACE_S
        deadline = time.monotonic() + limit
        while left := self._producer.flush(_FLUSH_SLICE_S):
            if time.monotonic() > deadline:
                raise DeliveryError(
                    f"{left} records for {', '.join(self._partitions)} were not "
                    f"acknowledged in {limit:.0f} s {self._last_error}".rstrip()
                )

    def _read_partitions(self) -> dict[str, int]:
        # All topics: asking a broker for one that is missing may make it.
        try:
            known = self._producer.list_topics(timeout=self._settings.metadata_timeout_s).topics
        except KafkaException as error:
            detail = self._last_error or error.args[0].str()
            raise ServerUnavailable(
                f"Kafka at {self._bootstrap} does not answer ({detail}): run `optionstream up`"
            ) from None
        for topic in self._topics.values():
            if topic not in known or not known[topic].partitions:
                raise NamespaceError(
                    f"topic {topic} does not exist at {self._bootstrap}: `optionstream up` makes "
                    "the topics of live and sim, `optionstream replay` those of a replay"
                )
        counts = {topic: len(known[topic].partitions) for topic in self._topics.values()}
        admin = AdminClient(kafka_options(self._bootstrap, {"logger": _log}))
        wait_for_leaders(admin, counts, self._settings.metadata_timeout_s)
        return counts

    def _remember(self, error: KafkaError) -> None:
        self._last_error = error.str()


def address_of(event: MarketEvent) -> tuple[str, str]:
    """The topic (of no namespace) and the key that an event is written under."""
    if isinstance(event, ChainSnapshot):
        return topics.OPTION_CHAIN, topics.chain_key(event.product, event.expiry)
    if isinstance(event, OptionQuoteFrame):
        return topics.OPTION_QUOTE, topics.chain_key(event.product, event.expiry)
    return topics.UNDERLYING, event.product


def _shown(key: bytes | str | None) -> str:
    return key if isinstance(key, str) else (key or b"").decode("utf-8", "backslashreplace")


def _failure(topic: str, key: str, error: KafkaError) -> str:
    return f"Kafka did not take a record for {topic}, key {key}: {error.name()}: {error.str()}"
