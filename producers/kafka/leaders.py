"""Whether partitions are led: the broker that is named as a leader may not know it yet.

A new topic is listed before its leaders have taken their partitions over, and so is every topic
while a broker starts. Written to at that moment a partition can lose records that are acknowledged:
the first request is refused, one that follows it at once is not, and the first one, sent again, is
taken for a duplicate. So nothing is sent to a partition before its leader has answered for it.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from typing import Any, Final

from confluent_kafka import KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from optionstream.schemas.errors import ServerUnavailable

_LATEST: Final = OffsetSpec.latest()  # type: ignore[no-untyped-call]
_LOOK_AGAIN_S: Final = 0.02
_SHORTEST_S: Final = 0.1


def wait_for_leaders(admin: AdminClient, partitions: Mapping[str, int], timeout_s: float) -> None:
    """Wait until the leader of every partition answers; ``partitions`` are counts by topic. Raises
    ServerUnavailable, with what the broker said last, after ``timeout_s``."""
    waiting = [
        TopicPartition(name, at) for name, count in partitions.items() for at in range(count)
    ]
    deadline_s = time.monotonic() + timeout_s
    while refusals := _refusals(admin, waiting, deadline_s):
        if time.monotonic() >= deadline_s:
            at, why = next(iter(refusals.items()))
            raise ServerUnavailable(
                f"kafka: no leader for {at.topic} partition {at.partition} within "
                f"{timeout_s:.0f} s ({why})"
            )
        waiting = list(refusals)
        time.sleep(_LOOK_AGAIN_S)


def _refusals(
    admin: AdminClient, waiting: Sequence[TopicPartition], deadline_s: float
) -> dict[TopicPartition, str]:
    """The partitions whose leader does not answer yet, and why."""
    left_s = max(deadline_s - time.monotonic(), _SHORTEST_S)
    asked = admin.list_offsets(dict.fromkeys(waiting, _LATEST), request_timeout=left_s)
    return {at: why for at in waiting if (why := _refusal(asked[at], deadline_s))}


def _refusal(answer: Future[Any], deadline_s: float) -> str:
    """Why there is none; empty when there is."""
    try:
        answer.result(max(deadline_s - time.monotonic(), 0.0))
    except KafkaException as error:
        return str(error.args[0].str())
    except TimeoutError:
        return "no answer"
    return ""
