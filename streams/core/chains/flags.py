"""Quality flags of a snapshot (docs/semantics.md, "Chains")."""

from __future__ import annotations

from typing import NamedTuple

from optionstream.schemas.errors import CalendarError
from optionstream.schemas.events import ChainSnapshot
from optionstream.schemas.times import DAY_MS, IST_OFFSET_MS
from optionstream.streams.core.chains.history import (
    DUPLICATE,
    REVISED,
    STALE,
    VOLUME_DECREASED,
)
from optionstream.streams.core.market.calendar import FNO, Calendar
from optionstream.streams.core.rules import Rules


class Signs(NamedTuple):
    """What the figures of a snapshot say of its quality; ``found`` as ``history.Compared``."""

    below_intrinsic: bool
    crossed_quote: bool
    fractional_oi: bool
    missing_legs: bool
    found: frozenset[str]


def flags(chain: ChainSnapshot, signs: Signs, rules: Rules) -> list[str]:
    """The names of all that hold, sorted."""
    late = chain.ts_recv - chain.ts_event > rules.stale_ms
    holds = {
        "below_intrinsic": signs.below_intrinsic,
        "crossed_quote": signs.crossed_quote,
        "duplicate": DUPLICATE in signs.found,
        "fractional_oi": signs.fractional_oi,
        "missing_legs": signs.missing_legs,
        "mixed_underlying": chain.mixed_underlying,
        "outside_session": _is_outside(chain.ts_event, rules.calendar),
        "revised_after_close": REVISED in signs.found
        and _is_closed(chain.ts_event, rules.calendar),
        "stale": late or STALE in signs.found,
        "volume_decreased": VOLUME_DECREASED in signs.found,
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
