"""What a simulated session is made from."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date as Date
from datetime import datetime, time
from typing import Any, Final

import msgspec

from optionstream.producers.simulated.specs import SPECS, ProductSpec
from optionstream.schemas.errors import UsageError
from optionstream.schemas.events import MAX_FRAME_TICKS
from optionstream.schemas.times import IST, to_ms

SOURCE: Final = "sim"
GENERATOR_VERSION: Final = 2
"""Rises with every change that makes other bytes of the same configuration."""
_OPEN: Final = time(9, 15)
_CLOSE: Final = time(15, 30)
_POSITIVE: Final = (
    "tick_interval_ms",
    "chain_every_s",
    "heartbeat_every_s",
    "frame_ticks",
    "frame_ms",
    "expiries_per_product",
    "strikes_per_chain",
)


@dataclass(frozen=True, slots=True)
class SimulationConfig:
    """Equal configurations make equal bytes.

    ``date`` is the IST date (ISO). The session runs from ``open_ms`` to ``close_ms`` (UTC epoch ms;
    by default 09:15 to 15:30 IST of the date). ``session_label`` is part of every identity and is
    the date unless given: two different simulations of one date that go to one namespace need two
    labels, else the second is taken for a repetition of the first. Raises UsageError.
    """

    seed: int
    date: str
    products: tuple[str, ...] = ("NIFTY", "BANKNIFTY")
    tick_interval_ms: int = 800
    """Mean time between two ticks of one product."""
    chain_every_s: int = 20
    expiries_per_product: int | None = None
    """None: the product's own number."""
    strikes_per_chain: int | None = None
    """None: the product's own number."""
    heartbeat_every_s: int = 60
    frame_ticks: int = 1000
    frame_ms: int = 60_000
    """Longest event time in one frame; short ones for a live feed."""
    quotes: bool = False
    """Quotes of single contracts in place of chain snapshots."""
    open_ms: int | None = None
    close_ms: int | None = None
    session_label: str | None = None

    def __post_init__(self) -> None:
        _require(self.seed >= 0, f"seed {self.seed}: use 0 or more")
        try:
            Date.fromisoformat(self.date)
        except ValueError:
            raise UsageError(f"date {self.date!r}: use YYYY-MM-DD") from None
        unknown = [name for name in self.products if name not in SPECS]
        _require(not unknown, f"no simulation of {', '.join(unknown)}: use {', '.join(SPECS)}")
        _require(bool(self.products), "name at least one product")
        _require(len(set(self.products)) == len(self.products), "a product is named twice")
        for name in _POSITIVE:
            value = getattr(self, name)
            _require(value is None or value >= 1, f"{name} {value}: use 1 or more")
        _require(self.frame_ticks <= MAX_FRAME_TICKS, f"frame_ticks: at most {MAX_FRAME_TICKS}")
        _require(self.close - self.open >= 1000, "the session must last a second or more")
        _require(0 < len(self.label) <= 64, "session_label: use 1 to 64 characters")

    @property
    def open(self) -> int:
        """UTC epoch ms."""
        return self._at(_OPEN) if self.open_ms is None else self.open_ms

    @property
    def close(self) -> int:
        """UTC epoch ms."""
        return self._at(_CLOSE) if self.close_ms is None else self.close_ms

    @property
    def label(self) -> str:
        return self.date if self.session_label is None else self.session_label

    @property
    def day(self) -> Date:
        return Date.fromisoformat(self.date)

    def spec(self, product: str) -> ProductSpec:
        """The product with this configuration's numbers of expiries and strikes."""
        spec = SPECS[product]
        return replace(
            spec,
            strikes=self.strikes_per_chain or spec.strikes,
            expiry_count=self.expiries_per_product or spec.expiry_count,
        )

    def described(self) -> dict[str, Any]:
        """For the header of a session file: everything that decides the bytes."""
        fields: dict[str, Any] = msgspec.to_builtins(self)
        return {"generator": f"{SOURCE}:{GENERATOR_VERSION}", **fields}

    def _at(self, clock: time) -> int:
        return to_ms(datetime.combine(self.day, clock, tzinfo=IST))


def _require(holds: bool, text: str) -> None:
    if not holds:
        raise UsageError(text)
