"""A figure of a chain: a number, or the reason why there is none."""

from __future__ import annotations

from typing import Final, NamedTuple

NO_CALLS: Final = "no_calls"
NO_PUTS: Final = "no_puts"
NO_OI: Final = "no_oi"
NO_VOLUME: Final = "no_volume"
NO_OI_CHANGE: Final = "no_oi_change"
ZERO_CALL_OI: Final = "zero_call_oi"
ZERO_CALL_VOLUME: Final = "zero_call_volume"
NO_FORWARD: Final = "no_forward"
NO_ATM: Final = "no_atm"
NO_PRICE: Final = "no_price"
NO_IV: Final = "no_iv"
NO_EXPIRY: Final = "no_expiry"
EXPIRED: Final = "expired"
OI_IN_LOTS: Final = "oi_in_lots"
NO_BASELINE: Final = "no_baseline"
EARLIER_DAY: Final = "earlier_day"


class Figure(NamedTuple):
    """A number; where ``value`` is None, ``reason`` says why."""

    value: float | None
    reason: str | None = None


def null(reason: str) -> Figure:
    """Return a figure without value, with the reason."""
    return Figure(None, reason)
