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
from optionstream.streams.core.ticks.minutes import MINUTES, Minutes, Windows
from optionstream.streams.core.watermark import Watermark

NO_VOLUME: Final = "no_volume"
VOLUME_DECREASED: Final = "volume_decreased"
VOLUME_TOO_LARGE: Final = "volume_too_large"
NEVER: Final = 1 << 62
"""An instant that no watermark reaches."""

Window = tuple[Interval, int]
"""An interval and the number of the window, from 0 at the open."""
Volume = tuple[int | None, str | None]
"""A volume, or None and the reason."""


class Partials:
    """The open windows of some intervals that changed. Views of the moment, not state."""

    def __init__(self, intervals: Collection[Interval]) -> None:
        self.intervals = intervals
        self.changed: set[int] = set()
        """Minutes changed since the last ``take_due``."""
        self._unshown: set[Window] = set()
        self._shown: dict[Window, int] = {}
        """The event time, UTC epoch ms, that was reached when a window was shown last."""

    def take_due(self, open_windows: set[Window], reached: int, every_ms: int) -> set[Window]:
        """Return the windows to show now: changed, and not shown within ``every_ms`` before
        ``reached``. Other changed ones are kept for a later call while they are open."""
        unshown = self._unshown.union(self._windows_of(self.changed)) & open_windows
        self.changed = set()
        self._shown = {at: when for at, when in self._shown.items() if at in open_windows}
        due = {
            at for at in unshown if at not in self._shown or reached - self._shown[at] >= every_ms
        }
        self._shown.update(dict.fromkeys(due, reached))
        self._unshown = unshown - due
        return due

    def has_changes(self) -> bool:
        """True if something changed that was not shown."""
        return bool(self.changed or self._unshown)

    def _windows_of(self, minutes: Iterable[int]) -> set[Window]:
        return {(name, minute // MINUTES[name]) for minute in minutes for name in self.intervals}


class SessionBars:
    """The minutes of one session and the revisions of the bars made from them.

    ``watermark`` closes every window whose end it has reached; ``next_end`` is the instant (UTC
    epoch ms) that ends the next minute. Minutes that ended or were revised, and the first minutes
    of bars that got a revision, are added to ``dirty``.
    """

    def __init__(
        self, product: str, session: Session, watermark: Watermark, dirty: set[int]
    ) -> None:
        self.product = product
        self._session_key = session.key
        self.windows = Windows(session)
        self.minutes = Minutes(self.windows)
        self.revisions: dict[Interval, dict[int, int]] = {name: {} for name in INTERVALS}
        self._shortest = Partials(INTERVALS[:1])
        self._longer = Partials(INTERVALS[1:])
        self._watermark = watermark
        self._dirty = dirty
        self._count_ended()

    def restore(self, watermark: int, cells: Mapping[int, Cell]) -> None:
        """Set watermark (UTC epoch ms) and minutes as they were stored. What was shown of open
        windows is not known any more: all of them are to be shown again."""
        self._watermark.reached_ms = watermark
        self._count_ended()
        self.minutes.restore(cells)
        self._note_changed(cells)

    @property
    def is_closed(self) -> bool:
        """True if the whole session has ended."""
        return self.ended == self.windows.minutes

    # -- events -----------------------------------------------------------------------------

    def add_cell(self, minute: int, cell: Cell) -> None:
        """Add the events of ``cell`` to an open minute."""
        self.minutes.add_cell(minute, cell)
        self._note_changed((minute,))

    def revise_minute(self, minute: int, cell: Cell, known_at: int) -> list[Bar]:
        """Add late events to a minute that has ended; return the bars of closed windows that
        this revises."""
        closed = [name for name in INTERVALS if self._is_closed(name, minute // MINUTES[name])]
        followers = {
            name: self._follower(name, minute) if cell.v_last is not None else None
            for name in closed
        }
        self.minutes.add_late_cell(minute, cell)
        self._note_changed((minute,))
        self._dirty.add(minute)
        revised: list[Bar | None] = []
        for name in closed:
            revised.append(self._next_revision(name, minute // MINUTES[name], known_at))
            follower = followers[name]
            if follower is not None and self._volume(name, follower[0]) != follower[1]:
                revised.append(self._next_revision(name, follower[0], known_at))
        return [bar for bar in revised if bar is not None]

    # -- time -------------------------------------------------------------------------------

    def advance(self, instant: int, known_at: int) -> list[Bar]:
        """Move the watermark to ``instant``; return the bars of the windows that closed by it, in
        the order of (end, length)."""
        if not self._watermark.raise_to(instant) or instant < self.next_end:
            return []
        before = self.ended
        self._count_ended()
        self._dirty.update(self.minutes.filled_between(before, self.ended))
        bars = [
            self._next_revision(name, window, known_at)
            for _, _, name, window in self.windows.ending(before, self.ended)
        ]
        return [bar for bar in bars if bar is not None]

    def take_partials(
        self, every_ms: int, known_at: int, *, shortest_only: bool = False
    ) -> list[Bar]:
        """Return bars with revision 0 of the open windows that changed since they were returned
        last, each at most once in ``every_ms`` of event time; what is due later comes with a later
        call. ``shortest_only``: of the shortest interval; the others are kept as well."""
        due: set[Window] = set()
        reached = self._watermark.reached_ms
        for views in (self._shortest,) if shortest_only else (self._shortest, self._longer):
            if views.has_changes():
                due |= views.take_due(self._open_windows(views.intervals), reached, every_ms)
        in_order = sorted(due, key=lambda at: (at[1] * MINUTES[at[0]], MINUTES[at[0]]))
        bars = [self._bar(name, window, PARTIAL, known_at) for name, window in in_order]
        return [bar for bar in bars if bar is not None]

    # -- windows ----------------------------------------------------------------------------

    def is_open(self, minute: int) -> bool:
        """True if the minute has not ended."""
        return minute >= self.ended

    def _count_ended(self) -> None:
        self.ended = self.windows.minutes_ended(self._watermark.reached_ms)
        """How many minutes of the session have ended; all later ones are open."""
        self.next_end = NEVER if self.is_closed else self.windows.instant(self.ended + 1)

    def _is_closed(self, name: Interval, window: int) -> bool:
        return self.windows.stop(name, window) <= self.ended

    def _note_changed(self, minutes: Iterable[int]) -> None:
        self._shortest.changed.update(minutes)
        self._longer.changed.update(minutes)

    def _open_windows(self, intervals: Collection[Interval]) -> set[Window]:
        """Return the open windows up to the last one with events."""
        filled = self.minutes.filled
        last = filled[-1] if filled else -1
        return {
            (name, window)
            for name in intervals
            for window in range(self.windows.ended(name, self.ended), last // MINUTES[name] + 1)
        }

    # -- bars -------------------------------------------------------------------------------

    def _next_revision(self, name: Interval, window: int, known_at: int) -> Bar | None:
        """Return the next revision of a bar; None for a window that makes none."""
        revision = self.revisions[name].get(window, 0) + 1
        bar = self._bar(name, window, revision, known_at)
        if bar is not None:
            self.revisions[name][window] = revision
            self._dirty.add(window * MINUTES[name])
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
        """Return the next window after that of ``minute`` with a cumulative volume, and its volume;
        None if it is open."""
        length = MINUTES[name]
        later = self.minutes.volume_minute_from((minute // length + 1) * length)
        if later is None or not self._is_closed(name, later // length):
            return None
        return later // length, self._volume(name, later // length)


def _volume_of_candles(whole: Cell) -> Volume:
    if whole.without_volume or not whole.with_volume:
        return None, NO_VOLUME
    return (None, VOLUME_TOO_LARGE) if whole.traded > MAX_VOLUME else (whole.traded, None)
