"""Records for sink tests, unit and server."""

from __future__ import annotations

import random
from collections.abc import Sequence

from optionstream.schemas.derived import (
    INTERVAL_MS,
    Bar,
    ChainAnalytics,
    Gap,
    Greeks,
    Interval,
    Smile,
    VolatilitySurface,
)
from optionstream.schemas.events import Legs, TickFrame
from optionstream.schemas.times import ist_date

OPEN_MS = 1_761_536_700_000
"""2025-10-27 09:15 IST."""


def frame(
    start: int = 0, count: int = 3, product: str = "NIFTY", session: str = "s", **changes: object
) -> TickFrame:
    """``count`` ticks, one a second, numbered from ``start``."""
    numbers = range(start, start + count)
    fields: dict[str, object] = {
        "product": product,
        "source": "test",
        "session": session,
        "ts_recv": OPEN_MS + (start + count) * 1000,
        "ts_ms": [OPEN_MS + number * 1000 for number in numbers],
        "price": [24_000.0 + number / 100 for number in numbers],
        "seq": list(numbers),
        "volume": [number * 75 for number in numbers],
    }
    return TickFrame(**{**fields, **changes})  # type: ignore[arg-type]


def bar(
    window: int = 0,
    revision: int = 1,
    ticks: int = 10,
    interval: Interval = "1m",
    product: str = "NIFTY",
    close: float = 24_010.0,
) -> Bar:
    start = OPEN_MS + window * INTERVAL_MS[interval]
    return Bar(
        product=product,
        interval=interval,
        session=ist_date(OPEN_MS),
        start=start,
        end=start + INTERVAL_MS[interval],
        open=24_000.0,
        high=max(24_020.0, close),
        low=min(23_990.0, close),
        close=close,
        volume=750,
        volume_reason=None,
        ticks=ticks,
        revision=revision,
        final=revision > 0,
        known_at=start + INTERVAL_MS[interval] + 2_000,
    )


def surface(
    number: int = 1, minute: int = 0, product: str = "NIFTY", expiry: str = "2025-10-28"
) -> VolatilitySurface:
    """Of one expiry with two strikes, the ``number``-th of the day."""
    moment = OPEN_MS + minute * 60_000
    smile = Smile(
        expiry=expiry,
        snapshot_id=f"{moment}-{number}",
        ts_event=moment,
        years=0.004,
        forward=24_010.0,
        atm_iv=0.12,
        risk_reversal_25=None,
        butterfly_25=None,
        strikes=[24_000.0, 24_050.0],
        log_moneyness=[-0.0004, 0.0017],
        iv=[0.121, 0.119],
        null_reasons={"risk_reversal_25": "no_25_delta", "butterfly_25": "no_25_delta"},
    )
    return VolatilitySurface(
        product=product,
        expiry=expiry,
        snapshot_id=smile.snapshot_id,
        number=number,
        ts_event=moment,
        ts_recv=moment + 500,
        iv_mode="black76",
        capture_id="c1",
        expiries_in_capture=2,
        expiries_captured=1,
        smiles=[smile],
        left_out={"2025-11-04": "no_parity_pair"},
        tenors_days=[7, 14],
        log_moneyness=[0.0],
        iv=[[0.12], [None]],
        reason=[[None], ["outside_expiries"]],
        flags=["incomplete_capture"],
        known_at=moment + 500,
    )


def gap(start_s: int = 0, revision: int = 1, filled: bool = False, product: str = "NIFTY") -> Gap:
    """A silence of two minutes that begins ``start_s`` after the open."""
    start = OPEN_MS + start_s * 1000
    return Gap(
        product=product,
        kind="silence",
        session=ist_date(OPEN_MS),
        source="",
        label="",
        first=None,
        last=None,
        missing=[],
        start=start,
        end=start + 120_000,
        revision=revision,
        filled=filled,
        known_at=start + 122_000,
    )


def hole(first: int = 5, revision: int = 1, missing: Sequence[tuple[int, int]] = ((5, 9),)) -> Gap:
    """Missing numbers of one feed, told first at the ninetieth second."""
    start = OPEN_MS + 90_000
    return Gap(
        product="NIFTY",
        kind="sequence",
        session=ist_date(OPEN_MS),
        source="test",
        label="s",
        first=first,
        last=9,
        missing=list(missing),
        start=start,
        end=start + 4_000,
        revision=revision,
        filled=not missing,
        known_at=start + 6_000,
    )


def legs(oi: Sequence[float | None], seed: int = 0) -> Legs:
    """One side: open interest as given, the rest made up; None is a missing leg."""
    some = random.Random(seed)

    def column(scale: float) -> list[float | None]:
        return [None if value is None else round(some.random() * scale, 2) for value in oi]

    return Legs(
        oi=list(oi),
        oi_change=column(100),
        volume=column(10_000),
        iv=column(20),
        last=column(300),
        bid=column(300),
        ask=column(300),
    )


def greeks(oi: Sequence[float | None], seed: int = 0) -> Greeks:
    """Made-up figures for the legs that ``legs`` makes of the same open interest."""
    some = random.Random(seed)

    def column(scale: float) -> list[float | None]:
        return [None if value is None else round(some.random() * scale, 6) for value in oi]

    return Greeks(
        iv=column(0.3),
        reason=[None for _ in oi],
        delta=column(1),
        gamma=column(0.01),
        theta=column(-30),
        vega=column(10),
        rho=column(1),
        oi_intraday=column(100),
        gex=column(1e8),
    )


def chain(
    at: int = 0,
    expiry: str = "2025-10-28",
    product: str = "NIFTY",
    call_oi: Sequence[float | None] = (100.0, 200.0, 300.0),
    put_oi: Sequence[float | None] = (300.0, 200.0, None),
) -> ChainAnalytics:
    """The chain of second ``at`` after the open."""
    strikes = [24_000.0 + 50 * number for number in range(len(call_oi))]
    calls = sum(value or 0.0 for value in call_oi)
    puts = sum(value or 0.0 for value in put_oi)
    moment = OPEN_MS + at * 1000
    return ChainAnalytics(
        product=product,
        expiry=expiry,
        source="test",
        snapshot_id=f"{moment}-{at:016x}",
        ts_event=moment,
        ts_recv=moment + 5,
        oi_unit="shares",
        lot_size=75,
        underlying_price=24_010.5,
        strikes=strikes,
        calls=legs(call_oi, at),
        puts=legs(put_oi, at + 1),
        call_greeks=greeks(call_oi, at),
        put_greeks=greeks(put_oi, at + 1),
        call_oi=calls,
        put_oi=puts,
        call_oi_change=12.0,
        put_oi_change=-3.0,
        call_oi_intraday=1.0,
        put_oi_intraday=2.0,
        call_volume=1_000.0,
        put_volume=1_200.0,
        pcr_oi=puts / calls,
        pcr_volume=1.2,
        near_strikes=10,
        pcr_oi_near=puts / calls,
        pcr_volume_near=1.2,
        max_pain=24_050.0,
        resistance=[strikes[-1]],
        support=[strikes[0]],
        iv_mode="black76",
        rate=0.0,
        years=1 / 365,
        forward=24_012.25,
        atm_strike=24_000.0,
        atm_iv=0.12,
        straddle=180.5,
        gex_total=1e9,
        legs_with_iv=5,
        iv_null_reasons={},
        missing_legs=1,
        completeness=5 / 6,
        oldest_leg_ms=None,
        null_reasons={},
        flags=["missing_legs"],
        custom_indicators={"skew": {"skew_500": 0.03}},
        capture_id="capture",
        expiries_in_capture=1,
        known_at=moment + 5,
    )
