"""The minutes of one session, which are all that is kept of it, and longer windows made of them.

A long window is merged from shorter ones (a day from hours, an hour from half-hours …). Merges of
windows that have ended are kept until a late event changes them, so that a bar never costs more
than a few merges. What is kept so is derived and no part of the state.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Mapping
from typing import Final

from optionstream.schemas.derived import INTERVALS, Interval
from optionstream.streams.core.ticks.cells import Cell, merged
from optionstream.streams.core.ticks.windows import MINUTES, Windows

_PART_OF: Final[dict[Interval, Interval]] = {
    "3m": "1m",
    "5m": "1m",
    "15m": "5m",
    "30m": "15m",
    "60m": "30m",
    "1d": "60m",
}
"""From an interval to the one that its windows are merged from."""


class Minutes:
    """The cells of a session by minute."""

    def __init__(self, windows: Windows) -> None:
        self.windows = windows
        self.cells: dict[int, Cell] = {}
        self.filled: list[int] = []
        """The minutes that hold events, rising."""
        self._with_volume: list[int] = []
        """Those that hold a cumulative volume, rising."""
        self._kept: dict[Interval, dict[int, Cell | None]] = {name: {} for name in INTERVALS}

    def restore(self, cells: Mapping[int, Cell]) -> None:
        """Hold exactly ``cells``."""
        self.cells = dict(cells)
        self.filled = sorted(cells)
        self._with_volume = [minute for minute in self.filled if cells[minute].v_last is not None]
        self._kept = {name: {} for name in INTERVALS}

    def add(self, minute: int, cell: Cell) -> None:
        """Take the events of ``cell``, which becomes this object's own."""
        there = self.cells.get(minute)
        if there is None:
            self.cells[minute] = cell
            insort(self.filled, minute)
            if cell.v_last is not None:
                insort(self._with_volume, minute)
        else:
            if there.v_last is None and cell.v_last is not None:
                insort(self._with_volume, minute)
            there.merge(cell)

    def add_late(self, minute: int, cell: Cell) -> None:
        """As ``add``, to a minute that has ended."""
        self.add(minute, cell)
        for name, kept in self._kept.items():
            kept.pop(minute // MINUTES[name], None)

    def count_before(self, minute: int) -> int:
        """How many minutes before ``minute`` hold events."""
        return bisect_left(self.filled, minute)

    def filled_between(self, start: int, stop: int) -> list[int]:
        """The minutes ``start..stop-1`` that hold events."""
        return self.filled[self.count_before(start) : self.count_before(stop)]

    def window(self, name: Interval, window: int, ended: int) -> Cell | None:
        """All of a window, None without events; ``ended`` minutes of the session have ended."""
        if name == "1m":
            return self.cells.get(window)
        kept = self._kept[name]
        if window in kept:
            return kept[window]
        cells = self._parts(name, window, ended)
        whole = merged(cells) if len(cells) > 1 else cells[0] if cells else None
        if self.windows.stop(name, window) <= ended:
            kept[window] = whole
        return whole

    def _parts(self, name: Interval, window: int, ended: int) -> list[Cell]:
        if not self.filled:
            return []
        part = _PART_OF[name]
        count = MINUTES[name] // MINUTES[part]
        last = self.filled[-1] // MINUTES[part]
        parts = range(window * count, min((window + 1) * count, last + 1))
        cells = (self.window(part, at, ended) for at in parts)
        return [cell for cell in cells if cell is not None]

    # -- cumulative volumes -----------------------------------------------------------------

    def volume_before(self, minute: int) -> int | None:
        """The last cumulative volume told before ``minute``."""
        at = bisect_left(self._with_volume, minute)
        return self.cells[self._with_volume[at - 1]].v_last if at else None

    def volume_minute_from(self, minute: int) -> int | None:
        """The first minute at or after ``minute`` that holds a cumulative volume."""
        at = bisect_left(self._with_volume, minute)
        return self._with_volume[at] if at < len(self._with_volume) else None
