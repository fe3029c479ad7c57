"""What became of the events of one product."""

from __future__ import annotations

from msgspec import Struct


class Counts(Struct):
    """What became of the events of one product. ``held`` ones wait for a second event of their
    session; ``outside`` is ``outside_session`` by phase of the calendar."""

    accepted: int = 0
    outside_session: int = 0
    duplicates: int = 0
    held: int = 0
    heartbeats: int = 0
    rejects: dict[str, int] = {}
    outside: dict[str, int] = {}

    def add_reject(self, reason: str, events: int = 1) -> None:
        """Count refused events."""
        self.rejects[reason] = self.rejects.get(reason, 0) + events

    def add_outside(self, phase: str) -> None:
        """Count an event that no session holds."""
        self.outside_session += 1
        self.outside[phase] = self.outside.get(phase, 0) + 1
