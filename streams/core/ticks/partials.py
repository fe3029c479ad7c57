"""Bars of windows that are still open: when each was shown, and which changes were held back."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from optionstream.schemas.derived import Interval
from optionstream.streams.core.ticks.windows import MINUTES

Window = tuple[Interval, int]


class Partials:
    """The open windows of some intervals. Views of the moment, so none of this is part of the
    state."""

    def __init__(self, intervals: Collection[Interval]) -> None:
        self.intervals = intervals
        self.changed: set[int] = set()
        """Minutes changed since the last ``due``."""
        self._unshown: set[Window] = set()
        self._shown: dict[Window, int] = {}
        """The event time, UTC epoch ms, that was reached when a window was shown last."""

    def due(self, open_windows: set[Window], reached: int, every_ms: int) -> set[Window]:
        """The windows to show now: changed, and not shown within ``every_ms`` before ``reached``.
        The other changed ones are kept for a later call, as long as they are in ``open_windows``.
        """
        unshown = self._unshown.union(self._windows_of(self.changed)) & open_windows
        self.changed = set()
        self._shown = {at: when for at, when in self._shown.items() if at in open_windows}
        due = {
            at for at in unshown if at not in self._shown or reached - self._shown[at] >= every_ms
        }
        self._shown.update(dict.fromkeys(due, reached))
        self._unshown = unshown - due
        return due

    def any(self) -> bool:
        """Whether something changed that was not shown."""
        return bool(self.changed or self._unshown)

    def _windows_of(self, minutes: Iterable[int]) -> set[Window]:
        return {(name, minute // MINUTES[name]) for minute in minutes for name in self.intervals}
