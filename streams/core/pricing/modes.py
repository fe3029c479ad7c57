"""Inputs of each pricing mode: price, time to expiry, rate.

``black76`` prices on the parity forward to the dated instant of expiry; ``nse`` repeats what the
exchange does for the volatilities it publishes: Black-Scholes on spot at 10 %, whole days.
"""

from __future__ import annotations

from datetime import date
from types import MappingProxyType
from typing import Final

import numpy as np

from optionstream.schemas.derived import IvMode
from optionstream.schemas.times import DAY_MS, ist
from optionstream.streams.core.pricing.black import Floats

DEFAULT_RATE: Final = MappingProxyType[IvMode, float]({"black76": 0.0, "nse": 0.10})
"""Decimal, continuously compounded. The parity forward holds the market's own rate already."""
YEAR_MS: Final = 365 * DAY_MS


def years_to_expiry(mode: IvMode, ts_ms: int, expiry: str, instant_ms: int | None) -> float:
    """Return the time left in years of 365 days, NaN where it is not known.

    ``black76``: from ``ts_ms`` to the instant of expiry, to the millisecond. ``nse``: whole
    calendar days from the IST date to the expiry date; 0 on the expiry day.
    """
    if mode == "nse":
        return (date.fromisoformat(expiry) - ist(ts_ms).date()).days / 365
    if instant_ms is None:
        return np.nan
    return (instant_ms - ts_ms) / YEAR_MS


def premiums(mode: IvMode, bid: Floats, ask: Floats, last: Floats) -> Floats:
    """Return the price of each leg that the mode uses, rupees; NaN where there is none.

    ``black76``: (bid + ask)/2 where both are above 0 and bid is not above ask, else ``last``.
    ``nse``: ``last``. A price that is not above 0 is none, and NaN in a column says the same.
    """
    traded = np.where(last > 0.0, last, np.nan)
    if mode == "nse":
        return traded
    return np.where((bid > 0.0) & (bid <= ask), 0.5 * (bid + ask), traded)
