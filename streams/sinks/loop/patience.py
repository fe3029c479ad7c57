"""Patience with servers: try again until it works, alive for the group meanwhile.

A failing server is tried again, with growing pauses, as long as it takes. An error by which the
client is done for ends the worker.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Any, Protocol

from confluent_kafka import Consumer, KafkaError, KafkaException

from optionstream.streams.sinks.loop import metrics
from optionstream.streams.sinks.loop.contract import Sink, StartAgain

logger = logging.getLogger(__name__)

FIRST_PAUSE_S = 0.2
_LONGEST_PAUSE_S = 5.0


class Loop(Protocol):
    """What is retried on behalf of: the loop of one worker."""

    @property
    def generation(self) -> int:
        """Rises with whatever drops what is pending: a rebalance, a restart."""
        ...

    def start_again(self, why: str) -> None:
        """Drop what is pending and read again from the stored positions."""
        ...


class Patience:
    """Retries the calls of one worker to its sink and to Kafka."""

    def __init__(
        self, group: str, sink: Sink, consumer: Consumer, stop: threading.Event, loop: Loop
    ) -> None:
        self.passing: tuple[type[Exception], ...] = (*sink.unavailable, KafkaException)
        """Errors after which a call is tried again."""
        self._group = group
        self._server = sink.server
        self._consumer = consumer
        self._stop = stop
        self._loop = loop

    def retry(self, action: Callable[[], None]) -> bool:
        """Call ``action`` until it works: True. False when a stop or a rebalance came first."""
        generation = self._loop.generation
        pause_s = FIRST_PAUSE_S
        while True:
            try:
                action()
            except StartAgain as error:
                self._loop.start_again(str(error))
                return False
            except self.passing as error:
                self._report_failure(error, pause_s)
            else:
                return True
            if not self._wait(pause_s) or generation != self._loop.generation:
                return False
            pause_s = min(_LONGEST_PAUSE_S, pause_s * 2)

    def _report_failure(self, error: Exception, pause_s: float) -> None:
        by_kafka = isinstance(error, KafkaException)
        cause = _kafka_error(error)
        if by_kafka and cause is not None and is_fatal(cause):
            raise error
        metrics.RETRIES.labels(self._group).inc()
        logger.warning(
            "%s: %s failed, next try in %.1f s: %s",
            self._group,
            "kafka" if by_kafka else self._server,
            pause_s,
            error_line(error),
        )

    def _wait(self, seconds: float) -> bool:
        """Sleep, paused but alive for the group. False when it is time to stop."""
        until_s = time.monotonic() + seconds
        generation = self._loop.generation
        paused = self._consumer.assignment()
        if paused:
            self._consumer.pause(paused)
        try:
            while (left_s := until_s - time.monotonic()) > 0 and not self._stop.is_set():
                message = self._consumer.poll(min(left_s, 0.1))
                if generation != self._loop.generation:
                    return True
                if message is not None and message.error() is None:
                    self._loop.start_again("a record came in while paused")
                    return True
        finally:
            if paused and generation == self._loop.generation:
                self._consumer.resume(paused)
        return not self._stop.is_set()


def report_kafka_error(group: str, error: Any) -> None:
    """Log an error that the client reports; raise KafkaException for a fatal one (fenced)."""
    if is_fatal(error):
        raise KafkaException(error)
    logger.warning("%s: kafka: %s", group, error.str())


def is_fatal(error: KafkaError) -> bool:
    """True if the client is done for. The event that says so, and the refusal that made it so,
    do not call themselves fatal (librdkafka 2.16)."""
    return error.fatal() or error.code() in (KafkaError._FATAL, KafkaError.FENCED_INSTANCE_ID)


def error_line(error: Exception) -> str:
    """Return the first line of an error's text, 300 characters at most; Kafka's own words."""
    cause = _kafka_error(error)
    if cause is not None:
        return cause.str()
    return (str(error).splitlines() or [type(error).__name__])[0][:300]


def _kafka_error(error: Exception) -> KafkaError | None:
    first = error.args[0] if error.args else None
    return first if isinstance(first, KafkaError) else None
