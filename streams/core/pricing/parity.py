"""The forward that the options themselves imply."""

from __future__ import annotations

from typing import Final

import numpy as np

from optionstream.streams.core.pricing.black import Floats

PAIRS: Final = 5
NO_PARITY_PAIR: Final = "no_parity_pair"
FORWARD_NOT_POSITIVE: Final = "forward_not_positive"


def forward_from_parity(
    strikes: Floats, calls: Floats, puts: Floats, discount: float = 1.0
) -> tuple[float | None, str | None]:
    """The forward in rupees, or None and the reason; prices in rupees, NaN for none.

    1. A pair is a strike (they rise) whose call and put both have a price.
    2. Of the pairs the five of least |C - P| count, of equals the lower strike; all if fewer.
    3. F is the median of K + (C - P)/D over them; of an even number the mean of the middle two.

    Put-call parity: H. R. Stoll, "The relationship between put and call option prices", Journal
    of Finance 24 (1969).
    """
    difference = calls - puts
    pairs = np.flatnonzero(np.isfinite(difference))
    if not pairs.size:
        return None, NO_PARITY_PAIR
    nearest = pairs[np.argsort(np.abs(difference[pairs]), kind="stable")[:PAIRS]]
    forwards: list[float] = sorted((strikes[nearest] + difference[nearest] / discount).tolist())
    middle = len(forwards) // 2
    forward = forwards[middle]
    if len(forwards) % 2 == 0:
        forward = 0.5 * (forwards[middle - 1] + forward)
    return (forward, None) if forward > 0.0 else (None, FORWARD_NOT_POSITIVE)
