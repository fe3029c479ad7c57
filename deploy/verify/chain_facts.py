"""A chain's analytics reduced to what is compared: figures, and a digest of the legs.

The same facts are made from an input snapshot (recomputed), from an output record and from a
document, so that any two can be compared field by field.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from hashlib import blake2b
from typing import Any

import msgspec
from msgspec import Struct

from optionstream.deploy.verify.chain_math import ROUNDING, max_pain, ratio, side_of
from optionstream.deploy.verify.rules import Rules
from optionstream.schemas.derived import ChainAnalytics
from optionstream.schemas.events import LEG_COLUMNS, ChainSnapshot, Legs
from optionstream.schemas.identity import snapshot_id
from optionstream.schemas.times import ist, to_ms
from optionstream.streams.core.calendar import FNO

_encode = msgspec.json.Encoder().encode


class ChainFacts(Struct, frozen=True):
    """Everything of a ChainAnalytics but ``known_at``; ``legs`` is a digest of strikes and legs.

    ``rivals`` are other strikes that max pain may be, for rounding; not compared.
    """

    product: str
    expiry: str
    source: str
    snapshot_id: str
    ts_event: int
    ts_recv: int
    oi_unit: str
    underlying_price: float | None
    legs: str
    call_oi: float
    put_oi: float
    call_volume: float
    put_volume: float
    pcr_oi: float | None
    pcr_volume: float | None
    max_pain: float | None
    missing_legs: int
    null_reasons: tuple[tuple[str, str], ...]
    flags: tuple[str, ...]
    capture_id: str
    expiries_in_capture: int
    rivals: frozenset[float] = frozenset()

    @property
    def id(self) -> str:
        return f"{self.product}|{self.expiry}|{self.snapshot_id}"

    @property
    def version(self) -> tuple[int, int, str]:
        return (self.ts_event, self.ts_recv, self.snapshot_id)

    def differing(self, other: ChainFacts) -> list[str]:
        """Names of the fields in which ``other`` is not what self demands."""
        return [name for name in _COMPARED if not self._agrees(name, other)]

    def _agrees(self, name: str, other: ChainFacts) -> bool:
        mine, theirs = getattr(self, name), getattr(other, name)
        if name == "max_pain" and theirs in self.rivals:
            return True
        if name in _SUMS:
            return close(mine, theirs)
        return bool(mine == theirs)


_SUMS = frozenset({"call_oi", "put_oi", "call_volume", "put_volume", "pcr_oi", "pcr_volume"})
_COMPARED = tuple(name for name in ChainFacts.__struct_fields__ if name != "rivals")


def close(mine: float | None, theirs: float | None) -> bool:
    """Equal but for the rounding of a sum."""
    if mine is None or theirs is None:
        return mine is theirs
    return abs(mine - theirs) <= ROUNDING * max(abs(mine), abs(theirs))


def recomputed(chain: ChainSnapshot, rules: Rules) -> ChainFacts:
    """What the analytics of an accepted snapshot must be."""
    calls, puts = side_of(chain.calls), side_of(chain.puts)
    pcr_oi, oi_reason = ratio(calls, puts, "oi")
    pcr_volume, volume_reason = ratio(calls, puts, "volume")
    pain = max_pain(chain.strikes, calls, puts)
    missing = 2 * len(chain.strikes) - calls.present - puts.present
    reasons = {"pcr_oi": oi_reason, "pcr_volume": volume_reason, "max_pain": pain.reason}
    flags = {
        "missing_legs": missing > 0,
        "fractional_oi": calls.fractional or puts.fractional,
        "outside_session": not _in_session(chain.ts_event, rules),
    }
    return ChainFacts(
        product=chain.product,
        expiry=chain.expiry,
        source=chain.source,
        snapshot_id=snapshot_id(chain),
        ts_event=chain.ts_event,
        ts_recv=chain.ts_recv,
        oi_unit=chain.oi_unit,
        underlying_price=chain.underlying_price,
        legs=legs_digest(chain.strikes, chain.calls, chain.puts),
        call_oi=calls.total_oi,
        put_oi=puts.total_oi,
        call_volume=calls.total_volume,
        put_volume=puts.total_volume,
        pcr_oi=pcr_oi,
        pcr_volume=pcr_volume,
        max_pain=pain.strike,
        missing_legs=missing,
        null_reasons=_sorted_pairs({k: v for k, v in reasons.items() if v is not None}),
        flags=tuple(sorted(name for name, raised in flags.items() if raised)),
        capture_id=chain.capture_id,
        expiries_in_capture=chain.expiries_in_capture,
        rivals=pain.rivals,
    )


def facts_of_record(chain: ChainAnalytics) -> ChainFacts:
    """The facts that an output record tells."""
    return ChainFacts(
        product=chain.product,
        expiry=chain.expiry,
        source=chain.source,
        snapshot_id=chain.snapshot_id,
        ts_event=chain.ts_event,
        ts_recv=chain.ts_recv,
        oi_unit=chain.oi_unit,
        underlying_price=chain.underlying_price,
        legs=legs_digest(chain.strikes, chain.calls, chain.puts),
        call_oi=chain.call_oi,
        put_oi=chain.put_oi,
        call_volume=chain.call_volume,
        put_volume=chain.put_volume,
        pcr_oi=chain.pcr_oi,
        pcr_volume=chain.pcr_volume,
        max_pain=chain.max_pain,
        missing_legs=chain.missing_legs,
        null_reasons=_sorted_pairs(chain.null_reasons),
        flags=tuple(chain.flags),
        capture_id=chain.capture_id,
        expiries_in_capture=chain.expiries_in_capture,
    )


def facts_of_document(document: Mapping[str, Any]) -> ChainFacts:
    """The facts that a chain document (MongoDB, Redis) tells.

    Raises KeyError, TypeError or ValueError for something that is no chain document.
    """
    meta = document["metadata"]
    strikes = [float(strike) for strike in document["strikes"]]
    calls = _legs_of_rows(strikes, document["calls"])
    puts = _legs_of_rows(strikes, document["puts"])
    return ChainFacts(
        product=document["product"],
        expiry=document["expiry"],
        source=document["source"],
        snapshot_id=document["snapshot_id"],
        ts_event=instant(document["timestamp"]),
        ts_recv=instant(document["received"]),
        oi_unit=document["oi_unit"],
        underlying_price=document["underlying_price"],
        legs=legs_digest(strikes, calls, puts),
        call_oi=meta["call_oi"],
        put_oi=meta["put_oi"],
        call_volume=meta["call_volume"],
        put_volume=meta["put_volume"],
        pcr_oi=meta["pcr"],
        pcr_volume=meta["pcr_volume"],
        max_pain=meta["max_pain"],
        missing_legs=meta["missing_legs"],
        null_reasons=_sorted_pairs(meta["null_reasons"]),
        flags=tuple(meta["flags"]),
        capture_id=meta["capture_id"],
        expiries_in_capture=meta["expiries_in_capture"],
    )


def legs_digest(strikes: list[float], calls: Legs, puts: Legs) -> str:
    """A hash of strikes and all leg columns."""
    return blake2b(_encode((strikes, calls, puts)), digest_size=16).hexdigest()


def instant(value: Any) -> int:
    """Epoch milliseconds of an aware datetime or of an RFC 3339 text."""
    moment = datetime.fromisoformat(value) if isinstance(value, str) else value
    return to_ms(moment)


def _in_session(ts_event: int, rules: Rules) -> bool:
    sessions = rules.calendar.sessions_for(FNO, ist(ts_event).date())
    return any(session.open_ms <= ts_event <= session.close_ms for session in sessions)


def _legs_of_rows(strikes: list[float], rows: list[Mapping[str, Any]]) -> Legs:
    columns: dict[str, list[float | None]] = {name: [None] * len(strikes) for name in LEG_COLUMNS}
    place = {strike: index for index, strike in enumerate(strikes)}
    if len({row["strike"] for row in rows}) != len(rows):
        raise ValueError("a strike has two rows")
    for row in rows:
        index = place[float(row["strike"])]
        for name in LEG_COLUMNS:
            value = row[name]
            columns[name][index] = None if value is None else float(value)
    return Legs(**columns)


def _sorted_pairs(reasons: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(reasons.items()))
