"""Redis keys, channels and lifetimes (before the namespace's prefix).

Lifetimes apply to live and sim; the keys of a replay stay until the namespace is dropped.
"""

from __future__ import annotations

from datetime import date
from functools import lru_cache

from optionstream.schemas.derived import INTERVAL_MS

PCR_LIFETIME_S = 300
SURFACE_LIFETIME_S = 300

CHANNEL_UNDERLYING = "market:underlying"
CHANNEL_OPTION_CHAIN = "market:option_chain"
CHANNEL_ENRICHED = "enriched:option_chain"

_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")

GUARD_SUFFIX = ":version"
"""``<key>:version`` holds the version of the value last written and outlives the key."""

PRODUCTS = "index:products"
"""Sorted set: every product, scored with its newest event time (epoch ms)."""

POSITIONS = "positions:latest"
"""Hash: how far each partition has been written here (streams.sinks.latest.positions)."""


def expiries(product: str) -> str:
    """Return the key of a sorted set: expiries, scored with their newest snapshots' times."""
    return f"index:expiries:{product}"


def underlying(product: str) -> str:
    """Return the key of a product's newest tick."""
    return f"latest:underlying:{product}"


def chain(product: str, expiry: str) -> str:
    """Return the key of the newest chain of an expiry (an ISO date)."""
    return f"latest:chain:{product}:{expiry}"


def option(symbol: str) -> str:
    """Return the key of the newest leg of a contract (``trading_symbol``)."""
    return f"latest:option:{symbol}"


def pcr(product: str, expiry: str) -> str:
    """Return the key of the newest put-call ratios of an expiry."""
    return f"latest:pcr:{product}:{expiry}"


def surface(product: str) -> str:
    """Return the key of a product's newest volatility surface."""
    return f"volatility_surface:{product}"


def ohlc(product: str, interval: str) -> str:
    """Return the key of the newest started window, ``ohlc:NIFTY:5m``; see ``derived.INTERVALS``."""
    return f"ohlc:{product}:{interval}"


def ohlc_lifetime_s(interval: str) -> int:
    """Return the lifetime of an ``ohlc`` key, seconds: the length of its window."""
    return INTERVAL_MS[interval] // 1000


def trading_symbol(product: str, expiry: str, strike: float, kind: str) -> str:
    """Return the exchange's contract name: ``NIFTY28OCT2524600CE``.

    Underlying, expiry as ddMMMyy, strike without needless decimals, ``CE`` or ``PE``.
    """
    price = f"{strike:.2f}".rstrip("0").rstrip(".")
    return f"{_series(product, expiry)}{price}{kind}"


@lru_cache(maxsize=4_096)
def _series(product: str, expiry: str) -> str:
    """Return the start of all contract names of an expiry."""
    day = date.fromisoformat(expiry)
    return f"{product}{day.day:02d}{_MONTHS[day.month - 1]}{day.year % 100:02d}"
