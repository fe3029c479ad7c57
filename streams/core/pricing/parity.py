"""Forwards implied by put-call parity."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from optionstream.streams.core.pricing.black import Floats

PAIRS: Final = 5
NO_PARITY_PAIR: Final = "no_parity_pair"
FORWARD_NOT_POSITIVE: Final = "forward_not_positive"


def forwards_from_parity(
    strikes: Floats, calls: Floats, puts: Floats, discounts: Sequence[float]
) -> list[tuple[float | None, str | None]]:
    """Return the forward of each chain in rupees, or None and the reason. Strikes and prices are
    in rupees, (chains, strikes), NaN for none; there is a discount for each chain.

    1. A pair is a strike (they rise) whose call and put both have a price.
    2. Of the pairs the five of least |C - P| count, of equals the lower strike; all if fewer.
    3. F is the median of K + (C - P)/D over them; of an even number the mean of the middle two.

    Put-call parity: H. R. Stoll, "The relationship between put and call option prices", Journal
    of Finance 24 (1969).
    """
    difference = calls - puts
    nearest = np.argsort(np.abs(difference), axis=-1, kind="stable")[:, :PAIRS]
    implied = strikes + difference / np.array(discounts)[:, None]
    pairs = np.isfinite(difference).sum(axis=-1).tolist()
    found = np.take_along_axis(implied, nearest, axis=-1).tolist()
    # What is not finite was sorted behind all pairs.
    return [_median(row[:count]) for row, count in zip(found, pairs, strict=True)]


def _median(forwards: list[float]) -> tuple[float | None, str | None]:
    if not forwards:
        return None, NO_PARITY_PAIR
    forwards.sort()
    middle = len(forwards) // 2
    forward = forwards[middle]
    if len(forwards) % 2 == 0:
        forward = 0.5 * (forwards[middle - 1] + forward)
    return (forward, None) if forward > 0.0 else (None, FORWARD_NOT_POSITIVE)
