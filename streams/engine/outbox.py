"""Sends outputs and state through librdkafka: its thread does the work, not the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from functools import partial
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from optionstream.schemas.connections import WORKER_LOG, producer_options
from optionstream.schemas.topics import MAX_RECORD_BYTES
from optionstream.streams.kafka.answers import delivery_error

_REPORTS_EVERY_S = 0.005
"""Delivery reports are polled this often; no caller needs them sooner."""
_FULL_S = 0.005
_CLOSE_S = 5.0


class Outbox:
    """An idempotent producer for one event loop, which also asks it for the reports of deliveries:
    a thread that waits for them would contend with the loop for the interpreter."""

    def __init__(self, kafka: str) -> None:
        self._producer = Producer(_settings(kafka))
        self._asking = False

    async def send(
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        partition: int,
        timestamp_ms: int | None,
        headers: Sequence[tuple[str, bytes]] | None,
    ) -> Awaitable[int]:
        """Hand over one record; what is returned has its offset once all replicas have it, and
        raises KafkaException when it was not delivered, or perhaps not. Waits while the queue is
        full."""
        loop = asyncio.get_running_loop()
        delivery: asyncio.Future[int] = loop.create_future()
        options: dict[str, Any] = {} if headers is None else {"headers": list(headers)}
        while True:
            try:
                self._producer.produce(
                    topic,
                    value,
                    key,
                    partition,
                    on_delivery=partial(_resolve, delivery),
                    timestamp=timestamp_ms or 0,
                    **options,
                )
            except BufferError:
                await asyncio.sleep(_FULL_S)
            else:
                self._ask_soon(loop)
                return delivery

    def close(self) -> None:
        """Send what is left, within a few seconds, and stop."""
        self._producer.flush(_CLOSE_S)

    def _ask_soon(self, loop: asyncio.AbstractEventLoop) -> None:
        if not self._asking:
            self._asking = True
            loop.call_later(_REPORTS_EVERY_S, self._ask, loop)

    def _ask(self, loop: asyncio.AbstractEventLoop) -> None:
        """Resolve what was delivered meanwhile; again and again while something is on its way."""
        self._asking = False
        try:
            self._producer.poll(0)
        finally:
            if len(self._producer):
                self._ask_soon(loop)


def _resolve(delivery: asyncio.Future[int], error: KafkaError | None, message: Message) -> None:
    if delivery.done():
        return
    failure = delivery_error(error, message)
    if failure is None:
        delivery.set_result(message.offset() or 0)
    else:
        delivery.set_exception(KafkaException(failure))


def _settings(kafka: str) -> dict[str, Any]:
    own = {
        "compression.type": "lz4",
        "linger.ms": 0,  # a live output waits for no other; what is at hand goes together anyway
        "message.max.bytes": MAX_RECORD_BYTES,
        "delivery.timeout.ms": 30_000,
        "queue.buffering.max.kbytes": 64 << 10,
        "socket.nagle.disable": True,
        **WORKER_LOG,
    }
    return producer_options(kafka, own)
