"""Records that can wait a little, so that others need not wait for what they cost."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from typing import Final

from confluent_kafka import Message

_MOST: Final = 64
"""Records held back; with more at hand the stream is not a live one, and nothing is held."""


class Held:
    """Lets records of ``topics`` through every ``every_s`` seconds, all others at once.

    The first after a pause goes through at once, too. What is held counts as not read.
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
        self._records: list[Message] = []
        self._last_s = float("-inf")

    def through(self, messages: Sequence[Message]) -> Sequence[Message]:
        """What goes on now, of these and of what is held: others first, partitions in order."""
        if not self._topics:
            return messages
        others: list[Message] = []
        for message in messages:
            (self._records if message.topic() in self._topics else others).append(message)
        if self._records and (len(self._records) > _MOST or self.due_in_s() <= 0.0):
            others += self.take()
        return others

    def due_in_s(self) -> float:
        """Seconds until what is held goes through; infinite where nothing is."""
        if not self._records:
            return float("inf")
        return max(0.0, self._last_s + self._every_s - self._clock())

    def take(self) -> list[Message]:
        """All that is held."""
        records, self._records = self._records, []
        self._last_s = self._clock()
        return records

    def drop(self) -> None:
        """Hold nothing: what was held is read again."""
        self._records = []
