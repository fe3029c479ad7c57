"""The analytics of an accepted snapshot, recomputed from it and those before it."""

from __future__ import annotations

from math import isnan
from typing import Any

import numpy as np

from optionstream.schemas.identity import snapshot_id
from optionstream.schemas.times import ist
from optionstream.streams.core.market.calendar import FNO
from optionstream.streams.verify.chains.facts import ChainFacts
from optionstream.streams.verify.chains.history import Past, Seen
from optionstream.streams.verify.chains.legs import legs_of, reasons
from optionstream.streams.verify.chains.math import (
    Figure,
    levels,
    max_pain,
    ratio,
    rounding_of,
    total_or,
)
from optionstream.streams.verify.chains.pricing import Basis, basis_of
from optionstream.streams.verify.chains.sides import (
    Floats,
    Side,
    converted,
    digest,
    lot_of,
    packed,
    unit_of,
)
from optionstream.streams.verify.rules import Rules

_COPIED = (
    *("product", "expiry", "source", "ts_event", "ts_recv"),
    *("underlying_price", "capture_id", "expiries_in_capture"),
)
"""Fields of the snapshot that its analytics have unchanged."""


def recomputed(past: Past, rules: Rules, oldest_leg_ms: int | None = None) -> ChainFacts:
    """Return the facts of the snapshot ``past.now``.

    ``oldest_leg_ms`` is that of an assembled chain. `judge` adds what follows from volatilities.
    """
    chain = past.now.chain
    lot = lot_of(chain)
    unit = unit_of(chain, lot)
    calls, puts = (converted(side, chain.oi_unit, lot) for side in past.now.sides)
    basis = basis_of(chain, (calls, puts), unit, rules.settings.iv_mode)
    intraday = _intraday(past, (calls, puts), basis, lot)
    pain = max_pain(basis.strikes, calls, puts)
    figures: dict[str, Any] = {
        "lot_size": (lot, "lot_size_unknown" if lot is None else None),
        **_sums(calls, puts, intraday, past),
        "max_pain": (pain.strike, pain.reason),
        "years": _years(basis),
        "forward": basis.forward(),
    }
    figures |= basis.at_the_money(figures["forward"][0])
    missing = int(2 * len(chain.strikes) - calls.present.sum() - puts.present.sum())
    return ChainFacts(
        **{name: getattr(chain, name) for name in _COPIED},
        snapshot_id=snapshot_id(chain),
        oi_unit=unit,
        legs=digest([basis.strikes, calls.columns, puts.columns]),
        oi_intraday=packed(intraday.ravel()),
        reasons=reasons(legs_of(basis, figures["forward"][0])),
        near_strikes=basis.near,
        resistance=levels(basis.strikes, calls["oi"]),
        support=levels(basis.strikes, puts["oi"]),
        iv_mode=basis.mode,
        rate=basis.rate,
        atm_iv=None,
        gex_total=None,
        legs_with_iv=0,
        iv_null_reasons=(),
        missing_legs=missing,
        completeness=1 - missing / (2 * len(chain.strikes)),
        oldest_leg_ms=oldest_leg_ms,
        **{name: value for name, (value, _) in figures.items()},
        null_reasons=tuple(sorted((k, why) for k, (_, why) in figures.items() if why)),
        flags=_flags(rules, past, missing),
        basis=basis,
        rivals=pain.rivals,
        rounding={
            "call_oi_change": rounding_of(calls["oi_change"]),
            "put_oi_change": rounding_of(puts["oi_change"]),
            "call_oi_intraday": rounding_of(intraday[0]),
            "put_oi_intraday": rounding_of(intraday[1]),
        },
    )


def _sums(calls: Side, puts: Side, intraday: Floats, past: Past) -> dict[str, Figure]:
    why = "earlier_day" if past.earlier else "no_baseline"
    sums = {
        f"{side}_{name}": total_or(legs[name], f"no_{name}")
        for side, legs in (("call", calls), ("put", puts))
        for name in ("oi", "volume", "oi_change")
    }
    return {
        **sums,
        "call_oi_intraday": total_or(intraday[0], why),
        "put_oi_intraday": total_or(intraday[1], why),
        "pcr_oi": ratio(calls, puts, "oi"),
        "pcr_volume": ratio(calls, puts, "volume"),
    }


def _years(basis: Basis) -> Figure:
    if isnan(basis.years):
        return None, "no_expiry"
    return (None, "expired") if basis.years < 0 else (basis.years, None)


def _intraday(past: Past, sides: tuple[Side, Side], basis: Basis, lot: int | None) -> Floats:
    """Return open interest since the first snapshot of the day, calls and puts by strikes."""
    now = np.stack([side["oi"] for side in sides])
    first, unit = past.first, past.first.chain.oi_unit
    if past.earlier or unit_of(first.chain, lot) != basis.unit:
        return np.full_like(now, np.nan)
    then = [converted(side, unit, lot)["oi"] for side in first.sides]
    return now - np.stack(first.columns_at(past.now.chain.strikes, then))


def _flags(rules: Rules, past: Past, missing: int) -> tuple[str, ...]:
    """Return the flags but for ``below_intrinsic``, which follows from the forward."""
    chain, sides = past.now
    raised: dict[str, Any] = {
        "crossed_quote": any((side["bid"] > side["ask"]).any() for side in sides),
        "fractional_oi": any((np.nan_to_num(side["oi"]) % 1).any() for side in sides),
        "missing_legs": missing,
        "mixed_underlying": chain.mixed_underlying,
        "outside_session": not _in_session(chain.ts_event, rules),
        "stale": past.earlier
        or chain.ts_recv - chain.ts_event > rules.settings.stale_ms
        or (past.eve is not None and past.eve.same_content(past.now)),
        **_against(past.before, past.now, rules),
    }
    return tuple(sorted(name for name, is_so in raised.items() if is_so))


def _against(before: Seen | None, now: Seen, rules: Rules) -> dict[str, bool]:
    """Return the flags that follow from the snapshot before."""
    if before is None:
        return {}
    moment, same = now.chain.ts_event, before.same_content(now)
    same_time = before.chain.ts_event == moment
    volumes = before.columns_at(now.chain.strikes, [side["volume"] for side in before.sides])
    fell = any((side["volume"] < then).any() for side, then in zip(now.sides, volumes, strict=True))
    return {
        "duplicate": same and not same_time,
        "revised_after_close": same_time and not same and _after_close(moment, rules),
        "volume_decreased": fell and before.chain.ts_event <= moment,
    }


def _in_session(ts_event: int, rules: Rules) -> bool:
    sessions = rules.calendar.sessions_for(FNO, ist(ts_event).date())
    return any(session.open_ms <= ts_event <= session.close_ms for session in sessions)


def _after_close(ts_event: int, rules: Rules) -> bool:
    """True at or after the close of the day's last session."""
    sessions = rules.calendar.sessions_for(FNO, ist(ts_event).date())
    return bool(sessions) and ts_event >= max(session.close_ms for session in sessions)
