"""A snapshot as two matrices, calls and puts, in the unit that goes out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from optionstream.schemas.events import LEG_COLUMNS, ChainSnapshot, Legs
from optionstream.schemas.times import ist_date
from optionstream.streams.core.market.contracts import lot_size
from optionstream.streams.verify.chains.tolerances import NEARLY_WHOLE

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

_IN_OI_UNIT = [LEG_COLUMNS.index(name) for name in ("oi", "oi_change")]


@dataclass(frozen=True, slots=True)
class Side:
    """One side of a chain: the columns of ``Legs`` by strikes, NaN where a figure is unknown."""

    columns: Floats

    def __getitem__(self, name: str) -> Floats:
        """Return a column of ``Legs`` by its name."""
        row: Floats = self.columns[LEG_COLUMNS.index(name)]
        return row

    @property
    def present(self) -> Bools:
        """Strikes that have this leg."""
        return np.logical_not(np.isnan(self.columns).all(axis=0))

    def part(self, strikes: slice) -> Side:
        """Return the side as if the chain had only these strikes."""
        return Side(self.columns[:, strikes])


def known_sum(values: Floats) -> float:
    """Return the sum of what is not NaN."""
    return float(values[values == values].sum())


def side_of(legs: Legs) -> Side:
    """Return one side of a snapshot."""
    return Side(np.array([getattr(legs, name) for name in LEG_COLUMNS], dtype=np.float64))


def lot_of(chain: ChainSnapshot) -> int | None:
    """Return the shares of a lot of this expiry on the snapshot's IST date."""
    return lot_size(chain.product, chain.expiry, ist_date(chain.ts_event))


def unit_of(chain: ChainSnapshot, lot: int | None) -> str:
    """Return the unit that open interest goes out in."""
    return chain.oi_unit if lot is None else "shares"


def converted(side: Side, unit: str, lot: int | None) -> Side:
    """Return the side of a snapshot in ``unit``, with open interest as it goes out."""
    if lot is None or unit == "shares":
        return side
    columns = side.columns.copy()
    shares = columns[_IN_OI_UNIT] * lot
    whole = np.round(shares)
    columns[_IN_OI_UNIT] = np.where(abs(shares - whole) <= NEARLY_WHOLE, whole, shares)
    return Side(columns)


def packed(values: Floats) -> bytes:
    """Return the numbers as bytes, the same for 0 and -0 and for every NaN."""
    return np.where(np.isnan(values), np.nan, values + 0.0).tobytes()


def digest(arrays: Iterable[Floats]) -> str:
    """Return a hash of numbers, by `packed`."""
    hashed = blake2b(digest_size=16)
    for values in arrays:
        hashed.update(packed(values))
    return hashed.hexdigest()
