"""Silences: stretches of a session without any event, between minutes that have ended
(docs/semantics.md, "Gaps").

A silence is named by its start. Which ones exist follows from the minutes alone; what has been
told of them is kept, so that a late event can correct it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from msgspec import Struct

from optionstream.schemas.derived import Gap
from optionstream.streams.core.ticks.bars import BLOCK_MINUTES, SessionBars
from optionstream.streams.core.ticks.columns import Feed
from optionstream.streams.core.ticks.holes import Hole


class Silence(Struct, array_like=True):
    """What was last told of a silence; ``start`` and ``end`` are UTC epoch ms."""

    start: int
    end: int
    revision: int
    filled: bool


class Silences:
    """The silences of one session longer than ``least_ms`` (at least a minute), and what was told
    of them."""

    def __init__(self, bars: SessionBars, least_ms: int, changed_blocks: set[int]) -> None:
        self._bars = bars
        self._least_ms = least_ms
        self._changed_blocks = changed_blocks
        self._told: dict[int, Silence] = {}
        self.doubtful: set[int] = set()
        """Names of silences that may have begun, moved or ended; ``take`` looks at them."""

    def minutes_ended(self, before: int) -> None:
        """Look at the minutes that ended since ``before`` of them had."""
        minutes, bars = self._bars.minutes, self._bars
        first, stop = minutes.count_before(before), minutes.count_before(bars.ended)
        for at in range(first, stop + bars.is_closed):
            start, end = self._around(at, stop)
            if end - start > self._least_ms:
                self.doubtful.add(start)

    def minute_revised(self, minute: int, last_before: int | None) -> None:
        """Look at both sides of a minute that had ended and took a late event; ``last_before`` is
        the time of its last event until then, None when there was none."""
        at = self._bars.minutes.count_before(minute)
        self.doubtful.update((self._start(at), self._start(at + 1)))
        if last_before is not None:
            self.doubtful.add(last_before)

    def take(self) -> list[Silence]:
        """What there is to tell since the last call, in order of start."""
        names, self.doubtful = sorted(self.doubtful), set()
        return [told for name in names if (told := self._tell(name)) is not None]

    # -- state ------------------------------------------------------------------------------

    def in_block(self, block: int) -> list[Silence]:
        """What was told of the silences that start in a block."""
        return [told for start, told in sorted(self._told.items()) if self._block(start) == block]

    def restore(self, told: Iterable[Silence]) -> None:
        """Add what was told before."""
        self._told.update((one.start, one) for one in told)

    def _block(self, start: int) -> int:
        return self._bars.windows.minute_of(start) // BLOCK_MINUTES

    # -- what is ----------------------------------------------------------------------------

    def _tell(self, name: int) -> Silence | None:
        end, told = self._end_of(name), self._told.get(name)
        if told is None:
            if end is None:
                return None
            told = Silence(name, end, 1, False)
        elif (end is None and told.filled) or (end == told.end and not told.filled):
            return None
        else:
            told = Silence(name, told.end if end is None else end, told.revision + 1, end is None)
        self._told[name] = told
        self._changed_blocks.add(self._block(name))
        return told

    def _end_of(self, name: int) -> int | None:
        """The end of the silence that starts at ``name`` now; None when there is none."""
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
        """The times around the stretch before the ``at``-th of the ``stop`` ended minutes that
        hold events; after the last one, to the close."""
        minutes = self._bars.minutes
        end = (
            minutes.cells[minutes.filled[at]].first_ts if at < stop else self._bars.windows.close_ms
        )
        return self._start(at), end

    def _start(self, at: int) -> int:
        """The time of the last event before the ``at``-th minute that holds events."""
        minutes = self._bars.minutes
        return minutes.cells[minutes.filled[at - 1]].last_ts if at else self._bars.windows.open_ms


MAX_RANGES: Final = 1_000
"""Missing ranges that one gap lists, so that no record grows beyond what every store takes."""


def gap_of_silence(product: str, session: str, silence: Silence, known_at: int) -> Gap:
    """The record of a silence as last told; ``session`` is the key of its session."""
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


def gap_of_hole(product: str, session: str, feed: Feed, hole: Hole, known_at: int) -> Gap:
    """The record of a hole in the numbers of ``feed`` as it is now."""
    source, label = feed
    return Gap(
        product=product,
        kind="sequence",
        session=session,
        source=source,
        label=label,
        first=hole.first,
        last=hole.last,
        missing=hole.missing[:MAX_RANGES],
        start=hole.start,
        end=hole.end,
        revision=hole.revision,
        filled=not hole.missing,
        known_at=known_at,
    )
