"""Bars of one session of one product: windows, closing, revisions (docs/semantics.md, "Bars").

Only minutes are kept; longer windows are merged from them when a bar goes out, so that a tick
costs the same whatever the number of intervals.
"""

from __future__ import annotations

from collections.abc import Iterator

from optionstream.schemas.derived import INTERVAL_MS, INTERVALS, PARTIAL, Bar, Interval
from optionstream.streams.core.calendar import Session
from optionstream.streams.core.cells import BLOCK_MS, CELL_MS, Cell, merged, new_cell

NO_VOLUME = "no_volume"
VOLUME_DECREASED = "volume_decreased"

Volume = tuple[int | None, str | None]


class SessionBars:
    """The minutes of one session and the revisions of the bars made from them.

    ``watermark`` (UTC epoch ms) closes every window whose end it has reached.
    """

    def __init__(self, product: str, session: Session) -> None:
        self.product = product
        self.session = session
        self.watermark = session.open_ms
        self.cells: dict[int, Cell] = {}
        self.revisions: dict[Interval, dict[int, int]] = {name: {} for name in INTERVALS}
        self.changed: set[int] = set()
        """Minutes changed since the last ``take_partials``."""
        self._next_end = min(session.open_ms + CELL_MS, session.close_ms)

    def restore_watermark(self, watermark: int) -> None:
        """Set the watermark of a state that is being restored."""
        self.watermark = watermark
        self._next_end = self._first_end_after(watermark)

    # -- ticks ------------------------------------------------------------------------------

    def minute_of(self, ts: int) -> int:
        """Index of the minute that holds ``ts``, which must lie in the session."""
        return (ts - self.session.open_ms) // CELL_MS

    def first_open(self) -> int:
        """Index of the first minute that is still open; all later ones are."""
        return self._ended(CELL_MS, self.watermark)

    def is_open(self, minute: int) -> bool:
        return self._end(minute, CELL_MS) > self.watermark

    def add_cell(self, minute: int, cell: Cell) -> None:
        """Add the ticks of ``cell`` to an open minute."""
        there = self.cells.get(minute)
        if there is None:
            self.cells[minute] = cell
        else:
            there.merge(cell)
        self.changed.add(minute)

    def add_tick(
        self, ts: int, order: int, price: float, volume: int | None, known_at: int
    ) -> list[Bar]:
        """Add one tick, on time or late; returns the revised bars of windows already closed."""
        minute = self.minute_of(ts)
        if self.is_open(minute):
            self._put(minute, ts, order, price, volume)
            self.changed.add(minute)
            return []
        closed = [name for name in INTERVALS if self._window_end(name, minute) <= self.watermark]
        followers = {
            name: self._follower(name, minute) if volume is not None else None for name in closed
        }
        self._put(minute, ts, order, price, volume)
        if len(closed) < len(INTERVALS):
            self.changed.add(minute)
        revised: list[Bar] = []
        for name in closed:
            revised.append(self._close(name, self._window(name, minute), known_at))
            follower = followers[name]
            if follower is not None and self._volume(name, follower[0]) != follower[1]:
                revised.append(self._close(name, follower[0], known_at))
        return revised

    def _put(self, minute: int, ts: int, order: int, price: float, volume: int | None) -> None:
        cell = self.cells.get(minute)
        if cell is None:
            self.cells[minute] = new_cell(ts, order, price, volume)
        else:
            cell.add(ts, order, price, volume)

    # -- time -------------------------------------------------------------------------------

    def advance(self, watermark: int, known_at: int) -> list[Bar]:
        """Move the watermark forward; returns the bars of the windows that closed by it, in the
        order of (end, length)."""
        if watermark <= self.watermark:
            return []
        before, self.watermark = self.watermark, watermark
        if watermark < self._next_end:
            return []
        ended: list[tuple[int, int, Interval, int]] = []
        for name in INTERVALS:
            length = INTERVAL_MS[name]
            for window in self._windows_ending(length, before, watermark):
                if any(True for _ in self._cells_in(name, window)):
                    ended.append((self._end(window, length), length, name, window))
        ended.sort()
        self._next_end = self._first_end_after(watermark)
        return [self._close(name, window, known_at) for _, _, name, window in ended]

    def close(self, known_at: int) -> list[Bar]:
        """End the session: every window becomes final."""
        return self.advance(self.session.close_ms, known_at)

    def take_partials(self, known_at: int) -> list[Bar]:
        """Bars with revision 0 of the open windows that changed since the last call."""
        changed, self.changed = self.changed, set()
        windows = {
            (name, self._window(name, minute))
            for name in INTERVALS
            for minute in changed
            if self._window_end(name, minute) > self.watermark
        }
        return [
            self._bar(name, window, PARTIAL, known_at)
            for name, window in sorted(windows, key=lambda key: (key[1], key[0]))
        ]

    def block_of(self, name: Interval, window: int) -> int:
        """The block in which a window lies."""
        return window * INTERVAL_MS[name] // BLOCK_MS

    # -- windows ----------------------------------------------------------------------------

    def _end(self, window: int, length: int) -> int:
        return min(self.session.open_ms + (window + 1) * length, self.session.close_ms)

    def _window(self, name: Interval, minute: int) -> int:
        return minute * CELL_MS // INTERVAL_MS[name]

    def _window_end(self, name: Interval, minute: int) -> int:
        return self._end(self._window(name, minute), INTERVAL_MS[name])

    def _windows_ending(self, length: int, after: int, until: int) -> range:
        """Windows of ``length`` whose end lies in (after, until]."""
        return range(self._ended(length, after), self._ended(length, until))

    def _ended(self, length: int, ts: int) -> int:
        """How many windows of ``length`` have ended at ``ts``."""
        opened, closed = self.session.open_ms, self.session.close_ms
        if ts >= closed:
            return -(-(closed - opened) // length)
        return max(0, (ts - opened) // length)

    def _first_end_after(self, ts: int) -> int:
        ended = self._ended(CELL_MS, ts)
        if ts >= self.session.close_ms:
            return 1 << 62
        return self._end(ended, CELL_MS)

    def _cells_in(self, name: Interval, window: int) -> Iterator[Cell]:
        per_window = INTERVAL_MS[name] // CELL_MS
        first = window * per_window
        for minute in range(first, first + per_window):
            cell = self.cells.get(minute)
            if cell is not None:
                yield cell

    # -- bars -------------------------------------------------------------------------------

    def _close(self, name: Interval, window: int, known_at: int) -> Bar:
        revision = self.revisions[name].get(window, 0) + 1
        self.revisions[name][window] = revision
        return self._bar(name, window, revision, known_at)

    def _bar(self, name: Interval, window: int, revision: int, known_at: int) -> Bar:
        length = INTERVAL_MS[name]
        cells = list(self._cells_in(name, window))
        whole = cells[0] if len(cells) == 1 else merged(cells)
        volume, reason = self._volume_of(name, window, whole)
        return Bar(
            product=self.product,
            interval=name,
            session=self.session.key,
            start=self.session.open_ms + window * length,
            end=self._end(window, length),
            open=whole.open,
            high=whole.high,
            low=whole.low,
            close=whole.close,
            volume=volume,
            volume_reason=reason,
            ticks=whole.ticks,
            revision=revision,
            final=revision != PARTIAL,
            known_at=known_at,
        )

    def _volume(self, name: Interval, window: int) -> Volume:
        return self._volume_of(name, window, merged(list(self._cells_in(name, window))))

    def _volume_of(self, name: Interval, window: int, whole: Cell) -> Volume:
        if whole.v_last is None or whole.v_first is None:
            return None, NO_VOLUME
        base = self._last_volume_before(window * (INTERVAL_MS[name] // CELL_MS))
        if base is None:
            base = whole.v_first
        if whole.v_last < base:
            return None, VOLUME_DECREASED
        return whole.v_last - base, None

    def _last_volume_before(self, minute: int) -> int | None:
        for earlier in range(minute - 1, -1, -1):
            cell = self.cells.get(earlier)
            if cell is not None and cell.v_last is not None:
                return cell.v_last
        return None

    def _follower(self, name: Interval, minute: int) -> tuple[int, Volume] | None:
        """The next closed window after that of ``minute`` with a volume, and that volume."""
        per_window = INTERVAL_MS[name] // CELL_MS
        first = (self._window(name, minute) + 1) * per_window
        last = (self.session.close_ms - self.session.open_ms) // CELL_MS
        for later in range(first, last + 1):
            cell = self.cells.get(later)
            if cell is not None and cell.v_last is not None:
                if self._window_end(name, later) > self.watermark:
                    return None
                window = self._window(name, later)
                return window, self._volume(name, window)
        return None
