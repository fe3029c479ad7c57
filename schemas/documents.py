"""The shape of derived data in MongoDB, Redis and the API: one document for all three.

Times are aware datetimes in IST: MongoDB stores them as dates, JSON writes them in RFC 3339 with
their offset. Open interest is in ``oi_unit``.
"""

from __future__ import annotations

from collections.abc import Container, Iterator
from typing import Any

from optionstream.schemas.derived import Bar, ChainAnalytics, Gap, Greeks
from optionstream.schemas.events import LEG_COLUMNS, Legs, OptionKind
from optionstream.schemas.redis_keys import trading_symbol
from optionstream.schemas.times import ist

TICKS = "underlying_ticks"
TICK_RANGES = "underlying_tick_ranges"
SINK_POSITIONS = "sink_positions"
BARS = "ohlc"
CHAINS = "option_chains"
GAPS = "gaps"
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


def gap_document(gap: Gap) -> Document:
    """What a product lacked, from when to when, and what of it is still missing."""
    return {
        "product": gap.product,
        "kind": gap.kind,
        "session": gap.session,
        "source": gap.source,
        "label": gap.label,
        "first": gap.first,
        "last": gap.last,
        "missing": [list(span) for span in gap.missing],
        "start": ist(gap.start),
        "end": ist(gap.end),
        "revision": gap.revision,
        "filled": gap.filled,
        "known_at": ist(gap.known_at),
    }


LEG_FIELDS = ("oi", "oi_change", "volume", "source_iv", "last", "bid", "ask")
"""Names of ``LEG_COLUMNS`` in a document: ``iv`` alone is the computed one."""
GREEK_FIELDS = ("iv", "delta", "gamma", "theta", "vega", "rho")


Contract = tuple[OptionKind, float]
"""Kind and strike of one leg of a chain."""


def leg_rows(
    chain: ChainAnalytics, without: Container[Contract] = ()
) -> Iterator[tuple[OptionKind, Document]]:
    """Kind and row of each leg that is there: strike, the source's figures, the computed ones.
    Legs in ``without`` are left out."""
    sides: tuple[tuple[OptionKind, Legs, Greeks], ...] = (
        ("CE", chain.calls, chain.call_greeks),
        ("PE", chain.puts, chain.put_greeks),
    )
    for kind, legs, greeks in sides:
        told = zip(*(getattr(legs, name) for name in LEG_COLUMNS), strict=True)
        computed = zip(*(getattr(greeks, name) for name in GREEK_FIELDS), strict=True)
        others = zip(greeks.reason, greeks.oi_intraday, greeks.gex, strict=True)
        for strike, values, figures, (reason, intraday, gex) in zip(
            chain.strikes, told, computed, others, strict=True
        ):
            if (kind, strike) in without or all(value is None for value in values):
                continue
            yield (
                kind,
                {
                    "strike": strike,
                    **dict(zip(LEG_FIELDS, values, strict=True)),
                    "oi_intraday": intraday,
                    "gex": gex,
                    "greeks": dict(zip(GREEK_FIELDS, figures, strict=True)),
                    "iv_reason": reason,
                },
            )


def pcr_document(chain: ChainAnalytics) -> Document:
    """Put-call ratios and what they were made of."""
    return {
        "product": chain.product,
        "expiry": chain.expiry,
        "timestamp": ist(chain.ts_event),
        "pcr_oi": chain.pcr_oi,
        "pcr_volume": chain.pcr_volume,
        "pcr_oi_near": chain.pcr_oi_near,
        "pcr_volume_near": chain.pcr_volume_near,
        "near_strikes": chain.near_strikes,
        "atm_strike": chain.atm_strike,
        "call_oi": chain.call_oi,
        "put_oi": chain.put_oi,
        "call_volume": chain.call_volume,
        "put_volume": chain.put_volume,
        "oi_unit": chain.oi_unit,
        "null_reasons": pcr_reasons(chain.null_reasons),
        "snapshot_id": chain.snapshot_id,
        "known_at": ist(chain.known_at),
    }


_PCR_FIGURES = (
    "pcr_oi",
    "pcr_volume",
    "pcr_oi_near",
    "pcr_volume_near",
    "atm_strike",
    "call_oi",
    "put_oi",
    "call_volume",
    "put_volume",
)


def pcr_reasons(reasons: dict[str, str]) -> dict[str, str]:
    """Those of a chain's reasons that are about the figures of ``pcr_document``."""
    return {name: reason for name, reason in reasons.items() if name in _PCR_FIGURES}


METADATA_FIELDS = (
    "pcr_volume",
    "near_strikes",
    "pcr_oi_near",
    "pcr_volume_near",
    "max_pain",
    "resistance",
    "support",
    "call_oi",
    "put_oi",
    "call_oi_change",
    "put_oi_change",
    "call_oi_intraday",
    "put_oi_intraday",
    "call_volume",
    "put_volume",
    "iv_mode",
    "rate",
    "years",
    "forward",
    "atm_strike",
    "atm_iv",
    "straddle",
    "gex_total",
    "legs_with_iv",
    "iv_null_reasons",
    "missing_legs",
    "completeness",
    "oldest_leg_ms",
    "null_reasons",
    "flags",
    "capture_id",
    "expiries_in_capture",
    "custom_indicators",
)
"""Fields of ChainAnalytics that stand under their own name in a chain's ``metadata``."""


def chain_document(chain: ChainAnalytics) -> Document:
    """The enriched chain: strikes, call and put rows, and ``metadata`` with the analytics."""
    rows: dict[str, list[Document]] = {"CE": [], "PE": []}
    for kind, row in leg_rows(chain):
        rows[kind].append(row)
    return {
        "product": chain.product,
        "expiry": chain.expiry,
        "timestamp": ist(chain.ts_event),
        "received": ist(chain.ts_recv),
        "source": chain.source,
        "snapshot_id": chain.snapshot_id,
        "underlying_price": chain.underlying_price,
        "oi_unit": chain.oi_unit,
        "lot_size": chain.lot_size,
        "strikes": chain.strikes,
        "calls": rows["CE"],
        "puts": rows["PE"],
        "metadata": {
            "pcr": chain.pcr_oi,
            **{name: getattr(chain, name) for name in METADATA_FIELDS},
        },
        "known_at": ist(chain.known_at),
    }


def option_documents(
    chain: ChainAnalytics, without: Container[Contract] = ()
) -> Iterator[Document]:
    """One document for each leg that is there: its contract, its figures, their moment. Legs in
    ``without`` are left out."""
    for kind, row in leg_rows(chain, without):
        yield {
            "symbol": trading_symbol(chain.product, chain.expiry, row["strike"], kind),
            "product": chain.product,
            "expiry": chain.expiry,
            "kind": kind,
            **row,
            "oi_unit": chain.oi_unit,
            "underlying_price": chain.underlying_price,
            "forward": chain.forward,
            "timestamp": ist(chain.ts_event),
        }
