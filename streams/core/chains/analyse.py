"""One snapshot and what follows from it, whole (docs/semantics.md, "Chains")."""

from __future__ import annotations

from typing import Final

import msgspec
import numpy as np
from msgspec import Struct

from optionstream.schemas.derived import ChainAnalytics
from optionstream.schemas.events import ChainSnapshot
from optionstream.schemas.identity import snapshot_id
from optionstream.streams.core.chains.figures import (
    NO_IV,
    NO_OI,
    NO_OI_CHANGE,
    NO_VOLUME,
    OI_IN_LOTS,
    Figure,
    null,
)
from optionstream.streams.core.chains.flags import flags
from optionstream.streams.core.chains.history import (
    Compared,
    Memory,
    compare,
    decode_memory,
    encode_memory,
    remember,
)
from optionstream.streams.core.chains.interest import (
    absent_side,
    max_pain,
    most_interest,
    near_ratios,
    put_call_ratios,
    totals,
)
from optionstream.streams.core.chains.priced import PricedChain, price
from optionstream.streams.core.chains.table import CALL, PUT, ChainTable, normalised, table_of
from optionstream.streams.core.indicators import NO_INDICATORS, Indicators, run
from optionstream.streams.core.market.contracts import LOT_SIZE_UNKNOWN, chain_width
from optionstream.streams.core.rules import Rules

_USUAL_WIDTH: Final = 21
"""Strikes of a chain of a product that the calendar has no width of."""


class ExpiryChains:
    """The snapshots of one product and expiry, in the order in which they are accepted."""

    def __init__(self) -> None:
        self._memory = Memory()

    def analyse(
        self,
        chain: ChainSnapshot,
        rules: Rules,
        known_at: int,
        indicators: Indicators = NO_INDICATORS,
        oldest_leg_ms: int | None = None,
    ) -> ChainAnalytics:
        """The analytics of the next snapshot, which is remembered for those after it.

        ``oldest_leg_ms`` is the age of the oldest quote of a chain assembled from quotes.
        """
        table = table_of(chain)
        identity = snapshot_id(chain)
        content = identity.rpartition("-")[2]
        compared = compare(self._memory, chain, table, content)
        remember(self._memory, chain, table, content)
        record = _record(chain, table, compared, rules, known_at, identity, oldest_leg_ms)
        return _with_indicators(record, indicators) if indicators else record

    def pack(self) -> bytes:
        """What is remembered, as bytes."""
        return encode_memory(self._memory)

    @staticmethod
    def unpack(data: bytes) -> ExpiryChains:
        """The inverse of ``pack``."""
        chains = ExpiryChains()
        chains._memory = decode_memory(data)
        return chains


class _Levels(Struct, frozen=True):
    """The figures of a chain that may be null, by their names in the record."""

    figures: dict[str, Figure]

    def value(self, name: str) -> float | None:
        return self.figures[name].value

    def reasons(self) -> dict[str, str]:
        return {name: figure.reason for name, figure in self.figures.items() if figure.reason}


def _record(
    chain: ChainSnapshot,
    table: ChainTable,
    compared: Compared,
    rules: Rules,
    known_at: int,
    identity: str,
    oldest_leg_ms: int | None,
) -> ChainAnalytics:
    priced = price(chain, table, rules.iv_mode)
    near = (chain_width(chain.product) or _USUAL_WIDTH) // 2
    levels = _levels(table, priced, compared, near)
    value = levels.value
    return ChainAnalytics(
        product=chain.product,
        expiry=chain.expiry,
        source=chain.source,
        snapshot_id=identity,
        ts_event=chain.ts_event,
        ts_recv=chain.ts_recv,
        oi_unit=table.oi_unit,
        lot_size=table.lot_size,
        underlying_price=chain.underlying_price,
        strikes=chain.strikes,
        calls=normalised(chain.calls, table, CALL, chain.oi_unit),
        puts=normalised(chain.puts, table, PUT, chain.oi_unit),
        call_greeks=priced.greeks(CALL, compared.oi_intraday),
        put_greeks=priced.greeks(PUT, compared.oi_intraday),
        call_oi=value("call_oi"),
        put_oi=value("put_oi"),
        call_oi_change=value("call_oi_change"),
        put_oi_change=value("put_oi_change"),
        call_oi_intraday=value("call_oi_intraday"),
        put_oi_intraday=value("put_oi_intraday"),
        call_volume=value("call_volume"),
        put_volume=value("put_volume"),
        pcr_oi=value("pcr_oi"),
        pcr_volume=value("pcr_volume"),
        near_strikes=near,
        pcr_oi_near=value("pcr_oi_near"),
        pcr_volume_near=value("pcr_volume_near"),
        max_pain=value("max_pain"),
        resistance=most_interest(table, CALL),
        support=most_interest(table, PUT),
        iv_mode=rules.iv_mode,
        rate=priced.rate,
        years=value("years"),
        forward=value("forward"),
        atm_strike=value("atm_strike"),
        atm_iv=value("atm_iv"),
        straddle=value("straddle"),
        gex_total=value("gex_total"),
        legs_with_iv=priced.legs_with_iv,
        iv_null_reasons=priced.null_reasons(),
        missing_legs=table.missing_legs,
        completeness=1 - table.missing_legs / (2 * len(chain.strikes)),
        oldest_leg_ms=oldest_leg_ms,
        null_reasons=levels.reasons(),
        flags=flags(chain, table, compared, rules, priced.has_below_intrinsic),
        custom_indicators={},
        capture_id=chain.capture_id,
        expiries_in_capture=chain.expiries_in_capture,
        known_at=known_at,
    )


def _levels(table: ChainTable, priced: PricedChain, compared: Compared, near: int) -> _Levels:
    oi, volume, change, intraday = totals(
        (table.oi, NO_OI),
        (table.volume, NO_VOLUME),
        (table.oi_change, NO_OI_CHANGE),
        (compared.oi_intraday, compared.reason),
    )
    pcr_oi, pcr_volume = put_call_ratios(oi, volume, absent_side(table))
    near_oi, near_volume = near_ratios(table, priced.atm, near)
    return _Levels(
        {
            "lot_size": Figure(table.lot_size, None if table.lot_size else LOT_SIZE_UNKNOWN),
            "call_oi": oi.call,
            "put_oi": oi.put,
            "call_volume": volume.call,
            "put_volume": volume.put,
            "call_oi_change": change.call,
            "put_oi_change": change.put,
            "call_oi_intraday": intraday.call,
            "put_oi_intraday": intraday.put,
            "pcr_oi": pcr_oi,
            "pcr_volume": pcr_volume,
            "pcr_oi_near": near_oi,
            "pcr_volume_near": near_volume,
            "max_pain": max_pain(table),
            "years": priced.years,
            "forward": priced.forward,
            "atm_strike": priced.atm_strike,
            "atm_iv": priced.atm_iv,
            "straddle": priced.straddle,
            "gex_total": _gex_total(table, priced),
        }
    )


def _gex_total(table: ChainTable, priced: PricedChain) -> Figure:
    if table.oi_unit == "lots":
        return null(OI_IN_LOTS)
    unknown = np.isnan(priced.gex)
    if unknown.all():
        return null(NO_OI if priced.legs_with_iv else NO_IV)
    return Figure(float(np.where(unknown, 0.0, priced.gex).sum()))


def _with_indicators(record: ChainAnalytics, indicators: Indicators) -> ChainAnalytics:
    numbers, failed = run(indicators, record)
    return msgspec.structs.replace(
        record, custom_indicators=numbers, null_reasons={**record.null_reasons, **failed}
    )
