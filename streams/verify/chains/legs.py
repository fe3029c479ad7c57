"""The computed figures of each leg, judged: volatility by repricing, Greeks by their formulas.

A volatility that was found must give the leg's premium back. Then the Greeks must be those at this
volatility. Nothing is solved here, so every comparison is as sharp as its formula.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import isnan

import numpy as np
from numpy.typing import NDArray

from optionstream.streams.verify.chains.pricing import Basis, Market, Parts, greeks, time_value
from optionstream.streams.verify.chains.sides import Bools, Floats
from optionstream.streams.verify.chains.tolerances import CLOSE, LEAST, RESOLUTION, ROUNDED
from optionstream.streams.verify.compare import Wrong

COLUMNS = ("iv", "delta", "gamma", "theta", "vega", "rho", "gex")

_REASONS = (None, "no_price", "below_intrinsic", "above_maximum", "time_value_too_small")
_ONE_PERCENT = 0.01
_TINY = 1e-300

Reasons = tuple[str | None, ...]


@dataclass(frozen=True, slots=True)
class Legs:
    """Legs of a chain, priced with ``market``; if that is None, ``unpriced`` says why.

    ``shares`` is the open interest, NaN where it is not known in shares.
    """

    strike: Floats
    is_call: Bools
    present: Bools
    premium: Floats
    shares: Floats
    market: Market | None
    unpriced: str

    def only(self, chosen: Bools) -> Legs:
        """Return some of the legs."""
        columns = ("strike", "is_call", "present", "premium", "shares")
        return replace(self, **{name: getattr(self, name)[chosen] for name in columns})

    def name(self, at: int) -> str:
        """Return strike and side of the leg at a position, for a report."""
        return f"{self.strike[at]:g} {'CE' if self.is_call[at] else 'PE'}"


def legs_of(basis: Basis, forward: float | None) -> Legs:
    """Return all legs of a chain, calls first."""
    calls, puts = basis.sides
    interest = np.concatenate((calls["oi"], puts["oi"]))
    return Legs(
        strike=np.tile(basis.strikes, 2),
        is_call=np.repeat([True, False], len(basis.strikes)),
        present=np.concatenate((calls.present, puts.present)),
        premium=np.concatenate(basis.premiums),
        shares=interest if basis.unit == "shares" else np.full_like(interest, np.nan),
        market=basis.market(forward),
        unpriced=_unpriced(basis),
    )


def reasons(legs: Legs, found: Reasons = ()) -> Reasons:
    """Return why each leg has no volatility, None where it has one or is missing.

    Where rounding decides between two answers, the one that was ``found``.
    """
    if legs.market is None:
        return tuple(legs.unpriced if there else None for there in legs.present.tolist())
    codes = _codes(legs, legs.market, 0)
    if len(found) == len(codes):
        for side in (-ROUNDED, ROUNDED):
            other = _codes(legs, legs.market, side)
            for at in np.flatnonzero(other != codes):
                if found[at] == _REASONS[other[at]]:
                    codes[at] = other[at]
    return tuple(_REASONS[code] for code in codes.tolist())


def out_of_the_money(legs: Legs, forward: float) -> Floats:
    """Return what the legs beyond or at ``forward`` that have a volatility are solved from.

    Rows by legs: strike, 1.0 for a call, forward of the market, `Market.carried`, time value
    (undiscounted rupees) and the size of what rounding made an error in on the way to it.
    """
    if legs.market is None:
        return np.empty((6, 0))
    beyond = np.where(legs.is_call, legs.strike >= forward, legs.strike <= forward)
    chosen = legs.only(legs.present & beyond & (_codes(legs, legs.market, 0) == 0))
    value, intrinsic = _undiscounted(chosen, legs.market)
    ones = np.ones_like(value)
    return np.array(
        [
            chosen.strike,
            chosen.is_call,
            ones * legs.market.forward,
            ones * legs.market.carried,
            value - intrinsic,
            np.where(intrinsic > 0, np.maximum(chosen.strike, legs.market.forward), 0),
        ]
    )


def judge(legs: Legs, wanted: Reasons, found: Reasons, figures: Floats) -> Wrong:
    """Return what is wrong with ``figures`` found, ``COLUMNS`` by legs: the first leg of each."""
    columns = dict(zip(COLUMNS, figures, strict=True))
    solved = legs.present & np.array([reason is None for reason in wanted])
    wrong = _wrong_reasons(legs, wanted, found) | _wrong_nulls(legs, solved, columns)
    if wrong or not solved.any():
        return wrong
    columns = {name: column[solved] for name, column in columns.items()}
    with np.errstate(all="ignore"):
        return _wrong_numbers(legs.only(solved), columns)


def _unpriced(basis: Basis) -> str:
    """Return the reason why no leg at all has a volatility."""
    if isnan(basis.years):
        return "no_expiry"
    if basis.years > 0:
        return "no_forward"
    return "expiry_day" if basis.mode == "nse" and basis.years == 0 else "expired"


def _codes(legs: Legs, market: Market, side: float) -> NDArray[np.int64]:
    """Return positions in ``_REASONS``, with differences moved by a part of strike or forward."""
    value, intrinsic = _undiscounted(legs, market)
    greater = np.maximum(legs.strike, market.forward)
    over = value - intrinsic + np.where(intrinsic > 0, side * greater, 0)
    room = np.where(legs.is_call, market.forward, legs.strike) - value - side * greater
    noise = RESOLUTION * value
    too_small = over <= np.maximum(noise, LEAST * greater)
    conditions = [np.isnan(value), over < -noise, room <= noise, too_small]
    codes = np.select(conditions, [1, 2, 3, 4], 0)
    return np.where(legs.present, codes, 0)


def _undiscounted(legs: Legs, market: Market) -> tuple[Floats, Floats]:
    """Return premium and intrinsic value at expiry."""
    ahead = np.where(legs.is_call, 1.0, -1.0) * (market.forward - legs.strike)
    return legs.premium / market.discount, np.maximum(ahead, 0)


def _wrong_reasons(legs: Legs, wanted: Reasons, found: Reasons) -> Wrong:
    for at, (mine, theirs) in enumerate(zip(wanted, found, strict=True)):
        if mine != theirs:
            return {"reasons": (f"{legs.name(at)}: {mine}", theirs)}
    return {}


def _wrong_nulls(legs: Legs, solved: Bools, given: dict[str, Floats]) -> Wrong:
    found: Wrong = {}
    for name, column in given.items():
        there = solved & ~np.isnan(legs.shares) if name == "gex" else solved
        for at in np.flatnonzero(np.isnan(column) == there)[:1]:
            kind = "a number" if there[at] else "none"
            found[name] = (f"{legs.name(at)}: {kind}", float(column[at]))
    return found


def _wrong_numbers(legs: Legs, given: dict[str, Floats]) -> Wrong:
    """Judge the figures of legs that have a volatility; the Greeks only if that is right."""
    market, iv = legs.market, given["iv"]
    assert market is not None
    value, intrinsic = _undiscounted(legs, market)
    over = value - intrinsic
    repriced = time_value(market, legs.strike, iv)
    greater = np.maximum(legs.strike, market.forward)
    rounding = ROUNDED * (np.where(intrinsic > 0, greater, 0) + repriced.size)
    agrees = abs(repriced.value - over) <= CLOSE * over + rounding
    for at in np.flatnonzero(~agrees)[:1]:
        due, value_at = float(over[at]), float(repriced.value[at])
        wanted = f"{legs.name(at)}: of time value {due!r}, not {value_at!r}"
        return {"iv": (wanted, float(iv[at]))}
    found: Wrong = {}
    for name, parts in _right_figures(legs, market, iv).items():
        off = abs(given[name] - parts.value) > CLOSE * parts.size + _TINY
        for at in np.flatnonzero(off)[:1]:
            right = float(parts.value[at])
            found[name] = (f"{legs.name(at)}: {right!r}", float(given[name][at]))
    return found


def _right_figures(legs: Legs, market: Market, iv: Floats) -> dict[str, Parts]:
    right = greeks(market, legs.strike, legs.is_call, legs.premium, iv)
    sign = np.where(legs.is_call, 1.0, -1.0)
    squared = market.price * market.price
    exposure = sign * right["gamma"].value * legs.shares * squared * _ONE_PERCENT
    return {**right, "gex": Parts(exposure, abs(exposure))}
