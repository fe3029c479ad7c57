"""The minutes of one session, which are all that is kept of it, and longer windows made of them.

Windows are right-open, counted from the open of the session, and the last one ends with it.
A long window is merged from shorter ones (a day from hours, an hour from half-hours …). Merges of
windows that have ended are kept until a late event changes them, so that a bar never costs more
than a few merges. What is kept so is derived and no part of the state.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Mapping
from typing import Final

from optionstream.schemas.derived import INTERVAL_MS, INTERVALS, Interval
from optionstream.streams.core.market.calendar import Session
from optionstream.streams.core.ticks.cells import CELL_MS, Cell, merged

MINUTES: Final[dict[Interval, int]] = {name: INTERVAL_MS[name] // CELL_MS for name in INTERVALS}
"""Minutes of a window, by interval."""
_PART_OF: Final[dict[Interval, Interval]] = {
    "3m": "1m",
    "5m": "1m",
    "15m": "5m",
    "30m": "15m",
    "60m": "30m",
    "1d": "60m",
}
"""From an interval to the one that its windows are merged from."""


class Windows:
    """Where the minutes and the windows of a session start and end. Instants are UTC epoch ms;
    minutes and windows are counted from 0 at the open."""

    def __init__(self, session: Session) -> None:
        self.open_ms = session.open_ms
        self.close_ms = session.close_ms
        self.minutes = -(-(session.close_ms - session.open_ms) // CELL_MS)
        """How many minutes the session has."""

    def minute_of(self, ts: int) -> int:
        """Return the minute that holds ``ts``, an instant of the session."""
        return (ts - self.open_ms) // CELL_MS

    def minutes_ended(self, ts: int) -> int:
        """Return how many minutes have ended at ``ts``."""
        if ts >= self.close_ms:
            return self.minutes
        return max(0, (ts - self.open_ms) // CELL_MS)

    def instant(self, minute: int) -> int:
        """Return the start of a minute; of the one after the last, the close."""
        return self.open_ms + minute * CELL_MS if minute < self.minutes else self.close_ms

    def stop(self, name: Interval, window: int) -> int:
        """Return the minute after the last one of a window."""
        stop = (window + 1) * MINUTES[name]
        return stop if stop < self.minutes else self.minutes

    def ended(self, name: Interval, minutes: int) -> int:
        """Return how many windows of an interval have ended once ``minutes`` have."""
        length = MINUTES[name]
        return minutes // length if minutes < self.minutes else -(-minutes // length)

    def ending(self, before: int, minutes: int) -> list[tuple[int, int, Interval, int]]:
        """Return the windows that end as the number of ended minutes rises from ``before`` to
        ``minutes``: (minute after it, length in minutes, interval, window) each, in order."""
        return sorted(
            (self.stop(name, window), length, name, window)
            for name, length in MINUTES.items()
            for window in range(before // length, self.ended(name, minutes))
        )


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
        """Replace all cells by ``cells``."""
        self.cells = dict(cells)
        self.filled = sorted(cells)
        self._with_volume = [minute for minute in self.filled if cells[minute].v_last is not None]
        self._kept = {name: {} for name in INTERVALS}

    def add_cell(self, minute: int, cell: Cell) -> None:
        """Add the events of ``cell``, which becomes this object's own, to a minute."""
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

    def add_late_cell(self, minute: int, cell: Cell) -> None:
        """Add the events of ``cell`` to a minute that has ended."""
        self.add_cell(minute, cell)
        for name, kept in self._kept.items():
            kept.pop(minute // MINUTES[name], None)

    def count_before(self, minute: int) -> int:
        """Return how many minutes before ``minute`` hold events."""
        return bisect_left(self.filled, minute)

    def filled_between(self, start: int, stop: int) -> list[int]:
        """Return the minutes ``start..stop-1`` that hold events, rising."""
        return self.filled[self.count_before(start) : self.count_before(stop)]

    def window(self, name: Interval, window: int, ended: int) -> Cell | None:
        """Return the cell of a whole window, None without events. ``ended``: how many minutes of
        the session have ended."""
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
        """Return the last cumulative volume before ``minute``, None if there is none."""
        at = bisect_left(self._with_volume, minute)
        return self.cells[self._with_volume[at - 1]].v_last if at else None

    def volume_minute_from(self, minute: int) -> int | None:
        """Return the first minute from ``minute`` on that holds a cumulative volume, if any."""
        at = bisect_left(self._with_volume, minute)
        return self._with_volume[at] if at < len(self._with_volume) else None
