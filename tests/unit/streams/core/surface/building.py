"""Analysed chains with chosen volatilities, for the tests of surfaces."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from optionstream.schemas import codec
from optionstream.schemas.derived import ChainAnalytics, VolatilitySurface
from optionstream.schemas.events import ChainSnapshot, Legs, OptionQuoteFrame
from optionstream.schemas.times import DAY_MS
from optionstream.schemas.topics import (
    OPTION_CHAIN,
    chain_key,
    partition_for,
)
from optionstream.streams.core.chains.analyse import ChainAnalyser
from optionstream.streams.core.chains.partition import ChainPartition
from optionstream.streams.core.intake import Output, Source
from optionstream.streams.core.market.calendar import nse_calendar
from optionstream.streams.core.market.contracts import expiry_instant
from optionstream.streams.core.pricing.black import black76_price
from optionstream.streams.core.pricing.modes import YEAR_MS
from optionstream.streams.core.rules import Rules
from tests.unit.streams.core.chains.building import at, side
from tests.unit.streams.core.ticks.helpers import PARTITIONS, Record

NOON = at("2026-01-06 12:00:00")
NEAR, NEXT, FAR = "2026-01-13", "2026-01-27", "2026-03-30"
FORWARD = 26_210.0
STRIKES = [FORWARD + 100 * step - 10 for step in range(-40, 41)]

Volatility = Callable[[float], float]
"""By strike."""


def quoted(
    expiry: str = NEAR,
    volatility: float | Volatility = 0.125,
    ts: int = NOON,
    strikes: Sequence[float] = STRIKES,
    **changed: Any,
) -> ChainSnapshot:
    """A snapshot of last prices at these volatilities around ``FORWARD``."""
    of = volatility if callable(volatility) else lambda _: volatility
    years = max(expiry_instant("NIFTY", expiry) - ts, 1) / YEAR_MS
    sigma = np.array([of(strike) for strike in strikes])
    sides = [_side(strikes, years, sigma, is_call) for is_call in (True, False)]
    fields: dict[str, Any] = {
        "product": "NIFTY",
        "expiry": expiry,
        "source": "t",
        "ts_event": ts,
        "ts_recv": ts,
        "oi_unit": "lots",
        "strikes": list(strikes),
        "calls": sides[0],
        "puts": sides[1],
        "underlying_price": 26_200.0,
    }
    return ChainSnapshot(**{**fields, **changed})


def _side(strikes: Sequence[float], years: float, sigma: Any, is_call: bool) -> Legs:
    kinds = np.full(len(strikes), is_call)
    prices = black76_price(FORWARD, np.array(strikes), years, sigma, kinds)
    return side(len(strikes), {"last": prices.tolist()})


def analysed(chain: ChainSnapshot, mode: str = "black76") -> ChainAnalytics:
    return ChainAnalyser(Rules(nse_calendar(), iv_mode=mode)).analyse(chain)  # type: ignore[arg-type]


FEW = [25_900.0, 26_100.0, 26_200.0, 26_300.0, 26_500.0]


def body(name: str, expiries: int, ts: int = NOON, **changed: object) -> dict[str, object]:
    return {
        "capture_id": name,
        "expiries_in_capture": expiries,
        "ts": ts,
        "strikes": FEW,
        **changed,
    }


def partition() -> ChainPartition:
    home = partition_for("NIFTY", PARTITIONS)
    return ChainPartition(Source(OPTION_CHAIN, home, PARTITIONS), Rules(nse_calendar()))


def record(offset: int, event: ChainSnapshot | OptionQuoteFrame) -> Record:
    key = chain_key(event.product, event.expiry).encode()
    return Record(offset, 0, key, codec.encode(event), codec.headers_for(event))


def surfaces(outputs: Iterable[Output]) -> list[VolatilitySurface]:
    return [one.record for one in outputs if isinstance(one.record, VolatilitySurface)]


def told(*chains: ChainSnapshot) -> list[VolatilitySurface]:
    records = [record(offset, chain) for offset, chain in enumerate(chains)]
    return surfaces(partition().apply(records))


def expiries(surface: VolatilitySurface) -> list[str]:
    return [smile.expiry for smile in surface.smiles]


def wild(rng: random.Random) -> list[ChainSnapshot]:
    """Captures with chains missing, repeated, late and of other days."""
    chains: list[ChainSnapshot] = []
    for number in range(12):
        ts = NOON + rng.choice([0, 0, 1, 2]) * DAY_MS + rng.randrange(5) * 60_000
        size = rng.choice([1, 2, 3])
        name = rng.choice(["", f"c{number}"]) if size == 1 else f"c{number}"
        chosen = rng.sample([NEAR, NEXT, FAR], rng.randrange(1, size + 1))
        for expiry in chosen:
            volatility = rng.choice([0.1, 0.125, 0.2])
            chains.append(quoted(expiry, volatility, **body(name, size, ts)))
        if rng.random() < 0.3:
            chains.append(rng.choice(chains))
    return chains


def quotes(rng: random.Random) -> list[OptionQuoteFrame]:
    """The legs of two expiries, again and again, as single quotes."""
    frames = []
    for number in range(60):
        chain = quoted(rng.choice([NEAR, NEXT]), rng.choice([0.1, 0.15]), strikes=FEW)
        at, kind = rng.randrange(len(FEW)), rng.choice(["CE", "PE"])
        legs = chain.calls if kind == "CE" else chain.puts
        frames.append(
            OptionQuoteFrame(
                product="NIFTY",
                expiry=chain.expiry,
                source="t",
                session="s",
                ts_recv=NOON,
                oi_unit="lots",
                ts_ms=[NOON + 400 * number],
                seq=[number],
                strike=[FEW[at]],
                kind=[kind],  # type: ignore[list-item]
                last=[legs.last[at]],
            )
        )
    return frames
