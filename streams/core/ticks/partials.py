"""Bars of windows that are still open: when each was shown, and which changes were held back."""

from __future__ import annotations

from collections.abc import Iterable

from optionstream.schemas.derived import Interval

Window = tuple[Interval, int]


class Partials:
    """Views of the moment, so none of this is part of the state."""

    def __init__(self) -> None:
        self._unshown: set[Window] = set()
        self._shown: dict[Window, int] = {}
        """The event time, UTC epoch ms, that was reached when a window was shown last."""

    def due(
        self, changed: Iterable[Window], open_windows: set[Window], reached: int, every_ms: int
    ) -> set[Window]:
        """The windows to show now: changed, and not shown within ``every_ms`` before ``reached``.
        The other changed ones are kept for a later call, as long as they are in ``open_windows``.
        """
        unshown = self._unshown.union(changed) & open_windows
        self._shown = {at: when for at, when in self._shown.items() if at in open_windows}
        due = {
            at for at in unshown if at not in self._shown or reached - self._shown[at] >= every_ms
        }
        self._shown.update(dict.fromkeys(due, reached))
        self._unshown = unshown - due
        return due

    def any_unshown(self) -> bool:
        """Whether a change was held back."""
        return bool(self._unshown)
