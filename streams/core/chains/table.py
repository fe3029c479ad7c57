"""Chains as arrays: of each the calls in row 0, the puts in row 1, one column a strike.

Those with equally many strikes are stacked, for a chain has so few that the calls into NumPy cost
more than the arithmetic. No figure of one depends on those beside it, to the last bit: sums run
along the strikes only, and no product of matrices is used.

NaN stands for what the source does not have; the lists of ``Legs`` have None there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, cast

import numpy as np
from msgspec.structs import replace
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
"""Shares this near to a whole number are one: lots given in thirds are rounded decimals."""


@dataclass(frozen=True, slots=True)
class ChainTable:
    """The figures of some snapshots with equally many strikes; prices in rupees.

    Of shape (chains, 2, strikes), and ``strikes`` (chains, strikes). ``oi`` and ``oi_change`` are
    in the chain's ``oi_unit``: shares where its lot size is known. What belongs to a chain as a
    whole is a list with one entry for each.
    """

    strikes: Floats
    present: Bools
    oi: Floats
    oi_change: Floats
    volume: Floats
    last: Floats
    bid: Floats
    ask: Floats
    oi_unit: list[OiUnit]
    lot_size: list[int | None]
    fractional_oi: list[bool]
    """Whether the source's own open interest is not whole somewhere."""
    crossed: list[bool]
    """Whether a bid is above its ask somewhere."""
    missing_legs: list[int]


def table_of(chains: Sequence[ChainSnapshot]) -> ChainTable:
    """Return the figures of chains with equally many strikes, open interest in shares where the lot
    size is known."""
    figures = np.array(
        [
            [[getattr(legs, name) for name in LEG_COLUMNS] for legs in (chain.calls, chain.puts)]
            for chain in chains
        ],
        dtype=np.float64,
    )
    columns = {name: np.ascontiguousarray(figures[:, :, at]) for at, name in enumerate(LEG_COLUMNS)}
    oi, oi_change, units = columns["oi"], columns["oi_change"], [chain.oi_unit for chain in chains]
    fractional = any_leg(oi > np.floor(oi))
    lots = [lot_size(one.product, one.expiry, ist_date(one.ts_event)) for one in chains]
    for at, lot in enumerate(lots):
        if units[at] == "lots" and lot is not None:
            oi[at], oi_change[at] = _shares(oi[at], lot), _shares(oi_change[at], lot)
            units[at] = "shares"
    present = np.any(~np.isnan(figures), axis=2)
    return ChainTable(
        strikes=np.array([chain.strikes for chain in chains], dtype=np.float64),
        present=present,
        oi=oi,
        oi_change=oi_change,
        volume=columns["volume"],
        last=columns["last"],
        bid=columns["bid"],
        ask=columns["ask"],
        oi_unit=units,
        lot_size=lots,
        fractional_oi=fractional,
        crossed=any_leg(columns["bid"] > columns["ask"]),
        missing_legs=np.count_nonzero(~present, axis=(1, 2)).tolist(),
    )


def any_leg(legs: Bools) -> list[bool]:
    """Return for each chain whether any of its legs is True; ``legs`` is (chains, 2, strikes)."""
    found: list[bool] = np.any(legs.reshape(len(legs), -1), axis=1).tolist()
    return found


def normalised(chains: Sequence[ChainSnapshot], table: ChainTable) -> list[tuple[Legs, Legs]]:
    """Return the calls and the puts of each chain with open interest in the table's unit."""
    oi, oi_change = lists(table.oi), lists(table.oi_change)
    return [
        (chain.calls, chain.puts)
        if table.oi_unit[at] == chain.oi_unit
        else (
            replace(chain.calls, oi=oi[2 * at], oi_change=oi_change[2 * at]),
            replace(chain.puts, oi=oi[2 * at + 1], oi_change=oi_change[2 * at + 1]),
        )
        for at, chain in enumerate(chains)
    ]


def lists(values: Floats) -> list[list[float | None]]:
    """Return the rows along the last axis, in order, with None for NaN."""
    rows = values.reshape(-1, values.shape[-1])
    columns = cast("list[list[float | None]]", rows.tolist())
    for at in np.flatnonzero(np.isnan(rows).any(axis=1)).tolist():
        columns[at] = [None if value != value else value for value in columns[at]]
    return columns


def aligned(values: Floats, strikes: Floats, to: Floats) -> Floats:
    """Return ``values`` (2, m) of ``strikes`` at the strikes ``to``: (2, n), NaN where none is."""
    found = np.full((2, len(to)), np.nan)
    if len(strikes):
        at = np.minimum(np.searchsorted(strikes, to), len(strikes) - 1)
        same = strikes[at] == to
        found[:, same] = values[:, at[same]]
    return found


def _shares(lots: Floats, lot: int) -> Floats:
    shares = lots * lot
    whole = np.rint(shares)
    near = np.abs(shares - whole) <= _WHOLE
    return np.where(near, whole, shares)
