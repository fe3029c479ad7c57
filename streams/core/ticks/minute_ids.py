"""Identities seen in a session, by minute and feed."""

from __future__ import annotations

from collections.abc import Iterable

from optionstream.streams.core.ticks.columns import Feed

IdRows = list[tuple[int, str, str, list[int]]]
"""(minute, source, session label, ids)."""


class MinuteIds:
    """Whole numbers that identify events of one minute and one feed."""

    def __init__(self) -> None:
        self._ids: dict[int, dict[Feed, set[int]]] = {}

    def add(self, minute: int, feed: Feed, identity: int) -> bool:
        """Note one; False when it was there."""
        known = self._of(minute, feed)
        if identity in known:
            return False
        known.add(identity)
        return True

    def add_all(self, minute: int, feed: Feed, ids: list[int]) -> bool:
        """Note all; False, and nothing noted, when one was there or occurs twice."""
        known = self._of(minute, feed)
        fresh = set(ids)
        if len(fresh) < len(ids) or not known.isdisjoint(fresh):
            return False
        known |= fresh
        return True

    def rows(self, first: int, stop: int) -> IdRows:
        """The identities of the minutes ``first..stop-1``."""
        return [
            (minute, *feed, sorted(ids))
            for minute, feeds in sorted(self._ids.items())
            if first <= minute < stop
            for feed, ids in sorted(feeds.items())
        ]

    def restore(self, rows: Iterable[tuple[int, str, str, list[int]]]) -> None:
        """Add identities seen before."""
        for minute, source, label, ids in rows:
            self._of(minute, (source, label)).update(ids)

    def _of(self, minute: int, feed: Feed) -> set[int]:
        return self._ids.setdefault(minute, {}).setdefault(feed, set())
