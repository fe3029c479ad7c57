"""Chains with everything wrong that real ones have."""

from __future__ import annotations

import random
from math import exp

from optionstream.schemas.events import ChainSnapshot, Legs
from tests.unit.streams.verify.world import DAY, MINUTE, OPEN, snapshot

Column = list[float | None]
SPLIT_DAY = 1_709_351_100_000
"""2024-03-02 09:15 IST: two sessions."""
MOMENTS = [0, 0, 1, MINUTE, 200 * MINUTE, 374 * MINUTE, 375 * MINUTE, 375 * MINUTE + 1, -MINUTE]


class WildChains:
    """Snapshots of one expiry with everything wrong that real chains have, from one seed."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.product = rng.choice(["NIFTY", "NIFTY", "BANKNIFTY", "OTHER"])
        self.expiry = rng.choice(["2024-01-04", "2024-01-04", "2024-01-25", "2024-12-26"])
        self.step = rng.choice([50.0, 50.0, 0.1])
        self.spot = rng.choice([21_700.0, 21_725.0, 21_731.35])
        self.holes = rng.choice([0.0, 0.1, 0.5])
        self.whole = rng.random() < 0.7
        self.base = OPEN if rng.random() < 0.8 else SPLIT_DAY
        self.told: list[ChainSnapshot] = []

    def next(self) -> ChainSnapshot:
        rng = self.rng
        if self.told and rng.random() < 0.25:
            return self._kept(self._again())
        size = rng.choice([1, 2, 5, 31])
        first = self.spot - rng.randrange(size + 1) * self.step
        strikes = [round(first + at * self.step, 2) for at in range(size)]
        moment = self.base + rng.choice([0, 0, 1, 2, 3]) * DAY + rng.choice(MOMENTS)
        return self._kept(
            snapshot(
                strikes,
                self._side(strikes, 1),
                self._side(strikes, -1),
                product=self.product,
                expiry=self.expiry,
                ts_event=moment,
                ts_recv=moment + rng.choice([0, 1_000, 300_000, 300_001]),
                oi_unit=rng.choice(["lots", "lots", "shares"]),
                underlying_price=None if rng.random() < 0.1 else self.spot,
                mixed_underlying=rng.random() < 0.1,
                capture_id=rng.choice(["", "c"]),
            )
        )

    def _kept(self, chain: ChainSnapshot) -> ChainSnapshot:
        self.told.append(chain)
        return chain

    def _again(self) -> ChainSnapshot:
        """An earlier snapshot's content at another time, or other content at its time."""
        old, rng = self.rng.choice(self.told[-3:]), self.rng
        names = old.__struct_fields__
        fields = {name: getattr(old, name) for name in names}
        dice = rng.random()
        if dice < 0.5:
            fields["ts_event"] += rng.choice([1, DAY, -DAY, 375 * MINUTE])
        elif dice < 0.9:
            fields["underlying_price"] = rng.choice([None, 21_699.0])
        return ChainSnapshot(**fields)

    def _side(self, strikes: list[float], sign: int) -> Legs:
        rows = [self._leg(strike, sign) for strike in strikes]
        return Legs(*(list(column) for column in zip(*rows, strict=True)))

    def _leg(self, strike: float, sign: int) -> Column:
        rng = self.rng
        if rng.random() < self.holes:
            return [None] * 7
        intrinsic = max(sign * (self.spot - strike), 0.0)
        noise = exp(rng.uniform(-8, 5))
        last = round(intrinsic + rng.choice([0, 0, noise, noise, -noise]), rng.choice([2, 2, 9]))
        if rng.random() < 0.1:
            last = rng.choice([0.0, strike, strike + 1, self.spot, 0.05, 1e-12])
        bid = self._maybe(last - rng.choice([0.05, 0.0, 1.0]))
        ask = self._maybe(last + rng.choice([0.05, 0.0, -0.1]))
        interest = self._maybe(rng.choice([0, 1, 7, 12_345]) * (1 if self.whole else 0.2))
        volume = self._maybe(rng.choice([0, 5, 1_000, 2**40]))
        change = self._maybe(rng.choice([0, -3, 17.5, 1 / 3]))
        return [interest, change, volume, self._maybe(12.5), self._maybe(last), bid, ask]

    def _maybe(self, value: float) -> float | None:
        return None if self.rng.random() < self.holes / 2 else float(value)
