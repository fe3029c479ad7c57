"""Records that can wait a little, so that others need not wait for what they cost."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from typing import Any, Final

from confluent_kafka import Message

from optionstream.streams.sinks.loop.contract import Place

_MOST: Final = 64
"""Records held back; with more at hand the stream is not a live one, and nothing is held."""


class HeldRecords:
    """Lets records of ``topics`` through every ``every_s`` seconds, all others at once.

    They go partition by partition, so that others which come meanwhile wait for one of them at
    most. The first after a pause goes through at once. What is held counts as not read.
    """

    def __init__(
        self,
        topics: Collection[str] = (),
        every_s: float = 0.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._topics = frozenset(topics)
        self._every_s = every_s
        self._clock = clock
        self._records: dict[Place, list[Message]] = {}
        self._going: dict[Place, list[Message]] = {}
        """What is due and has not gone yet; nothing else goes before it."""
        self._last_s = float("-inf")

    def let_through(self, messages: Sequence[Message]) -> Sequence[Message]:
        """Return what goes on now, of these and of what is held: others first, partitions in
        order."""
        if not self._topics:
            return messages
        others = [message for message in messages if not self._hold_back(message)]
        if sum(map(len, self._records.values())) > _MOST:
            return others + self.take_all()
        if not self._going and self.due_in_s() <= 0.0:
            self._going, self._records = self._records, {}
            self._last_s = self._clock()
        if not self._going:
            return others
        return others + self._going.pop(next(iter(self._going)))

    def due_in_s(self) -> float:
        """Return the seconds until what is held goes through; infinite where nothing is."""
        if self._going:
            return 0.0
        if not self._records:
            return float("inf")
        return max(0.0, self._last_s + self._every_s - self._clock())

    def take_all(self) -> list[Message]:
        """Return all that is held, and hold nothing."""
        held = [*self._going.values(), *self._records.values()]
        self.drop_all()
        self._last_s = self._clock()
        return [message for records in held for message in records]

    def drop_all(self) -> None:
        """Hold nothing: what was held is read again."""
        self._records, self._going = {}, {}

    def _hold_back(self, message: Message) -> bool:
        """Hold a record of one of the topics; False for others."""
        topic: Any = message.topic()
        if topic not in self._topics:
            return False
        number: Any = message.partition()
        self._records.setdefault((topic, number), []).append(message)
        return True
