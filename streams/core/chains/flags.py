"""Quality flags of a snapshot (docs/semantics.md, "Chains")."""

from __future__ import annotations

from optionstream.schemas.errors import CalendarError
from optionstream.schemas.events import ChainSnapshot
from optionstream.schemas.times import DAY_MS, IST_OFFSET_MS
from optionstream.streams.core.chains.history import (
    DUPLICATE,
    REVISED,
    STALE,
    VOLUME_DECREASED,
    Compared,
)
from optionstream.streams.core.chains.table import ChainTable
from optionstream.streams.core.market.calendar import FNO, Calendar
from optionstream.streams.core.rules import Rules


def flags(
    chain: ChainSnapshot,
    table: ChainTable,
    compared: Compared,
    rules: Rules,
    below_intrinsic: bool,
) -> list[str]:
    """The names of all that hold, sorted."""
    late = chain.ts_recv - chain.ts_event > rules.stale_ms
    holds = {
        "below_intrinsic": below_intrinsic,
        "crossed_quote": bool((table.bid > table.ask).any()),
        "duplicate": DUPLICATE in compared.found,
        "fractional_oi": table.fractional_oi,
        "missing_legs": table.missing_legs > 0,
        "mixed_underlying": chain.mixed_underlying,
        "outside_session": _is_outside(chain.ts_event, rules.calendar),
        "revised_after_close": REVISED in compared.found
        and _is_closed(chain.ts_event, rules.calendar),
        "stale": late or STALE in compared.found,
        "volume_decreased": VOLUME_DECREASED in compared.found,
    }
    return sorted(name for name, is_so in holds.items() if is_so)


def _is_outside(ts: int, calendar: Calendar) -> bool:
    """Outside every derivatives session; the instant of a close is inside."""
    try:
        return all(calendar.session_at(FNO, at) is None for at in (ts, ts - 1))
    except CalendarError:
        return True


def _is_closed(ts: int, calendar: Calendar) -> bool:
    """At or after the close of the day's last derivatives session."""
    try:
        sessions = calendar.sessions_on(FNO, (ts + IST_OFFSET_MS) // DAY_MS)
    except CalendarError:
        return False
    return bool(sessions) and ts >= sessions[-1].close_ms
