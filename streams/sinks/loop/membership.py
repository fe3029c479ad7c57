"""Notice a group that has forgotten a worker which waits for its partitions.

librdkafka's client has been seen to wait without end: its session ran out while the broker was
away, and it did not join again when the broker was back (compare librdkafka issue 3437). Another
process is taken at once.
"""

from __future__ import annotations

import time
from collections.abc import Callable

PATIENCE_S = 30.0
"""A rebalance that waits for a member in the midst of a long flush takes no longer."""


class Membership:
    """Tracks how long the worker has waited for an assignment (an empty one counts)."""

    def __init__(
        self, broker_answers: Callable[[], bool], now_s: Callable[[], float] = time.monotonic
    ) -> None:
        self._broker_answers = broker_answers
        self._now_s = now_s
        self._since_s: float | None = None
        self._answered = False

    def note_waiting(self) -> None:
        """From now on there is nothing to read."""
        self._since_s, self._answered = self._now_s(), False

    def note_given(self) -> None:
        """The group has assigned partitions, or none."""
        self._since_s = None

    def is_forgotten(self) -> bool:
        """True if the broker answered twice, ``PATIENCE_S`` apart, while the group gave nothing.
        Asks only when that time has passed: a broker that is away explains everything."""
        if self._since_s is None or self._now_s() - self._since_s < PATIENCE_S:
            return False
        before, self._answered = self._answered, self._broker_answers()
        self._since_s = self._now_s()
        return before and self._answered
