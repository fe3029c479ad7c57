"""Quotes of one expiry, and the chains assembled from them."""

from __future__ import annotations

import random
from typing import Any, NamedTuple

from optionstream.schemas.events import (
    LEG_COLUMNS,
    ChainSnapshot,
    OptionKind,
    OptionQuoteFrame,
)
from optionstream.streams.core.counts import Counts
from optionstream.streams.core.market.calendar import nse_calendar
from optionstream.streams.core.quotes.assembly import ExpiryQuotes
from optionstream.streams.core.quotes.book import Assembled
from optionstream.streams.core.rules import Rules
from tests.unit.streams.core.ticks.helpers import LATENESS_MS, NEXT_OPEN, OPEN, at

EXPIRY = "2026-01-13"


CLOSE = at("2026-01-06 15:30:00")


DAY_MS = 86_400_000


class Told(NamedTuple):
    """One quote as a test writes it; ``figures`` by name, the underlying price among them."""

    ts: int
    seq: int
    strike: float
    kind: OptionKind
    figures: dict[str, float]


def told(
    ts: int, seq: int, strike: float = 26_000.0, kind: OptionKind = "CE", **figures: float
) -> Told:
    """``ts`` counts from the open."""
    return Told(OPEN + ts, seq, strike, kind, figures)


def frame(*quotes: Told, **more: Any) -> OptionQuoteFrame:
    """A frame of the quotes; columns that no quote tells are left out."""
    columns = {
        name: [quote.figures.get(name) for quote in quotes]
        for name in (*LEG_COLUMNS, "underlying_price")
        if any(name in quote.figures for quote in quotes)
    }
    fields: dict[str, Any] = {
        "product": "NIFTY",
        "expiry": EXPIRY,
        "source": "s",
        "session": "d",
        "ts_recv": max(0, *(quote.ts for quote in quotes)),
        "oi_unit": "shares",
        "ts_ms": [quote.ts for quote in quotes],
        "seq": [quote.seq for quote in quotes],
        "strike": [quote.strike for quote in quotes],
        "kind": [quote.kind for quote in quotes],
    }
    return OptionQuoteFrame(**{**fields, **columns, **more})


def expiry_quotes(cadence_ms: int = 1_000, future_limit_ms: int | None = None) -> ExpiryQuotes:
    rules = Rules(nse_calendar(), LATENESS_MS, future_limit_ms, quote_cadence_ms=cadence_ms)
    return ExpiryQuotes("NIFTY", EXPIRY, rules, Counts())


def begun(cadence_ms: int = 1_000) -> ExpiryQuotes:
    """In a session that two quotes of the opening moment have begun: a call and a put at 25,000
    that tell nothing, numbers -2 and -1."""
    quotes = expiry_quotes(cadence_ms)
    quotes.apply_frame(frame(told(0, -2, 25_000.0, "CE"), told(0, -1, 25_000.0, "PE")), 0)
    return quotes


def ended(quotes: ExpiryQuotes) -> list[Assembled]:
    """Two quotes of the next day end the session; gives what is left of it."""
    later = [told(NEXT_OPEN - OPEN, seq) for seq in (9_001, 9_002)]
    return quotes.apply_frame(frame(*later), 1_000).chains


def leg(chain: ChainSnapshot, strike: float = 26_000.0, kind: str = "CE") -> dict[str, object]:
    """What the chain tells of one leg, None left out."""
    at = chain.strikes.index(strike)
    legs = chain.calls if kind == "CE" else chain.puts
    figures = {name: getattr(legs, name)[at] for name in LEG_COLUMNS}
    return {name: value for name, value in figures.items() if value is not None}


KINDS: tuple[OptionKind, OptionKind] = ("CE", "PE")


DAY_MS = 86_400_000


def some_told(rng: random.Random, ts: int, seq: int) -> Told:
    names = rng.sample((*LEG_COLUMNS, "underlying_price"), rng.randint(0, 8))
    figures = {name: float(rng.randint(1, 9)) for name in names}
    if rng.random() < 0.2:
        figures["bid"] = 0.0
    return told(ts, seq, 25_000.0 + 50 * rng.randint(0, 3), rng.choice(KINDS), **figures)


def wild_quotes(seed: int, count: int = 150) -> list[Told]:
    """With everything in it: repeats, late ones, bad ones, other days, quotes that tell nothing."""
    rng = random.Random(seed)
    now, made = -1_000, []
    for seq in range(1, count + 1):
        now += rng.choice((0, 1, 40, 300, 1_000, 20_000))
        ts, dice = now, rng.random()
        if dice < 0.15:
            ts -= rng.choice((100, 1_500, 3_000, 70_000))
        elif dice < 0.18:
            ts += DAY_MS
        one = some_told(rng, ts, seq * rng.choice((1, 1, 3)))
        if dice > 0.97:
            one.figures["oi"] = -1.0
        made.append(one)
        if rng.random() < 0.05:
            made.append(rng.choice(made))
    return made
