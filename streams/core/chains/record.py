"""The record of one chain, from what was found for all chains of its table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from optionstream.schemas.derived import ChainAnalytics, Greeks
from optionstream.schemas.errors import CalendarError
from optionstream.schemas.events import ChainSnapshot, Legs
from optionstream.schemas.times import DAY_MS, IST_OFFSET_MS
from optionstream.streams.core.chains.figures import Figure
from optionstream.streams.core.chains.history import (
    DUPLICATE,
    REVISED,
    STALE,
    VOLUME_DECREASED,
    Compared,
)
from optionstream.streams.core.chains.interest import Interest
from optionstream.streams.core.chains.priced import PricedChain
from optionstream.streams.core.chains.table import ChainTable
from optionstream.streams.core.market.calendar import FNO, Calendar
from optionstream.streams.core.market.contracts import LOT_SIZE_UNKNOWN
from optionstream.streams.core.rules import Rules


class Analysed(NamedTuple):
    """What was found for the chains of a table; each list has one entry for each of them.

    ``legs`` and ``greeks`` are those of the calls and of the puts, ``near`` the distance in
    strikes up to which a strike is near the money.
    """

    table: ChainTable
    compared: Compared
    ids: Sequence[str]
    priced: Sequence[PricedChain]
    interest: Sequence[Interest]
    legs: Sequence[tuple[Legs, Legs]]
    greeks: Sequence[tuple[Greeks, Greeks]]
    near: Sequence[int]


def record(
    chain: ChainSnapshot,
    known_at: int,
    oldest_leg_ms: int | None,
    analysed: Analysed,
    at: int,
    rules: Rules,
) -> ChainAnalytics:
    """Return the record of the chain at a position, without the user's own indicators.

    ``known_at`` is its stamp, UTC epoch ms; ``oldest_leg_ms`` the age of the oldest quote of an
    assembled chain.
    """
    table, priced, interest = analysed.table, analysed.priced[at], analysed.interest[at]
    lot_size, missing_legs = table.lot_size[at], table.missing_legs[at]
    figures: dict[str, Figure] = {
        "lot_size": Figure(lot_size, None if lot_size else LOT_SIZE_UNKNOWN),
        **interest.figures,
        **priced.figures(),
    }
    values: dict[str, Any] = {name: figure.value for name, figure in figures.items()}
    return ChainAnalytics(
        product=chain.product,
        expiry=chain.expiry,
        source=chain.source,
        snapshot_id=analysed.ids[at],
        ts_event=chain.ts_event,
        ts_recv=chain.ts_recv,
        oi_unit=table.oi_unit[at],
        underlying_price=chain.underlying_price,
        strikes=chain.strikes,
        calls=analysed.legs[at][0],
        puts=analysed.legs[at][1],
        call_greeks=analysed.greeks[at][0],
        put_greeks=analysed.greeks[at][1],
        near_strikes=analysed.near[at],
        resistance=interest.resistance,
        support=interest.support,
        iv_mode=rules.iv_mode,
        rate=priced.rate,
        legs_with_iv=priced.legs_with_iv,
        iv_null_reasons=priced.null_reasons(),
        missing_legs=missing_legs,
        completeness=1 - missing_legs / (2 * len(chain.strikes)),
        oldest_leg_ms=oldest_leg_ms,
        null_reasons={name: one.reason for name, one in figures.items() if one.reason},
        flags=flags(chain, analysed, at, rules),
        custom_indicators={},
        capture_id=chain.capture_id,
        expiries_in_capture=chain.expiries_in_capture,
        known_at=known_at,
        **values,
    )


def flags(chain: ChainSnapshot, analysed: Analysed, at: int, rules: Rules) -> list[str]:
    """Return the names of the quality flags that hold, sorted (docs/semantics.md, "Chains")."""
    table, found = analysed.table, analysed.compared.found[at]
    late = chain.ts_recv - chain.ts_event > rules.stale_ms
    holds = {
        "below_intrinsic": analysed.priced[at].has_below_intrinsic,
        "crossed_quote": table.crossed[at],
        "duplicate": DUPLICATE in found,
        "fractional_oi": table.fractional_oi[at],
        "missing_legs": table.missing_legs[at] > 0,
        "mixed_underlying": chain.mixed_underlying,
        "outside_session": _is_outside(chain.ts_event, rules.calendar),
        "revised_after_close": REVISED in found and _is_closed(chain.ts_event, rules.calendar),
        "stale": late or STALE in found,
        "volume_decreased": VOLUME_DECREASED in found,
    }
    return sorted(name for name, is_so in holds.items() if is_so)


def _is_outside(ts: int, calendar: Calendar) -> bool:
    """True if ``ts`` is outside every derivatives session; the instant of a close is inside."""
    try:
        return all(calendar.session_at(FNO, at) is None for at in (ts, ts - 1))
    except CalendarError:
        return True


def _is_closed(ts: int, calendar: Calendar) -> bool:
    """True if ``ts`` is at or after the close of the day's last derivatives session."""
    try:
        sessions = calendar.sessions_on(FNO, (ts + IST_OFFSET_MS) // DAY_MS)
    except CalendarError:
        return False
    return bool(sessions) and ts >= sessions[-1].close_ms
