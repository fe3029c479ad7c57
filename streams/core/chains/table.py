"""A chain as arrays: calls in row 0, puts in row 1, one column a strike.

NaN stands for what the source did not say; the lists of ``Legs`` have None there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from optionstream.schemas.events import LEG_COLUMNS, ChainSnapshot, Legs, OiUnit
from optionstream.schemas.times import ist_date
from optionstream.streams.core.market.contracts import lot_size

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

CALL: Final = 0
PUT: Final = 1
IS_CALL: Final = np.array([[True], [False]])
_WHOLE: Final = 1e-3
"""Shares this near to a whole number are one: lots told in thirds are rounded decimals."""


@dataclass(frozen=True, slots=True)
class ChainTable:
    """The figures of one snapshot, each of shape (2, strikes); prices in rupees.

    ``oi`` and ``oi_change`` are in ``oi_unit``: shares where the lot size is known.
    """

    strikes: Floats
    present: Bools
    oi: Floats
    oi_change: Floats
    volume: Floats
    last: Floats
    bid: Floats
    ask: Floats
    oi_unit: OiUnit
    lot_size: int | None
    fractional_oi: bool
    """Whether the source's own open interest is not whole somewhere."""

    @property
    def missing_legs(self) -> int:
        return int(self.present.size - np.count_nonzero(self.present))


def table_of(chain: ChainSnapshot) -> ChainTable:
    """The chain's figures, open interest normalised to shares where the lot size is known."""
    figures = np.array(
        [[getattr(legs, name) for name in LEG_COLUMNS] for legs in (chain.calls, chain.puts)],
        dtype=np.float64,
    )
    column = {name: figures[:, at] for at, name in enumerate(LEG_COLUMNS)}
    lot = lot_size(chain.product, chain.expiry, ist_date(chain.ts_event))
    oi, oi_change, unit = column["oi"], column["oi_change"], chain.oi_unit
    fractional = bool((oi > np.floor(oi)).any())
    if unit == "lots" and lot is not None:
        oi, oi_change, unit = _shares(oi, lot), _shares(oi_change, lot), "shares"
    return ChainTable(
        strikes=np.array(chain.strikes, dtype=np.float64),
        present=np.any(~np.isnan(figures), axis=1, keepdims=True)[:, 0],
        oi=oi,
        oi_change=oi_change,
        volume=column["volume"],
        last=column["last"],
        bid=column["bid"],
        ask=column["ask"],
        oi_unit=unit,
        lot_size=lot,
        fractional_oi=fractional,
    )


def normalised(legs: Legs, table: ChainTable, side: int, source_unit: OiUnit) -> Legs:
    """The legs of one side as they go out: open interest in the table's unit."""
    if table.oi_unit == source_unit:
        return legs
    return msgspec.structs.replace(
        legs, oi=column(table.oi[side]), oi_change=column(table.oi_change[side])
    )


def column(values: Floats) -> list[float | None]:
    """A row of a table as a list, None where it has NaN."""
    return [None if value != value else value for value in values.tolist()]


def aligned(values: Floats, strikes: Floats, to: Floats) -> Floats:
    """``values`` (2, m) of ``strikes`` at the strikes ``to``: (2, n), NaN where there is none."""
    if np.array_equal(strikes, to):
        return values
    found = np.full((2, len(to)), np.nan)
    if len(strikes):
        at = np.searchsorted(strikes, to).clip(max=len(strikes) - 1)
        same = strikes[at] == to
        found[:, same] = values[:, at[same]]
    return found


def _shares(lots: Floats, lot: int) -> Floats:
    shares = lots * lot
    whole = np.rint(shares)
    near = np.abs(shares - whole) <= _WHOLE
    return np.where(near, whole, shares)
