"""A chain's analytics reduced to what is compared.

The same facts are made from an input snapshot (`recomputed`), from an output record and from a
document, so that any two can be compared field by field (`judge`). Columns of numbers are kept as
the bytes of float64 arrays, NaN for none: small, and equal when the numbers are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from sys import intern
from typing import Any, NamedTuple

import numpy as np
from msgspec import Struct

from optionstream.schemas.derived import ChainAnalytics, Greeks
from optionstream.schemas.documents import LEG_FIELDS
from optionstream.streams.verify.chains.legs import COLUMNS, Reasons
from optionstream.streams.verify.chains.pricing import Basis
from optionstream.streams.verify.chains.sides import Floats, digest, packed, side_of
from optionstream.streams.verify.compare import instant

Pairs = tuple[tuple[str, Any], ...]
Row = Mapping[str, Any] | None
"""A leg in a document; None where it is missing."""


class ChainFacts(Struct, frozen=True, kw_only=True):
    """Everything of a ChainAnalytics but ``known_at`` and the user's indicators.

    Of the legs, calls first: ``legs`` is a digest of strikes and source columns, ``reasons`` and
    ``oi_intraday`` have a value for each, ``computed`` the columns of `legs.COLUMNS`.

    Recomputed facts have a ``basis``. With it, what follows from the forward and the volatilities
    is judged at the forward and the volatilities found. ``rivals`` are strikes that may be max pain
    as well. ``rounding`` is what the terms of a sum of both signs may add to its relative
    tolerance. The three are not compared.
    """

    product: str
    expiry: str
    source: str
    snapshot_id: str
    ts_event: int
    ts_recv: int
    oi_unit: str
    lot_size: int | None
    underlying_price: float | None
    legs: str
    oi_intraday: bytes
    reasons: Reasons
    computed: bytes = b""
    call_oi: float | None
    put_oi: float | None
    call_oi_change: float | None
    put_oi_change: float | None
    call_oi_intraday: float | None
    put_oi_intraday: float | None
    call_volume: float | None
    put_volume: float | None
    pcr_oi: float | None
    pcr_volume: float | None
    near_strikes: int
    pcr_oi_near: float | None
    pcr_volume_near: float | None
    max_pain: float | None
    resistance: tuple[float, ...]
    support: tuple[float, ...]
    iv_mode: str
    rate: float
    years: float | None
    forward: float | None
    atm_strike: float | None
    atm_iv: float | None
    straddle: float | None
    gex_total: float | None
    legs_with_iv: int
    iv_null_reasons: Pairs
    missing_legs: int
    completeness: float
    oldest_leg_ms: int | None
    null_reasons: Pairs
    flags: tuple[str, ...]
    capture_id: str
    expiries_in_capture: int
    basis: Basis | None = None
    rivals: frozenset[float] = frozenset()
    rounding: dict[str, float] = {}

    @property
    def id(self) -> str:
        return f"{self.product}|{self.expiry}|{self.snapshot_id}"

    @property
    def version(self) -> tuple[int, int, str]:
        return (self.ts_event, self.ts_recv, self.snapshot_id)

    @property
    def figures(self) -> Floats:
        """``computed`` as a matrix: `legs.COLUMNS` by legs."""
        return np.frombuffer(self.computed).reshape(len(COLUMNS), -1)


class Made(NamedTuple):
    """A chain that must go out; ``offset`` is that of the input record it goes out with.

    The chains of a product go out in the order of these offsets, those of one record by time.
    """

    offset: int
    facts: ChainFacts


_LEGS = ("legs", "oi_intraday", "reasons", "computed")
_PAIRS = ("iv_null_reasons", "null_reasons")
_TUPLES = ("resistance", "support", "flags")
_SPECIAL = (*_LEGS, *_PAIRS, *_TUPLES, "basis", "rivals", "rounding")
_PLAIN = tuple(name for name in ChainFacts.__struct_fields__ if name not in _SPECIAL)
_AT_TOP = (
    *("product", "expiry", "source", "snapshot_id"),
    *("oi_unit", "lot_size", "underlying_price"),
)
_RENAMED = {"pcr_oi": "pcr"}
_INDICATORS = "custom_indicators."


def facts_of_record(chain: ChainAnalytics) -> ChainFacts:
    """Return the facts of an output record, without legs if its columns differ in length."""
    return ChainFacts(
        **{name: getattr(chain, name) for name in _PLAIN},
        **_listed({name: getattr(chain, name) for name in (*_PAIRS, *_TUPLES)}),
        **_legs_of_record(chain),
    )


def _legs_of_record(chain: ChainAnalytics) -> dict[str, Any]:
    parts = chain.calls, chain.puts, chain.call_greeks, chain.put_greeks
    lengths = {len(getattr(part, name)) for part in parts for name in part.__struct_fields__}
    if lengths != {len(chain.strikes)}:
        return {"legs": "", "oi_intraday": b"", "reasons": ()}
    greeks = chain.call_greeks, chain.put_greeks
    sides = side_of(chain.calls), side_of(chain.puts)
    rows = [_both(name, greeks) for name in COLUMNS]
    return {
        "legs": digest([_column(chain.strikes), *(side.columns for side in sides)]),
        "oi_intraday": packed(_column(_both("oi_intraday", greeks))),
        "reasons": _reasons(_both("reason", greeks)),
        "computed": packed(np.array(rows, dtype=np.float64)),
    }


def facts_of_document(document: Mapping[str, Any]) -> ChainFacts:
    """Return the facts of a document (MongoDB, Redis).

    Raises what ``BROKEN`` lists for one that is no chain's.
    """
    meta = document["metadata"]
    strikes = [float(strike) for strike in document["strikes"]]
    rows = [*_rows(strikes, document["calls"]), *_rows(strikes, document["puts"])]
    legs = np.array([[_figure(row, name) for name in LEG_FIELDS] for row in rows], dtype=np.float64)
    inner = [name for name in _PLAIN if name not in (*_AT_TOP, "ts_event", "ts_recv")]
    computed = [computed_of(row) for row in rows]
    return ChainFacts(
        **{name: document[name] for name in _AT_TOP},
        **{name: meta[_RENAMED.get(name, name)] for name in inner},
        **_listed({name: meta[name] for name in (*_PAIRS, *_TUPLES)}),
        ts_event=instant(document["timestamp"]),
        ts_recv=instant(document["received"]),
        legs=digest([_column(strikes), *(side.T for side in np.split(legs, 2))]),
        oi_intraday=packed(_column([_figure(row, "oi_intraday") for row in rows])),
        reasons=_reasons([None if row is None else row["iv_reason"] for row in rows]),
        computed=packed(np.array(computed, dtype=np.float64).T),
    )


def computed_of(row: Row) -> list[float | None]:
    """Return the computed figures of a leg by `legs.COLUMNS`; None for all if it is missing."""
    if row is None:
        return [None] * len(COLUMNS)
    figures = {**row["greeks"], "gex": row["gex"]}
    return [figures[name] for name in COLUMNS]


def _rows(strikes: list[float], rows: Sequence[Mapping[str, Any]]) -> list[Row]:
    """Return the row of each strike, None where it has none."""
    found = {float(row["strike"]): row for row in rows}
    if len(found) != len(rows) or not found.keys() <= set(strikes):
        raise ValueError("a strike has two rows, or is not in the chain")
    return [found.get(strike) for strike in strikes]


def _figure(row: Row, name: str) -> float | None:
    return None if row is None else row[name]


def _both(name: str, greeks: tuple[Greeks, Greeks]) -> list[Any]:
    return [*getattr(greeks[0], name), *getattr(greeks[1], name)]


def _column(values: Sequence[float | None]) -> Floats:
    return np.array(values, dtype=np.float64)


def _reasons(values: Sequence[str | None]) -> Reasons:
    return tuple(None if value is None else intern(value) for value in values)


def _listed(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return lists as tuples and mappings as sorted pairs, without the user's indicators."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        if name in _PAIRS:
            items = sorted(value.items())
            value = [pair for pair in items if not pair[0].startswith(_INDICATORS)]
        found[name] = tuple(value)
    return found
