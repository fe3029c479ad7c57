"""Which snapshot of an expiry was the newest as of each minute.

Every bar of a minute or more ends at a whole minute, so of all snapshots only those matter that
are the newest ones at some minute: 375 a session at most, however many came.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import Final

from optionstream.streams.core.features.facts import ChainFacts

MINUTE_MS: Final = 60_000


def first_minute(ts_event: int, ts_recv: int, grace_ms: int) -> int:
    """The first whole minute (UTC epoch ms) whose bars may use a snapshot: it is not before the
    snapshot's exchange time, and the snapshot was received no later than ``grace_ms`` after it."""
    earliest = max(ts_event, ts_recv - grace_ms)
    return -(-earliest // MINUTE_MS) * MINUTE_MS


class AsOf:
    """The snapshots of one expiry and date."""

    def __init__(self) -> None:
        self._minutes: list[int] = []
        self._best: list[ChainFacts] = []
        """The newest of all that may be used at the minute of the same position; rises."""

    def add(self, minute: int, facts: ChainFacts) -> bool:
        """Take a snapshot that may be used from ``minute`` on; False when that changes nothing:
        it is a repeated one, or a newer one may be used at every such minute."""
        at = bisect_right(self._minutes, minute)
        if at and self._best[at - 1].version >= facts.version:
            return False
        first = at - 1 if at and self._minutes[at - 1] == minute else at
        after = at
        while after < len(self._best) and self._best[after].version <= facts.version:
            after += 1
        self._minutes[first:after] = [minute]
        self._best[first:after] = [facts]
        return True

    def at(self, end: int) -> ChainFacts | None:
        """The newest snapshot that a bar ending at ``end`` may use."""
        at = bisect_right(self._minutes, end)
        return self._best[at - 1] if at else None
