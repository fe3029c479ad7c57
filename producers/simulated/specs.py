"""What the simulated products look like: invented levels on the real grids."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

Expiries = Literal["weekly", "monthly"]
TUESDAY: Final = 1
THURSDAY: Final = 3


@dataclass(frozen=True, slots=True)
class ProductSpec:
    """One simulated index. Prices in rupees, volatilities as decimals per year."""

    product: str
    price: float
    """About where the day opens."""
    volatility: float
    """Of the underlying, and of options at the money a month out."""
    strike_step: int
    strikes: int
    """Strikes of a chain, the one at the money in the middle."""
    lot: int
    """Shares of a lot."""
    expiries: Expiries
    expiry_count: int
    """Expiries quoted: ``weekly`` gives weeklies and, last, a monthly."""
    expiry_weekday: int = TUESDAY
    near_oi_lots: int = 60_000
    """Open interest at the money in the nearest expiry."""
    lots_a_second: float = 40.0
    """Mean traded volume of the underlying."""


SPECS: Final = {
    spec.product: spec
    for spec in (
        ProductSpec("NIFTY", 25_900.0, 0.125, 50, 21, 65, "weekly", 3),
        ProductSpec("BANKNIFTY", 58_700.0, 0.145, 100, 41, 30, "monthly", 2, near_oi_lots=25_000),
        ProductSpec("FINNIFTY", 27_500.0, 0.14, 50, 21, 60, "monthly", 2, near_oi_lots=3_000),
        ProductSpec("MIDCPNIFTY", 13_900.0, 0.17, 25, 21, 120, "monthly", 2, near_oi_lots=6_000),
        ProductSpec("NIFTYNXT50", 69_200.0, 0.17, 100, 21, 25, "monthly", 2, near_oi_lots=300),
        ProductSpec("SENSEX", 84_900.0, 0.125, 100, 41, 20, "weekly", 3, THURSDAY, 40_000),
        ProductSpec("BANKEX", 65_800.0, 0.145, 100, 41, 30, "monthly", 2, THURSDAY, 800),
    )
}
