"""What an answer of the broker means for the one who asked."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final, TypeVar

from confluent_kafka import KafkaError, KafkaException, Message

from optionstream.schemas.errors import ServerUnavailable

NOT_YET: Final = frozenset(
    {
        KafkaError.LEADER_NOT_AVAILABLE,
        KafkaError.NOT_LEADER_FOR_PARTITION,
        # Client and broker heard of a new leader at different times.
        KafkaError.FENCED_LEADER_EPOCH,
        KafkaError.UNKNOWN_LEADER_EPOCH,
        KafkaError.OFFSET_NOT_AVAILABLE,
        KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
        KafkaError.COORDINATOR_NOT_AVAILABLE,
        KafkaError.NOT_COORDINATOR,
    }
)
"""Answers of a broker on which something has just moved or been created: ask again. (librdkafka's
own ``retriable`` tells this of transactions only.)"""
_PERHAPS_LOST: Final = "taken for a duplicate, perhaps not stored"
_TIMEOUT_S = 30.0
_LOOK_AGAIN_S = 0.05

T = TypeVar("T")


def kafka_call(ask: Callable[[], T], what: str = "kafka") -> T:
    """What ``ask`` returns; it is asked again while the broker says "not yet".

    What the broker refuses, and silence, are ServerUnavailable in one line that begins with
    ``what``.
    """
    deadline_s = time.monotonic() + _TIMEOUT_S
    while True:
        try:
            return ask()
        except KafkaException as error:
            if error_code(error) not in NOT_YET or time.monotonic() > deadline_s:
                raise ServerUnavailable(f"{what}: {error_text(error)}") from None
            time.sleep(_LOOK_AGAIN_S)
        except TimeoutError:
            raise ServerUnavailable(f"{what}: no answer within {_TIMEOUT_S:.0f} s") from None


def delivery_error(error: KafkaError | None, message: Message | None) -> KafkaError | None:
    """Why a record that was sent may not be stored; None when it is.

    An idempotent producer calls a record delivered, without an offset, when the broker took it for
    a duplicate. It does so also when it refused the record at first, while a partition had no
    leader yet, and then took what followed it: the record is lost (docs/adr/0019).
    """
    if error is None and (message is None or message.offset() is None):
        return KafkaError(KafkaError.DUPLICATE_SEQUENCE_NUMBER, _PERHAPS_LOST)
    return error


def error_code(error: KafkaException) -> int | None:
    """Kafka's code of the error; None for one without."""
    first = error.args[0] if error.args else None
    return int(first.code()) if isinstance(first, KafkaError) else None


def error_text(error: KafkaException) -> str:
    """Kafka's own words, without the wrapping."""
    first = error.args[0] if error.args else error
    return str(first.str()) if isinstance(first, KafkaError) else str(first)
