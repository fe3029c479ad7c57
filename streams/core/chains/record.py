"""The record of one chain from its parts."""

from __future__ import annotations

from typing import Any, NamedTuple

from optionstream.schemas.derived import ChainAnalytics, Greeks, IvMode
from optionstream.schemas.events import ChainSnapshot, Legs, OiUnit
from optionstream.streams.core.chains.figures import Figure
from optionstream.streams.core.chains.interest import Interest
from optionstream.streams.core.chains.priced import PricedChain
from optionstream.streams.core.market.contracts import LOT_SIZE_UNKNOWN


class Parts(NamedTuple):
    """What is known of a snapshot; ``legs`` and ``greeks`` are those of calls and of puts."""

    chain: ChainSnapshot
    known_at: int
    oldest_leg_ms: int | None
    snapshot_id: str
    oi_unit: OiUnit
    lot_size: int | None
    missing_legs: int
    legs: tuple[Legs, Legs]
    greeks: tuple[Greeks, Greeks]
    priced: PricedChain
    interest: Interest
    near_strikes: int
    flags: list[str]


def record(parts: Parts, mode: IvMode) -> ChainAnalytics:
    """As it goes out, without the user's own indicators."""
    chain, priced, interest = parts.chain, parts.priced, parts.interest
    figures = _figures(parts.lot_size, priced, interest)
    values: dict[str, Any] = {name: figure.value for name, figure in figures.items()}
    return ChainAnalytics(
        product=chain.product,
        expiry=chain.expiry,
        source=chain.source,
        snapshot_id=parts.snapshot_id,
        ts_event=chain.ts_event,
        ts_recv=chain.ts_recv,
        oi_unit=parts.oi_unit,
        underlying_price=chain.underlying_price,
        strikes=chain.strikes,
        calls=parts.legs[0],
        puts=parts.legs[1],
        call_greeks=parts.greeks[0],
        put_greeks=parts.greeks[1],
        near_strikes=parts.near_strikes,
        resistance=interest.resistance,
        support=interest.support,
        iv_mode=mode,
        rate=priced.rate,
        legs_with_iv=priced.legs_with_iv,
        iv_null_reasons=priced.null_reasons(),
        missing_legs=parts.missing_legs,
        completeness=1 - parts.missing_legs / (2 * len(chain.strikes)),
        oldest_leg_ms=parts.oldest_leg_ms,
        null_reasons={name: one.reason for name, one in figures.items() if one.reason},
        flags=parts.flags,
        custom_indicators={},
        capture_id=chain.capture_id,
        expiries_in_capture=chain.expiries_in_capture,
        known_at=parts.known_at,
        **values,
    )


def _figures(lot_size: int | None, priced: PricedChain, interest: Interest) -> dict[str, Figure]:
    """What may be null, by the names in the record."""
    return {
        "lot_size": Figure(lot_size, None if lot_size else LOT_SIZE_UNKNOWN),
        "call_oi": interest.oi.call,
        "put_oi": interest.oi.put,
        "call_volume": interest.volume.call,
        "put_volume": interest.volume.put,
        "call_oi_change": interest.oi_change.call,
        "put_oi_change": interest.oi_change.put,
        "call_oi_intraday": interest.oi_intraday.call,
        "put_oi_intraday": interest.oi_intraday.put,
        "pcr_oi": interest.pcr_oi,
        "pcr_volume": interest.pcr_volume,
        "pcr_oi_near": interest.pcr_oi_near,
        "pcr_volume_near": interest.pcr_volume_near,
        "max_pain": interest.max_pain,
        "years": priced.years,
        "forward": priced.forward,
        "atm_strike": priced.atm_strike,
        "atm_iv": priced.atm_iv,
        "straddle": priced.straddle,
        "gex_total": priced.gex_total,
    }
