"""The shape of derived data in MongoDB, Redis and the API: one document for all three.

Times are aware datetimes in IST: MongoDB stores them as dates, JSON writes them in RFC 3339 with
their offset. Open interest is in ``oi_unit``.
"""

from __future__ import annotations

from typing import Any

from optionstream.schemas.derived import Bar, ChainAnalytics
from optionstream.schemas.events import LEG_COLUMNS, Legs
from optionstream.schemas.times import ist

TICKS = "underlying_ticks"
TICK_RANGES = "underlying_tick_ranges"
SINK_POSITIONS = "sink_positions"
BARS = "ohlc"
CHAINS = "option_chains"
REJECTS = "rejects"

Document = dict[str, Any]


def tick_document(
    product: str,
    ts_ms: int,
    price: float,
    volume: int | None,
    seq: int,
    source: str,
    session: str,
) -> Document:
    """One tick of the underlying: price in rupees, ``volume`` traded so far in the day."""
    return {
        "product": product,
        "timestamp": ist(ts_ms),
        "price": price,
        "volume": volume,
        "seq": seq,
        "source": source,
        "session": session,
    }


def bar_document(bar: Bar) -> Document:
    """Product, interval, window, prices in rupees, volume, revision, ``known_at``."""
    return {
        "product": bar.product,
        "interval": bar.interval,
        "session": bar.session,
        "start": ist(bar.start),
        "end": ist(bar.end),
        "open": bar.open,
        "high": bar.high,
        "low": bar.low,
        "close": bar.close,
        "volume": bar.volume,
        "volume_reason": bar.volume_reason,
        "ticks": bar.ticks,
        "revision": bar.revision,
        "final": bar.final,
        "known_at": ist(bar.known_at),
    }


def leg_rows(strikes: list[float], legs: Legs) -> list[Document]:
    """One row for each leg that is there: strike and the seven columns of ``Legs``."""
    columns = [getattr(legs, name) for name in LEG_COLUMNS]
    return [
        {"strike": strike, **dict(zip(LEG_COLUMNS, values, strict=True))}
        for strike, values in zip(strikes, zip(*columns, strict=True), strict=True)
        if any(value is not None for value in values)
    ]


def pcr_document(chain: ChainAnalytics) -> Document:
    """Put-call ratios and what they were made of."""
    return {
        "product": chain.product,
        "expiry": chain.expiry,
        "timestamp": ist(chain.ts_event),
        "pcr_oi": chain.pcr_oi,
        "pcr_volume": chain.pcr_volume,
        "call_oi": chain.call_oi,
        "put_oi": chain.put_oi,
        "call_volume": chain.call_volume,
        "put_volume": chain.put_volume,
        "oi_unit": chain.oi_unit,
        "null_reasons": chain.null_reasons,
        "snapshot_id": chain.snapshot_id,
        "known_at": ist(chain.known_at),
    }


def chain_document(chain: ChainAnalytics) -> Document:
    """The enriched chain: strikes, call and put rows, and ``metadata`` with the analytics."""
    return {
        "product": chain.product,
        "expiry": chain.expiry,
        "timestamp": ist(chain.ts_event),
        "received": ist(chain.ts_recv),
        "source": chain.source,
        "snapshot_id": chain.snapshot_id,
        "underlying_price": chain.underlying_price,
        "oi_unit": chain.oi_unit,
        "strikes": chain.strikes,
        "calls": leg_rows(chain.strikes, chain.calls),
        "puts": leg_rows(chain.strikes, chain.puts),
        "metadata": {
            "pcr": chain.pcr_oi,
            "pcr_volume": chain.pcr_volume,
            "max_pain": chain.max_pain,
            "call_oi": chain.call_oi,
            "put_oi": chain.put_oi,
            "call_volume": chain.call_volume,
            "put_volume": chain.put_volume,
            "missing_legs": chain.missing_legs,
            "null_reasons": chain.null_reasons,
            "flags": chain.flags,
            "capture_id": chain.capture_id,
            "expiries_in_capture": chain.expiries_in_capture,
            "custom_indicators": {},
        },
        "known_at": ist(chain.known_at),
    }
