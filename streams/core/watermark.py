"""Watermarks: how far event time has come, where events may arrive late."""

from __future__ import annotations


class Watermark:
    """The instant up to which all events are taken to have arrived, UTC epoch ms.

    It follows the greatest event time at a distance of ``lateness_ms`` and never falls.
    """

    __slots__ = ("lateness_ms", "reached_ms")

    def __init__(self, lateness_ms: int, reached_ms: int) -> None:
        self.lateness_ms = lateness_ms
        self.reached_ms = reached_ms

    def after(self, ts: int) -> int:
        """Return the watermark that an event at ``ts`` brings, be it above this one or not."""
        return ts - self.lateness_ms

    def earliest_ts(self, instant: int) -> int:
        """Return the least event time after which the watermark has reached ``instant``."""
        return instant + self.lateness_ms

    def raise_to(self, instant: int) -> bool:
        """Move forward to ``instant``; False, and nothing changes, if it is there already."""
        if instant <= self.reached_ms:
            return False
        self.reached_ms = instant
        return True
