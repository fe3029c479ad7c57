"""Records that can wait a little, so that others need not wait for what they cost."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from typing import Any, Final

from confluent_kafka import Message

_MOST: Final = 64
"""Records held back; with more at hand the stream is not a live one, and nothing is held."""


class Held:
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
        self._records: dict[tuple[str, int], list[Message]] = {}
        self._going: dict[tuple[str, int], list[Message]] = {}
        """What is due and has not gone yet; nothing else goes before it."""
        self._last_s = float("-inf")

    def through(self, messages: Sequence[Message]) -> Sequence[Message]:
        """What goes on now, of these and of what is held: others first, partitions in order."""
        if not self._topics:
            return messages
        others = [message for message in messages if not self._held_back(message)]
        if sum(map(len, self._records.values())) > _MOST:
            return others + self.take()
        if not self._going and self.due_in_s() <= 0.0:
            self._going, self._records = self._records, {}
            self._last_s = self._clock()
        if not self._going:
            return others
        return others + self._going.pop(next(iter(self._going)))

    def _held_back(self, message: Message) -> bool:
        topic: Any = message.topic()
        if topic not in self._topics:
            return False
        number: Any = message.partition()
        self._records.setdefault((topic, number), []).append(message)
        return True

    def due_in_s(self) -> float:
        """Seconds until what is held goes through; infinite where nothing is."""
        if self._going:
            return 0.0
        if not self._records:
            return float("inf")
        return max(0.0, self._last_s + self._every_s - self._clock())

    def take(self) -> list[Message]:
        """All that is held."""
        held = [*self._going.values(), *self._records.values()]
        self.drop()
        self._last_s = self._clock()
        return [message for records in held for message in records]

    def drop(self) -> None:
        """Hold nothing: what was held is read again."""
        self._records, self._going = {}, {}
