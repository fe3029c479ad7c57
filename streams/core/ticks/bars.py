"""Bars of one session of one product: closing, revisions, volumes (docs/semantics.md, "Bars").

Only minutes are kept; longer windows are merged from them when a bar goes out, so that a tick
costs the same whatever the number of intervals.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Final

from optionstream.schemas.derived import INTERVALS, PARTIAL, Bar, Interval
from optionstream.streams.core.market.calendar import Session
from optionstream.streams.core.ticks.cells import MAX_VOLUME, Cell
from optionstream.streams.core.ticks.minutes import Minutes
from optionstream.streams.core.ticks.windows import MINUTES, Windows

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


NO_VOLUME: Final = "no_volume"
VOLUME_DECREASED: Final = "volume_decreased"
VOLUME_TOO_LARGE: Final = "volume_too_large"
BLOCK_MINUTES: Final = 15
"""Ended minutes are stored by blocks, and the revisions of a bar in the block of its start."""
NEVER: Final = 1 << 62
_SHORTEST: Final = INTERVALS[:1]
_LONGER: Final = INTERVALS[1:]

Volume = tuple[int | None, str | None]


class SessionBars:
    """The minutes of one session and the revisions of the bars made from them.

    ``watermark`` (UTC epoch ms) closes every window whose end it has reached; ``next_end`` is the
    next one that ends a minute. ``changed_blocks`` learns which blocks have to be stored anew.
    """

    def __init__(self, product: str, session: Session, changed_blocks: set[int]) -> None:
        self.product = product
        self._session_key = session.key
        self.windows = Windows(session)
        self.minutes = Minutes(self.windows)
        self.revisions: dict[Interval, dict[int, int]] = {name: {} for name in INTERVALS}
        self._quick = Partials(_SHORTEST)
        self._slow = Partials(_LONGER)
        self._changed_blocks = changed_blocks
        self.restore_watermark(session.open_ms)

    def restore_watermark(self, watermark: int) -> None:
        """Set the watermark of a state that is being restored."""
        self.watermark = watermark
        self.ended = self.windows.minutes_ended(watermark)
        """How many minutes of the session have ended; all later ones are open."""
        self.next_end = self._next_end()

    def restore_minutes(self, cells: Mapping[int, Cell]) -> None:
        """Set the minutes of a state that is being restored. What was shown of open windows is
        not known any more: all of them are to be shown again."""
        self.minutes.restore(cells)
        self._note_changed(cells)

    @property
    def is_closed(self) -> bool:
        """Whether the whole session has ended."""
        return self.ended == self.windows.minutes

    # -- events -----------------------------------------------------------------------------

    def add(self, minute: int, cell: Cell) -> None:
        """Take the events of ``cell`` into an open minute."""
        self.minutes.add(minute, cell)
        self._note_changed((minute,))

    def revise(self, minute: int, cell: Cell, known_at: int) -> list[Bar]:
        """Take late events into a minute that has ended; returns the bars of closed windows that
        this revises."""
        closed = [name for name in INTERVALS if self._is_closed(name, minute // MINUTES[name])]
        followers = {
            name: self._follower(name, minute) if cell.v_last is not None else None
            for name in closed
        }
        self.minutes.add_late(minute, cell)
        self._note_changed((minute,))
        self._changed_blocks.add(minute // BLOCK_MINUTES)
        revised: list[Bar | None] = []
        for name in closed:
            revised.append(self._close(name, minute // MINUTES[name], known_at))
            follower = followers[name]
            if follower is not None and self._volume(name, follower[0]) != follower[1]:
                revised.append(self._close(name, follower[0], known_at))
        return [bar for bar in revised if bar is not None]

    # -- time -------------------------------------------------------------------------------

    def advance(self, watermark: int, known_at: int) -> list[Bar]:
        """Move the watermark forward; returns the bars of the windows that closed by it, in the
        order of (end, length)."""
        if watermark <= self.watermark:
            return []
        self.watermark = watermark
        if watermark < self.next_end:
            return []
        before, ended = self.ended, self.windows.minutes_ended(watermark)
        self.ended = ended
        self.next_end = self._next_end()
        self._changed_blocks.update(
            minute // BLOCK_MINUTES for minute in self.minutes.filled_between(before, ended)
        )
        bars = [
            self._close(name, window, known_at)
            for _, _, name, window in self.windows.ending(before, ended)
        ]
        return [bar for bar in bars if bar is not None]

    def take_partials(self, every_ms: int, known_at: int, *, quick: bool = False) -> list[Bar]:
        """Bars with revision 0 of the open windows that changed, each at most once in ``every_ms``
        of event time; what is held back comes with a later call. ``quick``: those of the shortest
        interval alone, the others are kept for a call without it."""
        due: set[Window] = set()
        for views in (self._quick,) if quick else (self._quick, self._slow):
            if views.any():
                due |= views.due(self._open_windows(views.intervals), self.watermark, every_ms)
        in_order = sorted(due, key=lambda at: (at[1] * MINUTES[at[0]], MINUTES[at[0]]))
        bars = [self._bar(name, window, PARTIAL, known_at) for name, window in in_order]
        return [bar for bar in bars if bar is not None]

    # -- windows ----------------------------------------------------------------------------

    def is_open(self, minute: int) -> bool:
        return minute >= self.ended

    def _next_end(self) -> int:
        return NEVER if self.is_closed else self.windows.instant(self.ended + 1)

    def _is_closed(self, name: Interval, window: int) -> bool:
        return self.windows.stop(name, window) <= self.ended

    def _note_changed(self, minutes: Iterable[int]) -> None:
        self._quick.changed.update(minutes)
        self._slow.changed.update(minutes)

    def _open_windows(self, intervals: Collection[Interval]) -> set[Window]:
        """The open windows up to the last one with events."""
        filled = self.minutes.filled
        last = filled[-1] if filled else -1
        return {
            (name, window)
            for name in intervals
            for window in range(self.windows.ended(name, self.ended), last // MINUTES[name] + 1)
        }

    # -- bars -------------------------------------------------------------------------------

    def _close(self, name: Interval, window: int, known_at: int) -> Bar | None:
        """The next revision of a bar; None for a window that makes none."""
        revision = self.revisions[name].get(window, 0) + 1
        bar = self._bar(name, window, revision, known_at)
        if bar is not None:
            self.revisions[name][window] = revision
            self._changed_blocks.add(window * MINUTES[name] // BLOCK_MINUTES)
        return bar

    def _bar(self, name: Interval, window: int, revision: int, known_at: int) -> Bar | None:
        whole = self.minutes.window(name, window, self.ended)
        if whole is None or MINUTES[name] % whole.span:
            return None
        volume, reason = self._volume_of(name, window, whole)
        return Bar(
            product=self.product,
            interval=name,
            session=self._session_key,
            start=self.windows.instant(window * MINUTES[name]),
            end=self.windows.instant(self.windows.stop(name, window)),
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

    # -- volumes ----------------------------------------------------------------------------

    def _volume(self, name: Interval, window: int) -> Volume:
        whole = self.minutes.window(name, window, self.ended)
        return (None, NO_VOLUME) if whole is None else self._volume_of(name, window, whole)

    def _volume_of(self, name: Interval, window: int, whole: Cell) -> Volume:
        if whole.v_last is None or whole.v_first is None:
            return _volume_of_candles(whole)
        base = self.minutes.volume_before(window * MINUTES[name])
        if base is None:
            base = whole.v_first
        if whole.v_last < base:
            return None, VOLUME_DECREASED
        return whole.v_last - base, None

    def _follower(self, name: Interval, minute: int) -> tuple[int, Volume] | None:
        """The next window after that of ``minute`` with a cumulative volume, if it is closed, and
        its volume."""
        length = MINUTES[name]
        later = self.minutes.volume_minute_from((minute // length + 1) * length)
        if later is None or not self._is_closed(name, later // length):
            return None
        return later // length, self._volume(name, later // length)


def _volume_of_candles(whole: Cell) -> Volume:
    if whole.untold or not whole.told:
        return None, NO_VOLUME
    return (None, VOLUME_TOO_LARGE) if whole.traded > MAX_VOLUME else (whole.traded, None)
