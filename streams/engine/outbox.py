"""Sends outputs and state through librdkafka: its threads do the work, not the event loop."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Awaitable, Sequence
from functools import partial
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from optionstream.streams.client_log import CLIENT_LOG
from optionstream.streams.kafka_answers import delivery_error

MAX_RECORD_BYTES = 16 << 20
_POLL_S = 0.1
_REPORTS_EVERY_S = 0.005
"""Nobody waits for a single delivery: each report by itself would wake two threads."""
_FULL_S = 0.005
_CLOSE_S = 5.0


class Outbox:
    """An idempotent producer for one event loop."""

    def __init__(self, kafka: str) -> None:
        self._producer = Producer(_settings(kafka))
        self._reports: deque[tuple[asyncio.Future[int], KafkaError | None, int]] = deque()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._woken = False
        self._closing = False
        self._thread = threading.Thread(target=self._poll, name="outbox", daemon=True)

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
        loop = self._started()
        delivery: asyncio.Future[int] = loop.create_future()
        options: dict[str, Any] = {} if headers is None else {"headers": list(headers)}
        while True:
            try:
                self._producer.produce(
                    topic,
                    value,
                    key,
                    partition,
                    on_delivery=partial(self._report, delivery),
                    timestamp=timestamp_ms or 0,
                    **options,
                )
                return delivery
            except BufferError:
                await asyncio.sleep(_FULL_S)

    def close(self) -> None:
        """Send what is left, within a few seconds, and stop."""
        self._producer.flush(_CLOSE_S)
        self._closing = True
        if self._thread.is_alive():
            self._thread.join(_CLOSE_S)

    def _started(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
            self._thread.start()
        return self._loop

    # -- in the thread ----------------------------------------------------------------------

    def _poll(self) -> None:
        while not self._closing:
            if self._producer.poll(_POLL_S):
                time.sleep(_REPORTS_EVERY_S)

    def _report(
        self, delivery: asyncio.Future[int], error: KafkaError | None, message: Message
    ) -> None:
        """One call into the loop for all reports that come together."""
        self._reports.append((delivery, delivery_error(error, message), message.offset() or 0))
        if not self._woken and self._loop is not None:
            self._woken = True
            self._loop.call_soon_threadsafe(self._resolve)

    # -- in the loop ------------------------------------------------------------------------

    def _resolve(self) -> None:
        self._woken = False  # first: a report after the last look below wakes the loop again
        while self._reports:
            delivery, error, offset = self._reports.popleft()
            if delivery.done():
                continue
            if error is None:
                delivery.set_result(offset)
            else:
                delivery.set_exception(KafkaException(error))


def _settings(kafka: str) -> dict[str, Any]:
    return {
        "bootstrap.servers": kafka,
        "acks": "all",
        "enable.idempotence": True,
        "compression.type": "lz4",
        "linger.ms": 0,  # a live output waits for no other; what is at hand goes together anyway
        "message.max.bytes": MAX_RECORD_BYTES,
        "delivery.timeout.ms": 30_000,
        "queue.buffering.max.kbytes": 64 << 10,
        "socket.nagle.disable": True,
        **CLIENT_LOG,
    }
