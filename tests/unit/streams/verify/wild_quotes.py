"""Quotes with everything wrong that real ones have."""

from __future__ import annotations

import random
from typing import Any

from optionstream.schemas.events import LEG_COLUMNS, OptionQuoteFrame
from tests.unit.streams.verify.world import (
    DAY,
    MINUTE,
    OPEN,
    PRODUCT,
)


class WildQuotes:
    """Frames of quotes of two expiries, late, repeated, broken and of other days, from one seed."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.seq = 0
        self.clock = OPEN + rng.choice([0, 0, 374 * MINUTE])
        self.late = rng.choice([0.0, 0.1, 0.4])
        self.jump = rng.choice([0.0, 0.02, 0.1])
        self.steps = rng.choice([[0, 1, 200], [0, 500, 3_000], [1_000, 60_000]])
        self.strikes = [21_600.0 + 50 * at for at in range(rng.choice([1, 3, 8]))]

    def frame(self) -> OptionQuoteFrame:
        rng = self.rng
        quotes = [self._quote() for _ in range(rng.choice([1, 1, 3, 10]))]
        columns = {name: [quote[name] for quote in quotes] for name in quotes[0]}
        for name in (*LEG_COLUMNS, "underlying_price"):
            if rng.random() < 0.2:
                columns[name] = None
        return OptionQuoteFrame(
            product=PRODUCT,
            expiry=rng.choice(["2024-01-04", "2024-01-04", "2024-01-25"]),
            source=rng.choice("aab"),
            session=rng.choice("sst"),
            ts_recv=self.clock + rng.randrange(-500, 3_000),
            oi_unit=rng.choice(["lots", "lots", "lots", "shares"]),
            **columns,
        )

    def _quote(self) -> dict[str, Any]:
        rng = self.rng
        self.seq += rng.random() < 0.9
        strike = rng.choice(self.strikes)
        price = rng.choice([0.0, 0.05, 12.5, 100.0, 250.35])
        return {
            "ts_ms": self._time(),
            "seq": self.seq if rng.random() < 0.9 else rng.randrange(self.seq + 1),
            "strike": strike if rng.random() < 0.99 else rng.choice([0.0, -1.0]),
            "kind": rng.choice(["CE", "PE"]),
            "oi": self._maybe(rng.choice([0, 1, 7.5, 900])),
            "oi_change": self._maybe(rng.choice([-5, 0, 3])),
            "volume": self._maybe(rng.randrange(50)),
            "iv": self._maybe(rng.choice([0, 12.5, -1])),
            "last": self._maybe(price if rng.random() < 0.99 else -1),
            "bid": self._maybe(price),
            "ask": self._maybe(price + rng.choice([0, 0.05, 1])),
            "underlying_price": self._maybe(21_700 + rng.randrange(100)),
        }

    def _time(self) -> int:
        rng = self.rng
        if rng.random() < self.jump:
            self.clock = OPEN + rng.choice([0, 1, 2, 5, 7]) * DAY + rng.randrange(380 * MINUTE)
        self.clock += rng.choice(self.steps)
        dice = rng.random()
        if dice < 0.01:
            return rng.choice([0, 4_070_908_800_000, 4_102_444_800_000, OPEN - 1])
        return self.clock - (rng.randrange(10_000) if rng.random() < self.late else 0)

    def _maybe(self, value: float) -> float | None:
        return None if self.rng.random() < 0.3 else float(value)
