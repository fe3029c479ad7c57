"""What one option chain says: totals, put-call ratios, max pain, quality flags.

Pure functions of a snapshot. What cannot be computed is None with a reason, never 0.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from optionstream.schemas.derived import ChainAnalytics
from optionstream.schemas.errors import CalendarError
from optionstream.schemas.events import LEG_COLUMNS, ChainSnapshot, Legs
from optionstream.schemas.identity import snapshot_id
from optionstream.streams.core.calendar import FNO, Calendar

NO_CALLS: Final = "no_calls"
NO_PUTS: Final = "no_puts"
NO_OI: Final = "no_oi"
ZERO_CALL_OI: Final = "zero_call_oi"
ZERO_CALL_VOLUME: Final = "zero_call_volume"

Column = list[float | None]
Figure = tuple[float | None, str | None]
"""A number, or None and the reason."""


def analyse(chain: ChainSnapshot, calendar: Calendar, known_at: int) -> ChainAnalytics:
    """Everything that follows from one snapshot (docs/semantics.md, "Chains")."""
    missing_calls, missing_puts = missing(chain.calls), missing(chain.puts)
    absent = None
    if missing_calls == len(chain.strikes):
        absent = NO_CALLS
    elif missing_puts == len(chain.strikes):
        absent = NO_PUTS
    call_oi, put_oi = total(chain.calls.oi), total(chain.puts.oi)
    call_volume, put_volume = total(chain.calls.volume), total(chain.puts.volume)
    figures: dict[str, Figure] = {
        "pcr_oi": ratio(put_oi, call_oi, absent, ZERO_CALL_OI),
        "pcr_volume": ratio(put_volume, call_volume, absent, ZERO_CALL_VOLUME),
        "max_pain": (None, absent) if absent else max_pain(chain),
    }
    return ChainAnalytics(
        product=chain.product,
        expiry=chain.expiry,
        source=chain.source,
        snapshot_id=snapshot_id(chain),
        ts_event=chain.ts_event,
        ts_recv=chain.ts_recv,
        oi_unit=chain.oi_unit,
        underlying_price=chain.underlying_price,
        strikes=chain.strikes,
        calls=chain.calls,
        puts=chain.puts,
        call_oi=call_oi,
        put_oi=put_oi,
        call_volume=call_volume,
        put_volume=put_volume,
        pcr_oi=figures["pcr_oi"][0],
        pcr_volume=figures["pcr_volume"][0],
        max_pain=figures["max_pain"][0],
        missing_legs=missing_calls + missing_puts,
        null_reasons={name: reason for name, (_, reason) in figures.items() if reason},
        flags=flags(chain, calendar, missing_calls + missing_puts),
        capture_id=chain.capture_id,
        expiries_in_capture=chain.expiries_in_capture,
        known_at=known_at,
    )


def missing(legs: Legs) -> int:
    """How many strikes of one side have no leg: no figure in any column."""
    columns = [getattr(legs, name) for name in LEG_COLUMNS]
    return sum(all(value is None for value in row) for row in zip(*columns, strict=True))


def total(column: Column) -> float:
    """The sum of what is known."""
    return sum(value for value in column if value is not None)


def ratio(puts: float, calls: float, absent: str | None, zero: str) -> Figure:
    """Put total over call total; None where a side is missing or the call total is 0."""
    if absent:
        return None, absent
    if calls == 0:
        return None, zero
    return puts / calls, None


def max_pain(chain: ChainSnapshot) -> Figure:
    """The strike at which the options of the chain would pay their holders least, in rupees.

    pain(S) = sum over K of OI_call(K) * max(S - K, 0) + OI_put(K) * max(K - S, 0); of equal
    strikes the lowest. Unknown open interest counts as none.
    """
    calls, puts = _known(chain.calls.oi), _known(chain.puts.oi)
    if not calls.any() and not puts.any():
        return None, NO_OI
    strikes = np.array(chain.strikes)
    distance = strikes[:, None] - strikes[None, :]
    pain = np.maximum(distance, 0.0) @ calls + np.maximum(-distance, 0.0) @ puts
    return float(strikes[int(np.argmin(pain))]), None


def flags(chain: ChainSnapshot, calendar: Calendar, missing_legs: int) -> list[str]:
    """Quality flags, sorted."""
    found = []
    if any(value % 1 for oi in (chain.calls.oi, chain.puts.oi) for value in oi if value):
        found.append("fractional_oi")
    if missing_legs:
        found.append("missing_legs")
    if _outside(chain.ts_event, calendar):
        found.append("outside_session")
    return found


def _outside(ts: int, calendar: Calendar) -> bool:
    """Outside every derivatives session; the instant of a close is inside."""
    try:
        return all(calendar.session_at(FNO, at) is None for at in (ts, ts - 1))
    except CalendarError:
        return True


def _known(column: Column) -> NDArray[np.float64]:
    return np.array([value or 0.0 for value in column])
