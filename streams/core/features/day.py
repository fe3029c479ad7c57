"""The bars and chains of one product and IST date, and the rows they make.

Every bar of a minute or more ends at a whole minute, so of all snapshots of an expiry only those
matter that are the newest at some minute: 375 a session at most, however many came.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from optionstream.schemas.derived import INTERVAL_MS, Bar
from optionstream.schemas.files.feature_rows import (
    BAR_NAMES,
    CHAIN_SILENT,
    CHAINS_GONE,
    NO_CHAIN_YET,
    RANKS,
    Row,
    Version,
    version_of,
)
from optionstream.streams.core.features.facts import ChainFacts, chain_cells

MINUTE_MS: Final = 60_000
_FROM_BAR: Final = tuple(
    name for name in BAR_NAMES if name not in ("revision", "bar_revision", "known_at")
)

Pick = tuple[ChainFacts | None, str | None]
"""The snapshot of one expiry in a row, and the reason for which its figures are null."""


def first_minute(ts_event: int, ts_recv: int, grace_ms: int) -> int:
    """Return the first whole minute (UTC epoch ms) whose bars may use a snapshot: not before its
    exchange time, and no more than ``grace_ms`` before its receipt."""
    earliest = max(ts_event, ts_recv - grace_ms)
    return -(-earliest // MINUTE_MS) * MINUTE_MS


class AsOf:
    """The snapshots of one expiry and date: which was the newest as of each minute."""

    def __init__(self) -> None:
        self._minutes: list[int] = []
        self._best: list[ChainFacts] = []
        """The newest of all that may be used at the minute of the same position; rises."""

    def add_chain(self, minute: int, facts: ChainFacts) -> bool:
        """Add a snapshot that may be used from ``minute`` (UTC epoch ms) on; False if that changes
        nothing: it is a repetition, or a newer one may be used at every such minute."""
        at = bisect_right(self._minutes, minute)
        if at and self._best[at - 1].version >= facts.version:
            return False
        first = at - 1 if at and self._minutes[at - 1] == minute else at
        after = at
        while after < len(self._best) and self._best[after].version <= facts.version:
            after += 1
        self._minutes[first:after] = [minute]
        self._best[first:after] = [facts]
        return True

    def newest_at(self, end: int) -> ChainFacts | None:
        """Return the newest snapshot that a bar ending at ``end`` (UTC epoch ms) may use."""
        at = bisect_right(self._minutes, end)
        return self._best[at - 1] if at else None


@dataclass(slots=True)
class _Entry:
    """A final bar; ``sent`` is the version of its last row, None before the first."""

    bar: Bar
    sent: Version | None = None

    @property
    def order(self) -> tuple[int, int, int]:
        """Sorts bars by end, length and revision."""
        return self.bar.end, INTERVAL_MS[self.bar.interval], self.bar.revision


class DayJoin:
    """One IST date (ISO text) of one product. Figures of a snapshot older than ``max_age_ms`` are
    null."""

    def __init__(self, date: str, max_age_ms: int) -> None:
        self.dirty: int | None = None
        """Settled rows that end at this minute (UTC epoch ms) or later may have changed."""
        self._date = date
        self._max_age_ms = max_age_ms
        self._chains: dict[str, AsOf] = {}
        self._bars: set[tuple[str, int, int]] = set()
        self._waiting: list[_Entry] = []
        self._unsent = 0
        """How many of the waiting bars have no row yet."""
        self._changed = False
        """True if rows of waiting bars may be out of date."""
        self._settled: dict[tuple[str, int], _Entry] = {}
        """The latest revision of each window, once no snapshot for it can come any more."""

    @property
    def waits(self) -> bool:
        """True if there is a bar for which snapshots may still come."""
        return bool(self._waiting)

    @property
    def outstanding(self) -> int:
        """How many waiting bars have no row, or one that may be out of date."""
        return len(self._waiting) if self._changed else self._unsent

    def add_bar(self, bar: Bar) -> bool:
        """Add a final bar; False if it was there."""
        key = bar.interval, bar.start, bar.revision
        if key in self._bars:
            return False
        self._bars.add(key)
        self._waiting.append(_Entry(bar))
        self._unsent += 1
        return True

    def add_chain(self, minute: int, facts: ChainFacts) -> bool:
        """Add a snapshot that may be used from ``minute`` (UTC epoch ms) on; False if it changes no
        row. One that expired before this date is left out."""
        if facts.expiry < self._date:
            return False
        changed = self._chains.setdefault(facts.expiry, AsOf()).add_chain(minute, facts)
        self._changed = self._changed or changed
        return changed

    def take_rows(self, reached: Callable[[int], bool], idle: bool) -> Iterator[Row]:
        """Yield the rows that are due: of bars whose end is ``reached``, or of all while the chains
        are ``idle``, and those that a late snapshot changed."""
        waiting: list[_Entry] = []
        for entry in sorted(self._waiting, key=lambda one: one.order):
            settles = reached(entry.bar.end)
            if settles or idle:
                yield from self._changed_row(entry)
            if settles:
                self._settle_bar(entry)
            else:
                waiting.append(entry)
        self._waiting = waiting
        self._changed = self._changed and bool(waiting) and not idle
        if self.dirty is not None:
            since, self.dirty = self.dirty, None
            for entry in sorted(self._settled.values(), key=lambda one: one.order):
                if entry.bar.end >= since:
                    yield from self._changed_row(entry)

    def _settle_bar(self, entry: _Entry) -> None:
        window = entry.bar.interval, entry.bar.start
        latest = self._settled.get(window)
        if latest is None or latest.bar.revision < entry.bar.revision:
            self._settled[window] = entry

    def _changed_row(self, entry: _Entry) -> Iterator[Row]:
        """Yield the row of a bar, if it is newer than the last one."""
        row = make_row(entry.bar, self._picks(entry.bar.end))
        version = version_of(row)
        if entry.sent is None or version > entry.sent:
            self._unsent -= entry.sent is None
            entry.sent = version
            yield row

    def _picks(self, end: int) -> list[Pick]:
        """Return the nearest expiry and the next one, of those that have a snapshot by ``end``."""
        known = [
            facts
            for expiry in sorted(self._chains)
            if (facts := self._chains[expiry].newest_at(end)) is not None
        ]
        picks: list[Pick] = [
            (facts, CHAIN_SILENT if end - facts.ts_event > self._max_age_ms else None)
            for facts in known[: len(RANKS)]
        ]
        return picks + [(None, NO_CHAIN_YET)] * (len(RANKS) - len(picks))


def row_without_chains(bar: Bar) -> Row:
    """Return the row of a bar that came when the chains of its date were no longer kept."""
    return make_row(bar, [(None, CHAINS_GONE)] * len(RANKS))


def make_row(bar: Bar, picks: list[Pick]) -> Row:
    """Return a row, all columns in order; ``revision`` is 0 until it is stored."""
    known_at = max(bar.known_at, *(facts.known_at for facts, _ in picks if facts is not None), 0)
    cells: dict[str, Any] = {name: getattr(bar, name) for name in _FROM_BAR}
    cells |= {"revision": 0, "bar_revision": bar.revision, "known_at": known_at}
    row: Row = {name: cells[name] for name in BAR_NAMES}
    for rank, (facts, reason) in zip(RANKS, picks, strict=True):
        row |= chain_cells(rank, facts, reason, bar.end)
    return row
