"""The shape of derived data in MongoDB, Redis and the API: one document for all three.

Times are aware datetimes in IST: MongoDB stores them as dates, JSON writes them in RFC 3339 with
their offset. Open interest is in ``oi_unit``.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator
from itertools import starmap
from typing import Any, TypeVar

from optionstream.schemas.derived import Bar, ChainAnalytics, Gap, Greeks, Smile, VolatilitySurface
from optionstream.schemas.events import LEG_COLUMNS, Legs, OptionKind
from optionstream.schemas.redis_keys import trading_symbol
from optionstream.schemas.times import ist

TICKS = "underlying_ticks"
TICK_RANGES = "underlying_tick_ranges"
SINK_POSITIONS = "sink_positions"
BARS = "ohlc"
CHAINS = "option_chains"
SURFACES = "volatility_surfaces"
GAPS = "gaps"
REJECTS = "rejects"
REDRIVES = "redrives"

Document = dict[str, Any]
RowT = TypeVar("RowT")


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


ROW_FIELDS = ("strike", *LEG_FIELDS, "oi_intraday", "gex", "greeks", "iv_reason")
"""Of a leg's row, in their order; under ``greeks`` there are ``GREEK_FIELDS``."""
_FIGURES = len(LEG_FIELDS)


def leg_rows(
    chain: ChainAnalytics, without: Container[Contract] = ()
) -> Iterator[tuple[OptionKind, Document]]:
    """Kind and row of each leg that is there: strike, the source's figures, the computed ones.
    Legs in ``without`` are left out."""
    return legs_made(chain, without, _row, _greeks)


def legs_made(
    chain: ChainAnalytics,
    without: Container[Contract],
    row: Callable[..., RowT],
    greeks: Callable[..., object],
) -> Iterator[tuple[OptionKind, RowT]]:
    """As ``leg_rows``, with rows made otherwise: ``row`` is given a leg's figures in the order of
    ``ROW_FIELDS``, among them what ``greeks`` made of those of ``GREEK_FIELDS``."""
    sides: tuple[tuple[OptionKind, Legs, Greeks], ...] = (
        ("CE", chain.calls, chain.call_greeks),
        ("PE", chain.puts, chain.put_greeks),
    )
    for kind, legs, computed in sides:
        told = (getattr(legs, name) for name in LEG_COLUMNS)
        figures = zip(*(getattr(computed, name) for name in GREEK_FIELDS), strict=True)
        beside = computed.oi_intraday, computed.gex, starmap(greeks, figures), computed.reason
        for leg in zip(chain.strikes, *told, *beside, strict=True):
            missing = leg[1 : _FIGURES + 1].count(None) == _FIGURES
            if not missing and (kind, leg[0]) not in without:
                yield kind, row(*leg)


def _row(*figures: object) -> Document:
    return dict(zip(ROW_FIELDS, figures, strict=True))


def _greeks(*figures: object) -> Document:
    return dict(zip(GREEK_FIELDS, figures, strict=True))


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
    return chain_document_of(chain, leg_rows(chain))


def chain_document_of(chain: ChainAnalytics, legs: Iterable[tuple[OptionKind, Any]]) -> Document:
    """The same from the kind and row of each leg, made already."""
    rows: dict[str, list[Any]] = {"CE": [], "PE": []}
    for kind, row in legs:
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
    moment = option_moment(chain)
    for kind, row in leg_rows(chain, without):
        contract = option_contract(chain.product, chain.expiry, kind, row["strike"])
        yield {**contract, **row, **moment}


def option_contract(product: str, expiry: str, kind: OptionKind, strike: float) -> Document:
    """What stands before a leg's row in its document."""
    return {
        "symbol": trading_symbol(product, expiry, strike, kind),
        "product": product,
        "expiry": expiry,
        "kind": kind,
    }


def option_moment(chain: ChainAnalytics) -> Document:
    """What stands behind a leg's row in its document: the same for all legs of a chain."""
    return {
        "oi_unit": chain.oi_unit,
        "underlying_price": chain.underlying_price,
        "forward": chain.forward,
        "timestamp": ist(chain.ts_event),
    }


SMILE_FIELDS = (
    "snapshot_id",
    "years",
    "forward",
    "atm_iv",
    "risk_reversal_25",
    "butterfly_25",
    "null_reasons",
)
POINT_FIELDS = ("strike", "log_moneyness", "iv")
GRID_FIELDS = ("tenors_days", "log_moneyness", "iv", "reason")


def surface_document(surface: VolatilitySurface) -> Document:
    """The surface: a row for each smile with its points as rows, and the grid between them."""
    return {
        "product": surface.product,
        "timestamp": ist(surface.ts_event),
        "received": ist(surface.ts_recv),
        "number": surface.number,
        "expiry": surface.expiry,
        "snapshot_id": surface.snapshot_id,
        "iv_mode": surface.iv_mode,
        "capture_id": surface.capture_id,
        "expiries_in_capture": surface.expiries_in_capture,
        "expiries_captured": surface.expiries_captured,
        "smiles": [_smile_document(smile) for smile in surface.smiles],
        "left_out": surface.left_out,
        "grid": {name: getattr(surface, name) for name in GRID_FIELDS},
        "flags": surface.flags,
        "known_at": ist(surface.known_at),
    }


def _smile_document(smile: Smile) -> Document:
    points = zip(smile.strikes, smile.log_moneyness, smile.iv, strict=True)
    return {
        "expiry": smile.expiry,
        "timestamp": ist(smile.ts_event),
        **{name: getattr(smile, name) for name in SMILE_FIELDS},
        "points": [dict(zip(POINT_FIELDS, point, strict=True)) for point in points],
    }


def pcr_of_chain(chain: Document) -> Document:
    """The put-call ratio document that belongs to a chain document."""
    metadata = chain["metadata"]
    return {
        "product": chain["product"],
        "expiry": chain["expiry"],
        "timestamp": chain["timestamp"],
        "pcr_oi": metadata["pcr"],
        "pcr_volume": metadata["pcr_volume"],
        "pcr_oi_near": metadata["pcr_oi_near"],
        "pcr_volume_near": metadata["pcr_volume_near"],
        "near_strikes": metadata["near_strikes"],
        "atm_strike": metadata["atm_strike"],
        "call_oi": metadata["call_oi"],
        "put_oi": metadata["put_oi"],
        "call_volume": metadata["call_volume"],
        "put_volume": metadata["put_volume"],
        "oi_unit": chain["oi_unit"],
        "null_reasons": pcr_reasons(metadata["null_reasons"]),
        "snapshot_id": chain["snapshot_id"],
        "known_at": chain["known_at"],
    }
