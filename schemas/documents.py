"""Documents of derived data: MongoDB, Redis and the API have the same.

Times are aware datetimes in IST: MongoDB stores them as dates, JSON writes them in RFC 3339 with
their offset. Open interest is in ``oi_unit``.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator
from itertools import starmap
from typing import Any, TypeVar

from msgspec import structs

from optionstream.schemas.derived import Bar, ChainAnalytics, Gap, Greeks, Smile, VolatilitySurface
from optionstream.schemas.events import LEG_COLUMNS, Legs, OptionKind
from optionstream.schemas.figures import METADATA, PCR, PCR_NAMES
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

LEG_FIELDS = ("oi", "oi_change", "volume", "source_iv", "last", "bid", "ask")
"""Names of ``LEG_COLUMNS`` in a document, where ``iv`` is the computed volatility."""
GREEK_FIELDS = ("iv", "delta", "gamma", "theta", "vega", "rho")
ROW_FIELDS = ("strike", *LEG_FIELDS, "oi_intraday", "gex", "greeks", "iv_reason")
"""Fields of a leg's row, in order; ``GREEK_FIELDS`` are those under ``greeks``."""
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

Document = dict[str, Any]
Contract = tuple[OptionKind, float]
"""Kind and strike of one leg of a chain."""
RowT = TypeVar("RowT")

_FIGURES = len(LEG_FIELDS)
_METADATA = tuple((row.document_name, row.name) for row in METADATA)


def tick_document(
    product: str,
    ts_ms: int,
    price: float,
    volume: int | None,
    seq: int,
    source: str,
    session: str,
) -> Document:
    """Return a tick of the underlying; ``price`` in rupees, ``volume`` traded so far in the day.

    ``ts_ms`` is its exchange time, UTC epoch ms.
    """
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
    """Return a bar under the names of its fields, with its times as IST datetimes."""
    times = {name: ist(getattr(bar, name)) for name in ("start", "end", "known_at")}
    return structs.asdict(bar) | times


def gap_document(gap: Gap) -> Document:
    """Return a gap under the names of its fields, with its times as IST datetimes."""
    times = {name: ist(getattr(gap, name)) for name in ("start", "end", "known_at")}
    return structs.asdict(gap) | {"missing": [list(span) for span in gap.missing]} | times


def leg_rows(
    chain: ChainAnalytics, without: Container[Contract] = ()
) -> Iterator[tuple[OptionKind, Document]]:
    """Yield kind and row (``ROW_FIELDS``) of each leg present, calls first, strikes rising.

    Legs in ``without`` are left out.
    """
    return build_legs(chain, without, _row, _greeks)


def build_legs(
    chain: ChainAnalytics,
    without: Container[Contract],
    row: Callable[..., RowT],
    greeks: Callable[..., object],
) -> Iterator[tuple[OptionKind, RowT]]:
    """Yield kind and row of each leg as ``leg_rows`` does, with rows built by the caller.

    ``row`` gets the values of ``ROW_FIELDS`` in order; the one under ``greeks`` is what the
    function ``greeks`` returned for the values of ``GREEK_FIELDS``.
    """
    sides: tuple[tuple[OptionKind, Legs, Greeks], ...] = (
        ("CE", chain.calls, chain.call_greeks),
        ("PE", chain.puts, chain.put_greeks),
    )
    for kind, legs, computed in sides:
        from_source = (getattr(legs, name) for name in LEG_COLUMNS)
        figures = zip(*(getattr(computed, name) for name in GREEK_FIELDS), strict=True)
        ours = computed.oi_intraday, computed.gex, starmap(greeks, figures), computed.reason
        for leg in zip(chain.strikes, *from_source, *ours, strict=True):
            missing = leg[1 : _FIGURES + 1].count(None) == _FIGURES
            if not missing and (kind, leg[0]) not in without:
                yield kind, row(*leg)


def _row(*figures: object) -> Document:
    return dict(zip(ROW_FIELDS, figures, strict=True))


def _greeks(*figures: object) -> Document:
    return dict(zip(GREEK_FIELDS, figures, strict=True))


def pcr_document(chain: ChainAnalytics) -> Document:
    """Return a chain's put-call ratios with the totals behind them and their null reasons."""
    return {
        "product": chain.product,
        "expiry": chain.expiry,
        "timestamp": ist(chain.ts_event),
        **{name: getattr(chain, name) for name in PCR_NAMES},
        "oi_unit": chain.oi_unit,
        "null_reasons": _pcr_reasons(chain.null_reasons),
        "snapshot_id": chain.snapshot_id,
        "known_at": ist(chain.known_at),
    }


def pcr_of_chain(chain: Document) -> Document:
    """Return the put-call ratio document of a chain document, as ``pcr_document`` makes it."""
    metadata = chain["metadata"]
    return {
        **{name: chain[name] for name in ("product", "expiry", "timestamp")},
        **{row.name: metadata[row.document_name] for row in PCR},
        "oi_unit": chain["oi_unit"],
        "null_reasons": _pcr_reasons(metadata["null_reasons"]),
        "snapshot_id": chain["snapshot_id"],
        "known_at": chain["known_at"],
    }


def _pcr_reasons(reasons: dict[str, str]) -> dict[str, str]:
    return {name: reason for name, reason in reasons.items() if name in PCR_NAMES}


def chain_document(chain: ChainAnalytics) -> Document:
    """Return the enriched chain: strikes, call and put rows, and its figures in ``metadata``."""
    return chain_document_with(chain, leg_rows(chain))


def chain_document_with(chain: ChainAnalytics, legs: Iterable[tuple[OptionKind, Any]]) -> Document:
    """Return the chain's document with the given legs: kind and row of each, built already."""
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
        "metadata": {key: getattr(chain, name) for key, name in _METADATA},
        "known_at": ist(chain.known_at),
    }


def option_documents(
    chain: ChainAnalytics, without: Container[Contract] = ()
) -> Iterator[Document]:
    """Yield a document for each leg present: its contract, its row, the chain's moment.

    Legs in ``without`` are left out.
    """
    moment = option_moment(chain)
    for kind, row in leg_rows(chain, without):
        contract = option_contract(chain.product, chain.expiry, kind, row["strike"])
        yield {**contract, **row, **moment}


def option_contract(product: str, expiry: str, kind: OptionKind, strike: float) -> Document:
    """Return the fields before a leg's row in its document."""
    return {
        "symbol": trading_symbol(product, expiry, strike, kind),
        "product": product,
        "expiry": expiry,
        "kind": kind,
    }


def option_moment(chain: ChainAnalytics) -> Document:
    """Return the fields after a leg's row in its document, the same for all legs of a chain."""
    return {
        "oi_unit": chain.oi_unit,
        "underlying_price": chain.underlying_price,
        "forward": chain.forward,
        "timestamp": ist(chain.ts_event),
    }


def surface_document(surface: VolatilitySurface) -> Document:
    """Return the surface: a row for each smile with its points as rows, and the grid."""
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
