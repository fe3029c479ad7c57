"""The bars and chains of one product and IST date, and the rows they make."""

from __future__ import annotations

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
from optionstream.streams.core.features.asof import AsOf
from optionstream.streams.core.features.facts import ChainFacts, chain_cells

_FROM_BAR: Final = tuple(
    name for name in BAR_NAMES if name not in ("revision", "bar_revision", "known_at")
)

Pick = tuple[ChainFacts | None, str | None]
"""The snapshot of one expiry that a row tells, and why its figures are null."""


@dataclass(slots=True)
class _Entry:
    """A final bar; ``sent`` is the version of its last row."""

    bar: Bar
    sent: Version | None = None

    @property
    def order(self) -> tuple[int, int, int]:
        return self.bar.end, INTERVAL_MS[self.bar.interval], self.bar.revision


class DayJoin:
    """One product's date, as ISO text. ``max_age_ms``: a snapshot older than this is silent."""

    def __init__(self, date: str, max_age_ms: int) -> None:
        self.dirty: int | None = None
        """Rows that were settled and end at this minute or later may say something else now."""
        self._date = date
        self._max_age_ms = max_age_ms
        self._chains: dict[str, AsOf] = {}
        self._bars: set[tuple[str, int, int]] = set()
        self._waiting: list[_Entry] = []
        self._unsent = 0
        """Of those that wait, the ones without any row."""
        self._changed = False
        """Whether the others' rows may say less than is known by now."""
        self._settled: dict[tuple[str, int], _Entry] = {}
        """Of each window the latest revision, once nothing eligible can come any more."""

    @property
    def waits(self) -> bool:
        """Whether a bar is there for which eligible snapshots may still come."""
        return bool(self._waiting)

    @property
    def outstanding(self) -> int:
        """Bars that wait and have no row, or maybe one that says less than is known by now."""
        return len(self._waiting) if self._changed else self._unsent

    def add_bar(self, bar: Bar) -> bool:
        """Take a final bar; False for one that is there."""
        key = bar.interval, bar.start, bar.revision
        if key in self._bars:
            return False
        self._bars.add(key)
        self._waiting.append(_Entry(bar))
        self._unsent += 1
        return True

    def add_chain(self, minute: int, facts: ChainFacts) -> bool:
        """Take a snapshot that may be used from ``minute`` on; False when it changes no row. One
        that had expired before this date is none of its two expiries."""
        if facts.expiry < self._date:
            return False
        changed = self._chains.setdefault(facts.expiry, AsOf()).add(minute, facts)
        self._changed = self._changed or changed
        return changed

    def take(self, reached: Callable[[int], bool], idle: bool) -> Iterator[Row]:
        """The rows that are due: of bars whose end is ``reached``, or all while the chains are
        ``idle``, and those that a late snapshot changed."""
        waiting: list[_Entry] = []
        for entry in sorted(self._waiting, key=lambda one: one.order):
            settles = reached(entry.bar.end)
            if settles or idle:
                yield from self._renewed(entry)
            if settles:
                self._settle(entry)
            else:
                waiting.append(entry)
        self._waiting = waiting
        self._changed = self._changed and bool(waiting) and not idle
        if self.dirty is not None:
            since, self.dirty = self.dirty, None
            for entry in sorted(self._settled.values(), key=lambda one: one.order):
                if entry.bar.end >= since:
                    yield from self._renewed(entry)

    def _settle(self, entry: _Entry) -> None:
        window = entry.bar.interval, entry.bar.start
        held = self._settled.get(window)
        if held is None or held.bar.revision < entry.bar.revision:
            self._settled[window] = entry

    def _renewed(self, entry: _Entry) -> Iterator[Row]:
        """The row, if the last one said less."""
        row = make_row(entry.bar, self._picks(entry.bar.end))
        version = version_of(row)
        if entry.sent is None or version > entry.sent:
            self._unsent -= entry.sent is None
            entry.sent = version
            yield row

    def _picks(self, end: int) -> list[Pick]:
        """The nearest expiry and the next one, of those that have a snapshot by ``end``."""
        known = [
            facts
            for expiry in sorted(self._chains)
            if (facts := self._chains[expiry].at(end)) is not None
        ]
        picks: list[Pick] = [
            (facts, CHAIN_SILENT if end - facts.ts_event > self._max_age_ms else None)
            for facts in known[: len(RANKS)]
        ]
        return picks + [(None, NO_CHAIN_YET)] * (len(RANKS) - len(picks))


def row_without_chains(bar: Bar) -> Row:
    """The row of a bar that came when the chains of its date were no longer kept."""
    return make_row(bar, [(None, CHAINS_GONE)] * len(RANKS))


def make_row(bar: Bar, picks: list[Pick]) -> Row:
    """A row, all columns in order; the store gives it its revision."""
    known_at = max(bar.known_at, *(facts.known_at for facts, _ in picks if facts is not None), 0)
    cells: dict[str, Any] = {name: getattr(bar, name) for name in _FROM_BAR}
    cells |= {"revision": 0, "bar_revision": bar.revision, "known_at": known_at}
    row: Row = {name: cells[name] for name in BAR_NAMES}
    for rank, (facts, reason) in zip(RANKS, picks, strict=True):
        row |= chain_cells(rank, facts, reason, bar.end)
    return row
