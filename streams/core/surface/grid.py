"""Volatilities at fixed tenors and distances from the forward, between the smiles.

What is interpolated is the total variance, volatility squared times years: at a fixed distance from
the forward it rises with time unless prices allow arbitrage (J. Gatheral, "The Volatility Surface",
2006). There is no extrapolation beyond the first and the last strike or expiry.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np

from optionstream.schemas.derived import Smile
from optionstream.streams.core.pricing.black import Floats
from optionstream.streams.core.surface.smile import OUTSIDE_STRIKES

TENORS_DAYS: Final = (7, 14, 30, 60, 90)
LOG_MONEYNESS: Final = tuple(step / 100 for step in range(-10, 11))
"""ln(strike / forward): 10 % on either side."""
OUTSIDE_EXPIRIES: Final = "outside_expiries"
_DAYS_A_YEAR: Final = 365
_NOISE: Final = 1e-9
"""Relative fall of total variance that is still none."""

Row = tuple[list[float | None], list[str | None]]
"""The volatilities of one tenor, and the reasons where there is none."""

_COLUMNS = np.array(LOG_MONEYNESS)
_NO_EXPIRIES: Final[Row] = ([None] * len(LOG_MONEYNESS), [OUTSIDE_EXPIRIES] * len(LOG_MONEYNESS))


class Grid(NamedTuple):
    """A row for each of ``TENORS_DAYS``; ``has_calendar_arbitrage`` says that total variance falls
    from one expiry to the next somewhere on it."""

    rows: list[Row]
    has_calendar_arbitrage: bool


def grid_of(smiles: Sequence[Smile]) -> Grid:
    """Return the grid of smiles that are in the order of their expiry."""
    years = [smile.years for smile in smiles]
    variances = [_total_variance(smile) for smile in smiles]
    rows = [_row(days / _DAYS_A_YEAR, years, variances) for days in TENORS_DAYS]
    return Grid(rows, _falls(variances))


def _total_variance(smile: Smile) -> Floats:
    """Return the total variance at the columns of the grid, NaN beyond the strikes."""
    known = np.square(smile.iv) * smile.years
    found: Floats = np.interp(_COLUMNS, smile.log_moneyness, known, left=np.nan, right=np.nan)
    return found


def _row(tenor: float, years: Sequence[float], variances: Sequence[Floats]) -> Row:
    after = bisect_left(years, tenor)
    if after < len(years) and years[after] == tenor:
        variance = variances[after]
    elif 0 < after < len(years):
        share = (tenor - years[after - 1]) / (years[after] - years[after - 1])
        variance = (1 - share) * variances[after - 1] + share * variances[after]
    else:
        return _NO_EXPIRIES
    row = [None if one != one else one for one in np.sqrt(variance / tenor).tolist()]
    return row, [OUTSIDE_STRIKES if one is None else None for one in row]


def _falls(variances: Sequence[Floats]) -> bool:
    if len(variances) < 2:
        return False
    table = np.array(variances)
    return bool((table[1:] < table[:-1] * (1 - _NOISE)).any())  # NaN is never less
