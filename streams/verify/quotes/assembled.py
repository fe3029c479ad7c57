"""Chains assembled from the quotes of one expiry in one session, as one batch.

The log alone says which quotes a chain has. A quote takes part from the first boundary after it
that the watermark had not reached when it came. A figure of a leg is that of the applied quote of
the greatest (time, number) that has one, of equals the later in the log. Both are running maxima,
so nothing here moves through the session event by event.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from optionstream.schemas.events import LEG_COLUMNS, ChainSnapshot, Legs
from optionstream.streams.core.market.calendar import Session
from optionstream.streams.verify.quotes.log import PRICES, QuoteLog

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

_CHUNK = 256
"""Boundaries worked on at a time, to bound memory."""
_NEVER = -1
_IN_OI_UNIT = ("oi", "oi_change")


class Assembled(NamedTuple):
    """A chain, and the age of its oldest leg in milliseconds.

    ``offset`` is that of the record with which the chain goes out: it let the watermark reach the
    boundary, or began a later session.
    """

    chain: ChainSnapshot
    oldest_leg_ms: int
    offset: int


@dataclass(frozen=True, slots=True)
class Timing:
    """``cadence_ms`` 0 makes a chain at every change.

    ``ended_by`` is the offset of the record that began a later session; None while there is none.
    """

    session: Session
    cadence_ms: int
    lateness_ms: int
    ended_by: int | None


def assembled(product: str, expiry: str, log: QuoteLog, timing: Timing) -> Iterator[Assembled]:
    """Yield the chains that must have gone out for these quotes, in order (docs/semantics.md)."""
    ts = _ints(log.ts)
    watermark = np.maximum.accumulate(ts) - timing.lateness_ms
    boundary, applied = _boundaries(ts, watermark, timing)
    batch = _Batch(log, boundary, applied, _offsets(log, watermark, timing))
    for first in range(0, len(batch.bounds), _CHUNK):
        yield from batch.chains(product, expiry, first)


def _offsets(log: QuoteLog, watermark: Ints, timing: Timing) -> Callable[[Ints], Ints]:
    """Return a function from boundaries to the offsets of the records that reached them."""
    ended_by = _NEVER if timing.ended_by is None else timing.ended_by
    offsets = np.append(_ints(log.offset), ended_by)
    return lambda bounds: offsets[np.searchsorted(watermark, bounds)]


def _boundaries(ts: Ints, watermark: Ints, timing: Timing) -> tuple[Ints, NDArray[np.bool_]]:
    """Return the boundary each quote takes part from, and whether that was reached."""
    before = np.concatenate(([np.iinfo(np.int64).min], watermark))[: len(ts)]
    after = np.maximum(ts, before)
    if timing.cadence_ms:
        steps = (after - timing.session.open_ms) // timing.cadence_ms + 1
        boundary = timing.session.open_ms + steps * timing.cadence_ms
        boundary = np.minimum(boundary, timing.session.close_ms)
    else:
        known = np.unique(ts[ts >= before]) + 1
        boundary = known[np.searchsorted(known, after, side="right")]
    reached = boundary <= watermark.max(initial=0)
    if timing.ended_by is not None:
        boundary = np.where(reached, boundary, timing.session.close_ms)
        reached = np.ones(len(ts), dtype=bool)
    return boundary, reached


class _Newest:
    """The greatest of each cell's values so far, boundary by boundary."""

    def __init__(self, at: Ints, cell: Ints, value: Ints, cells: int) -> None:
        """Take values that are not negative; ``at``, rising, is the boundary of each."""
        self._at, self._cell, self._value = at, cell, value
        self._carried = np.full(cells, _NEVER, dtype=np.int64)

    def rows(self, first: int, last: int) -> Ints:
        """Return boundaries ``first`` up to ``last`` by cells, -1 for none; ask in order."""
        grid = np.full((last - first, len(self._carried)), _NEVER, dtype=np.int64)
        grid[0] = self._carried
        low, high = np.searchsorted(self._at, (first, last))
        here = slice(low, high)
        np.maximum.at(grid, (self._at[here] - first, self._cell[here]), self._value[here])
        np.maximum.accumulate(grid, axis=0, out=grid)
        self._carried = grid[-1].copy()
        return grid


class _Batch:
    """Applied quotes, sorted by boundary."""

    def __init__(
        self,
        log: QuoteLog,
        boundary: Ints,
        applied: NDArray[np.bool_],
        offsets_of: Callable[[Ints], Ints],
    ) -> None:
        places = np.flatnonzero(applied)
        places = places[np.argsort(boundary[places], kind="stable")]
        ts, seq = _ints(log.ts)[places], _ints(log.seq)[places]
        self._log = log
        self._by_rank = np.lexsort((places, seq, ts))
        rank = np.argsort(self._by_rank)
        self.bounds, at = np.unique(boundary[places], return_inverse=True)
        self._offsets = offsets_of(self.bounds).tolist()
        self._strikes, row = np.unique(np.array(log.strike)[places], return_inverse=True)
        leg, legs = 2 * row + _ints(log.is_put)[places], 2 * len(self._strikes)
        one = np.zeros_like(leg)
        self._source, self._unit = _ints(log.source)[places], _ints(log.unit)[places]
        self._last_time = _Newest(at, leg, ts, legs)
        self._received = _Newest(at, one, _ints(log.ts_recv)[places], 1)
        self._quote = _Newest(at, one, rank, 1)
        self._given, self._values = {}, {}
        for name, column in log.figures.items():
            self._values[name] = values = np.array(column)[places]
            given = ~np.isnan(values)
            cell, cells = (leg, legs) if name in LEG_COLUMNS else (one, 1)
            self._given[name] = _Newest(at[given], cell[given], rank[given], cells)

    def chains(self, product: str, expiry: str, first: int) -> Iterator[Assembled]:
        """Yield the chains of a chunk of boundaries, from ``first`` on; ask in order."""
        last = min(first + _CHUNK, len(self.bounds))
        newest = self._by_rank[self._quote.rows(first, last)[:, 0]]
        unit, source = self._unit[newest], self._source[newest]
        legs = {name: self._figure(name, first, last, unit) for name in LEG_COLUMNS}
        price = self._figure("underlying_price", first, last, unit)
        received = self._received.rows(first, last)[:, 0]
        times = self._last_time.rows(first, last)
        for at, moment in enumerate(self.bounds[first:last].tolist()):
            quoted = times[at] != _NEVER
            there = quoted[::2] | quoted[1::2]
            chain = ChainSnapshot(
                product=product,
                expiry=expiry,
                source=self._log.sources[source[at]],
                ts_event=moment,
                ts_recv=int(received[at]),
                oi_unit=self._log.units[unit[at]],
                strikes=self._strikes[there].tolist(),
                calls=Legs(*(_optional(legs[name][at, 0::2][there]) for name in LEG_COLUMNS)),
                puts=Legs(*(_optional(legs[name][at, 1::2][there]) for name in LEG_COLUMNS)),
                underlying_price=_optional(price[at])[0],
            )
            oldest_leg_ms = moment - int(times[at][quoted].min())
            yield Assembled(chain, oldest_leg_ms, self._offsets[first + at])

    def _figure(self, name: str, first: int, last: int, unit: Ints) -> Floats:
        """Return boundaries by cells, NaN for none."""
        ranks = self._given[name].rows(first, last)
        quote = self._by_rank[ranks]
        lacking = ranks == _NEVER
        values = self._values[name][quote]
        if name in PRICES:
            lacking |= values == 0
        if name in _IN_OI_UNIT:
            lacking |= self._unit[quote] != unit[:, None]
        return np.where(lacking, np.nan, values)


def _ints(values: Any) -> Ints:
    return np.array(values, dtype=np.int64)


def _optional(values: Floats) -> list[float | None]:
    return [None if value != value else value for value in values.tolist()]
