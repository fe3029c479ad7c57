"""Implied volatility of legs: its value, or the reason why there is none."""

from __future__ import annotations

from enum import IntEnum
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from optionstream.streams.core.pricing.black import (
    Bools,
    Floats,
    Number,
    intrinsic,
    log_distance,
)
from optionstream.streams.core.pricing.solver import total_volatility

Codes = NDArray[np.int8]


class Reason(IntEnum):
    """Why a leg has no implied volatility; the first that applies, in this order."""

    SOLVED = 0
    NO_EXPIRY = 1
    """The time of expiry is not known."""
    EXPIRED = 2
    EXPIRY_DAY = 3
    """``nse`` mode counts whole days, and none is left."""
    NO_FORWARD = 4
    """No forward, or in ``nse`` mode no spot price."""
    NO_PRICE = 5
    """No premium above 0."""
    BELOW_INTRINSIC = 6
    ABOVE_MAXIMUM = 7
    """A call at or above the forward, a put at or above the strike, both discounted."""
    TIME_VALUE_TOO_SMALL = 8
    """The premium is its intrinsic value to within the resolution of the numbers."""


REASONS: Final = tuple(reason.name.lower() if reason else None for reason in Reason)
"""The name of each code; None of 0, which is no reason."""

SOLVED: Final = int(Reason.SOLVED)
_TOO_SMALL: Final = int(Reason.TIME_VALUE_TOO_SMALL)
_OVERRIDES: Final = tuple(
    int(reason)
    for reason in (
        Reason.SOLVED,
        Reason.ABOVE_MAXIMUM,
        Reason.BELOW_INTRINSIC,
        Reason.NO_PRICE,
        Reason.NO_FORWARD,
        Reason.EXPIRED,
        Reason.NO_EXPIRY,
    )
)
"""From the last that applies to the first: each overrides what stands. Plain numbers: looking
up members of an enumeration takes as long as comparing a chain."""

RESOLUTION: Final = 8 * float(np.finfo(np.float64).eps)
"""Part of the premium that rounding may have made: less time value than that says nothing."""
_LEAST_VALUE: Final = 1e-290
"""Least time value that the solver takes, as a part of the greater of forward and strike."""


class Legs(NamedTuple):
    """Columns of one length; ``forward`` and ``years`` may be one number for all legs.

    ``forward``, ``strike`` and ``value``, the premium undiscounted, are in rupees. NaN says that
    there is none, except of strikes, which are above 0. ``time_value`` is what ``value`` is above
    its least, ``room`` what it is below its most.
    """

    forward: Number
    strike: Floats
    years: Number
    is_call: Bools
    value: Floats
    time_value: Floats
    room: Floats

    @classmethod
    def of(
        cls, forward: Number, strike: Floats, years: Number, is_call: Bools, value: Floats
    ) -> Legs:
        """Return legs with time value and room computed from the five columns."""
        time_value = value - intrinsic(forward, strike, is_call)
        room = np.where(is_call, forward, strike) - value
        return cls(forward, strike, years, is_call, value, time_value, room)

    def only(self, chosen: Bools) -> Legs:
        """Return the chosen legs."""
        return Legs(
            _only(self.forward, chosen),
            self.strike[chosen],
            _only(self.years, chosen),
            self.is_call[chosen],
            self.value[chosen],
            self.time_value[chosen],
            self.room[chosen],
        )


def _only(number: Number, chosen: Bools) -> Number:
    return number[chosen] if isinstance(number, np.ndarray) else number


def implied_volatility(
    forward: Number,
    strike: Floats,
    years: Number,
    is_call: Bools,
    premium: Floats,
    discount: Number = 1.0,
) -> tuple[Floats, Codes]:
    """Return Black-76 volatilities as decimals, NaN where there is none, and each ``Reason``.

    Columns as in ``Legs``; ``discount`` is the value now of one rupee at expiry.
    """
    legs = Legs.of(forward, strike, years, is_call, premium / discount)
    reasons = classify(legs)
    solvable = reasons == SOLVED
    sigma = np.full(strike.shape, np.nan)
    if solvable.any():
        sigma[solvable] = solve(legs.only(solvable))
    return sigma, reasons


def classify(legs: Legs) -> Codes:
    """Return the ``Reason`` of each leg, before anything is solved."""
    forward, strike, years, _, value, time_value, room = legs
    noise = RESOLUTION * value
    reasons: Codes = np.full(strike.shape, _TOO_SMALL, np.int8)
    conditions = (
        time_value > noise + _LEAST_VALUE * np.maximum(forward, strike),
        room <= noise,
        time_value < -noise,
        ~(value > 0.0),
        ~(np.isfinite(forward) & np.greater(forward, 0.0)),
        np.less_equal(years, 0.0),
        ~np.isfinite(years),
    )
    for code, applies in zip(_OVERRIDES, conditions, strict=True):
        if isinstance(applies, np.ndarray):
            np.copyto(reasons, code, where=applies)
        elif applies:
            reasons.fill(code)
    return reasons


def solve(legs: Legs) -> Floats:
    """Return the volatilities, decimals, of legs that ``classify`` calls solved."""
    root = np.sqrt(legs.forward * legs.strike)
    x = -log_distance(legs.forward, legs.strike)
    s = total_volatility(x, legs.time_value / root, legs.room / root)
    sigma: Floats = s / np.sqrt(legs.years)
    return sigma
