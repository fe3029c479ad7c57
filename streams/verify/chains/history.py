"""The earlier snapshots of an expiry, for comparison (docs/semantics.md, Chains)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from optionstream.schemas.events import ChainSnapshot
from optionstream.schemas.times import ist_date
from optionstream.streams.verify.chains.sides import Floats, Side, side_of


class Seen(NamedTuple):
    """An accepted snapshot; ``sides`` are calls and puts as the source had them."""

    chain: ChainSnapshot
    sides: tuple[Side, Side]

    def same_content(self, other: Seen) -> bool:
        """True if both have the same content, whatever their times and sources."""
        mine, theirs = self.chain, other.chain
        return (mine.underlying_price, mine.oi_unit, mine.strikes, mine.calls, mine.puts) == (
            theirs.underlying_price,
            theirs.oi_unit,
            theirs.strikes,
            theirs.calls,
            theirs.puts,
        )

    def columns_at(self, strikes: list[float], columns: list[Floats]) -> list[Floats]:
        """Return columns of this snapshot at other strikes; NaN for a strike that it lacks."""
        if strikes == self.chain.strikes:
            return columns
        place = {strike: at for at, strike in enumerate(self.chain.strikes)}
        places = [place.get(strike, -1) for strike in strikes]
        return [np.append(column, np.nan)[places] for column in columns]


class Past(NamedTuple):
    """``day`` means an IST date of ``ts_event``; the current one is the latest so far.

    ``now`` is the snapshot in question, ``first`` the first one of the current day (maybe the
    same), ``before`` the last one of it before ``now``, ``eve`` the last one of the day before.
    ``earlier`` says that ``now`` is of a day before the current; it is compared with none.
    """

    now: Seen
    first: Seen
    before: Seen | None
    eve: Seen | None
    earlier: bool


class ChainHistory:
    """The accepted snapshots of one expiry, in the order of the log; keeps three of them."""

    def __init__(self) -> None:
        self._day = ""
        self._first: Seen | None = None
        self._last: Seen | None = None
        self._eve: Seen | None = None

    def add_snapshot(self, chain: ChainSnapshot) -> Past:
        """Note an accepted snapshot; return what came before it."""
        now, day = (
            Seen(chain, (side_of(chain.calls), side_of(chain.puts))),
            ist_date(chain.ts_event),
        )
        if self._first is None or day > self._day:
            self._day, self._first = day, now
            self._eve, self._last = self._last, None
        if day < self._day:
            return Past(now, self._first, None, None, earlier=True)
        past = Past(now, self._first, self._last, self._eve, earlier=False)
        self._last = now
        return past
