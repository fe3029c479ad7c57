"""Silences: stretches of a session without any event, between minutes that have ended
(docs/semantics.md, "Gaps").

A silence is named by its start. Which ones exist follows from the minutes alone; what was emitted
of them is kept, so that a late event can correct it.
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from optionstream.schemas.derived import Gap
from optionstream.streams.core.ticks.bars import SessionBars


class Silence(Struct, array_like=True):
    """A silence as it was emitted last; ``start`` and ``end`` are UTC epoch ms."""

    start: int
    end: int
    revision: int
    filled: bool


class Silences:
    """The silences of one session longer than ``least_ms`` (at least a minute). The minutes in
    which emitted ones start are added to ``dirty``."""

    def __init__(self, bars: SessionBars, least_ms: int, dirty: set[int]) -> None:
        self._bars = bars
        self._least_ms = least_ms
        self._dirty = dirty
        self._emitted: dict[int, Silence] = {}
        """By name."""
        self.doubtful: set[int] = set()
        """Names of silences that may be new, longer, shorter or gone; see ``take_changed``."""

    def note_ended(self, before: int) -> None:
        """Note that minutes ended; ``before`` of them had when this was called last."""
        minutes, bars = self._bars.minutes, self._bars
        first, stop = minutes.count_before(before), minutes.count_before(bars.ended)
        for at in range(first, stop + bars.is_closed):
            start, end = self._around(at, stop)
            if end - start > self._least_ms:
                self.doubtful.add(start)

    def note_revised(self, minute: int, last_before: int | None) -> None:
        """Note that a minute that had ended got a late event; ``last_before`` is the time of its
        last event until then, None if there was none."""
        at = self._bars.minutes.count_before(minute)
        self.doubtful.update((self._start(at), self._start(at + 1)))
        if last_before is not None:
            self.doubtful.add(last_before)

    def take_changed(self) -> list[Silence]:
        """Return the silences that changed since the last call, by start."""
        names, self.doubtful = sorted(self.doubtful), set()
        return [changed for name in names if (changed := self._next_revision(name)) is not None]

    # -- state ------------------------------------------------------------------------------

    def starting_in(self, first: int, stop: int) -> list[Silence]:
        """Return the emitted silences that start in the minutes ``first..stop-1``, by start."""
        minute_of = self._bars.windows.minute_of
        return [
            silence
            for start, silence in sorted(self._emitted.items())
            if first <= minute_of(start) < stop
        ]

    def restore(self, emitted: Iterable[Silence]) -> None:
        """Add silences emitted before."""
        self._emitted.update((silence.start, silence) for silence in emitted)

    # -- from the minutes -------------------------------------------------------------------

    def _next_revision(self, name: int) -> Silence | None:
        """Return the silence as it has to be emitted now; None if that was emitted last."""
        end, last = self._end_of(name), self._emitted.get(name)
        if last is None:
            if end is None:
                return None
            silence = Silence(name, end, 1, False)
        elif (end is None and last.filled) or (end == last.end and not last.filled):
            return None
        else:
            end_shown = last.end if end is None else end
            silence = Silence(name, end_shown, last.revision + 1, end is None)
        self._emitted[name] = silence
        self._dirty.add(self._bars.windows.minute_of(name))
        return silence

    def _end_of(self, name: int) -> int | None:
        """Return the end of the silence that starts at ``name``; None if there is none now."""
        minutes = self._bars.minutes
        at = minutes.count_before(self._bars.windows.minute_of(name))
        if at < len(minutes.filled) and minutes.cells[minutes.filled[at]].first_ts <= name:
            at += 1
        stop = minutes.count_before(self._bars.ended)
        if at > stop or (at == stop and not self._bars.is_closed):
            return None
        start, end = self._around(at, stop)
        return end if start == name and end - start > self._least_ms else None

    def _around(self, at: int, stop: int) -> tuple[int, int]:
        """Return the times around the stretch before the ``at``-th of the ``stop`` ended minutes
        that hold events; of the one after the last, up to the close."""
        minutes = self._bars.minutes
        end = (
            minutes.cells[minutes.filled[at]].first_ts if at < stop else self._bars.windows.close_ms
        )
        return self._start(at), end

    def _start(self, at: int) -> int:
        """Return the time of the last event before the ``at``-th minute that holds events."""
        minutes = self._bars.minutes
        return minutes.cells[minutes.filled[at - 1]].last_ts if at else self._bars.windows.open_ms


def gap_of_silence(product: str, session: str, silence: Silence, known_at: int) -> Gap:
    """Return the record of a silence; ``session`` is the key of its session."""
    return Gap(
        product=product,
        kind="silence",
        session=session,
        source="",
        label="",
        first=None,
        last=None,
        missing=[],
        start=silence.start,
        end=silence.end,
        revision=silence.revision,
        filled=silence.filled,
        known_at=known_at,
    )
