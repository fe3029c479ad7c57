"""Where reading begins: offsets committed for the topics of now, and a watch on the topics' ids.

Every committed offset carries the topic's id. An offset of an earlier incarnation of the topic is
not followed; one without an id was set by hand.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Mapping, Sequence

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient

from optionstream.streams.kafka.topic_ids import Question, describe
from optionstream.streams.sinks.loop.contract import Assigned, Place, StartAgain

_COMMITTED_TIMEOUT_S = 10.0


def read_committed(
    admin: AdminClient,
    consumer: Consumer,
    given: Sequence[TopicPartition],
    bases: Mapping[str, str],
) -> tuple[list[Assigned], dict[Place, int]]:
    """Return the partitions as they are now, and the committed offset of each (-2: the beginning).

    ``bases``: topics without namespace, by full name. Raises KafkaException.
    """
    described = describe(admin, {at.topic for at in given})
    committed = consumer.committed(list(given), timeout=_COMMITTED_TIMEOUT_S) if given else []
    assigned = [
        Assigned(bases[at.topic], described[at.topic], at.partition, _set_by_hand(at))
        for at in committed
    ]
    starts = {
        (at.topic, at.partition): _committed_start(at, described[at.topic].id) for at in committed
    }
    return assigned, starts


def describe_starts(starts: Mapping[Place, int]) -> str:
    """Return ``market.underlying/0 from 17, 3 partitions from the beginning``, for the log."""
    known = [f"{topic}/{number} from {at}" for (topic, number), at in starts.items() if at >= 0]
    others = len(starts) - len(known)
    if others:
        known.append(f"{others} partitions from the beginning")
    return ", ".join(known)


class TopicWatch:
    """Notices that a topic was recreated since its partitions were given.

    ``every_s``: how often the broker is asked; the answer is used by the first check after it
    came. 0: each check asks and waits.
    """

    def __init__(self, admin: AdminClient, every_s: float) -> None:
        self._admin = admin
        self._every_s = every_s
        self._assigned: Collection[Assigned] = ()
        self._checked_s = float("-inf")
        self._question: Question | None = None

    def start(self, assigned: Iterable[Assigned]) -> None:
        """Watch the topics of these partitions, whose ids were just read."""
        self._assigned = tuple(assigned)
        self._checked_s, self._question = time.monotonic(), None

    def check(self) -> None:
        """Raises StartAgain when a topic was recreated; KafkaException."""
        now_s = time.monotonic()
        if self._question is None:
            if now_s - self._checked_s < self._every_s:
                return
            self._question = Question(self._admin, {one.topic.name for one in self._assigned})
        if self._every_s and not self._question.answered():
            return
        question, self._question = self._question, None
        topics = question.answer()
        for one in self._assigned:
            if topics[one.topic.name].id != one.topic.id:
                raise StartAgain(f"topic {one.topic.name} was recreated")
        self._checked_s = now_s


def _committed_start(at: TopicPartition, topic_id: str) -> int:
    """The committed offset, unless another incarnation of the topic was meant."""
    if at.error is not None:
        raise KafkaException(at.error)
    if at.offset < 0 or (at.metadata and at.metadata != topic_id):
        return OFFSET_BEGINNING
    return int(at.offset)


def _set_by_hand(at: TopicPartition) -> int | None:
    return int(at.offset) if at.offset >= 0 and not at.metadata else None
