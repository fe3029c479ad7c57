"""``python -m tests.bench.pricing [--rounds N] [--json FILE]``: volatilities and Greeks of a chain
against a loop of QuantLib over the same legs.

QuantLib solves for the volatility only, to its default accuracy of 1e-4, and its objects (process,
curves, options) are made before the clock starts. Ours gives volatility to the last digits and
five Greeks, from columns of numbers. The contestants take turns; each figure is a median of
processor time, which another process on the machine lengthens least.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

import numpy as np
import QuantLib as ql
from rich.console import Console
from rich.table import Table

from optionstream.streams.core.pricing.black import Bools, Floats, black76_price
from optionstream.streams.core.pricing.chain import Priced, price_chain

TARGETS: dict[int, float | None] = {200: 0.15, 82: None}
"""Greatest ratio by legs; the chain of 82 is there for what it costs."""
CHAINS_PER_S = 100
SPOT, RATE, DAYS = 24_013.7, 0.065, 30
YEARS = DAYS / 365
_REPEATS = 10
"""Calls of ours in one turn: it then takes about as long as a loop of the other."""


@dataclass(frozen=True, slots=True)
class Contest:
    """Medians over the rounds, microseconds a chain; ``bare`` is QuantLib's loop."""

    legs: int
    ours: float
    bare: float
    target: float | None

    @property
    def ratio(self) -> float:
        return self.ours / self.bare

    @property
    def held(self) -> bool:
        return self.target is None or self.ratio <= self.target


@dataclass(frozen=True, slots=True)
class Chain:
    """A month to expiry, strikes 50 apart around the money, both sides, a smile."""

    strike: Floats
    is_call: Bools
    premium: Floats
    forward: float


def main() -> int:
    """Print the table; 1 when a target is missed."""
    options = _options()
    results = measure(options.rounds)
    _show(results)
    if options.json:
        rows = [asdict(one) | {"ratio": one.ratio, "held": one.held} for one in results]
        options.json.write_text(json.dumps({"machine": _machine(), "results": rows}, indent=1))
    return 0 if all(result.held for result in results) else 1


def measure(rounds: int) -> list[Contest]:
    """One contest for each size of chain."""
    return [_contest(legs, target, rounds) for legs, target in TARGETS.items()]


def _contest(legs: int, target: float | None, rounds: int) -> Contest:
    chain = make_chain(legs)
    price, solve = ours(chain), quantlib(chain)
    _check(price(), solve())
    mine, bare = [], []
    for _ in range(rounds):
        mine.append(_seconds(price, _REPEATS))
        bare.append(_seconds(solve, 1))
    return Contest(legs, 1e6 * median(mine), 1e6 * median(bare), target)


def make_chain(legs: int) -> Chain:
    """Fair prices, not rounded, so that every leg has a volatility for both."""
    forward = SPOT * float(np.exp(RATE * YEARS))
    half = legs // 2
    strike = np.tile(24_000.0 + 50.0 * (np.arange(half) - half // 2), 2)
    is_call = np.arange(legs) < half
    sigma = 0.12 + 0.5 * np.log(strike / forward) ** 2 / np.sqrt(YEARS)
    discount = float(np.exp(-RATE * YEARS))
    premium = black76_price(forward, strike, YEARS, sigma, is_call, discount)
    return Chain(strike, is_call, premium, forward)


def ours(chain: Chain) -> Callable[[], Priced]:
    """The call that the chain analytics make."""

    def price() -> Priced:
        columns = chain.strike, chain.is_call, chain.premium
        return price_chain("black76", *columns, chain.forward, YEARS, RATE)

    return price


def quantlib(chain: Chain) -> Callable[[], list[float]]:
    """The loop over ``VanillaOption.impliedVolatility``, with one process for all legs."""
    today, count = ql.Date(6, 1, 2026), ql.Actual365Fixed()
    ql.Settings.instance().evaluationDate = today
    process = ql.BlackScholesMertonProcess(
        ql.QuoteHandle(ql.SimpleQuote(SPOT)),
        ql.YieldTermStructureHandle(ql.FlatForward(today, 0.0, count)),
        ql.YieldTermStructureHandle(ql.FlatForward(today, RATE, count)),
        ql.BlackVolTermStructureHandle(ql.BlackConstantVol(today, ql.NullCalendar(), 0.2, count)),
    )
    exercise = ql.EuropeanExercise(today + DAYS)
    kinds = [ql.Option.Call if call else ql.Option.Put for call in chain.is_call]
    options = [
        ql.VanillaOption(ql.PlainVanillaPayoff(kind, strike), exercise)
        for kind, strike in zip(kinds, chain.strike.tolist(), strict=True)
    ]
    targets = list(zip(options, chain.premium.tolist(), strict=True))

    def solve() -> list[float]:
        return [option.impliedVolatility(price, process) for option, price in targets]

    return solve


def _check(priced: Priced, theirs: list[float]) -> None:
    """Both solve every leg, and the same problem."""
    if priced.reason.any():
        raise RuntimeError("a leg of the benchmark's chain has no volatility")
    if not np.allclose(priced.iv, theirs, rtol=0.0, atol=5e-4):
        raise RuntimeError("the contestants disagree by more than QuantLib's accuracy")


def _seconds(call: Callable[[], object], times: int) -> float:
    started = time.thread_time()
    for _ in range(times):
        call()
    return (time.thread_time() - started) / times


def _show(results: list[Contest]) -> None:
    table = Table(title=f"IV and Greeks of a chain, {_machine()}")
    for heading in ("legs", "optionstream", f"QuantLib {ql.__version__}", "ratio", "target", ""):
        table.add_column(heading, justify="right")
    for one in results:
        row = [str(one.legs), f"{one.ours:,.0f} µs", f"{one.bare:,.0f} µs", f"{one.ratio:.3f}"]
        if one.target is not None:
            row += [f"at most {one.target:g}", "held" if one.held else "MISSED"]
        table.add_row(*row)
    console = Console(width=110)
    console.print(table)
    for one in results:
        share = CHAINS_PER_S * one.ours / 1e6
        console.print(f"{CHAINS_PER_S} chains/s of {one.legs} legs: {share:.1%} of a core")


def _machine() -> str:
    return f"{os.cpu_count()} cores, Python {platform.python_version()}, NumPy {np.__version__}"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.pricing", description=__doc__)
    parser.add_argument("--rounds", type=int, default=50, help="medians over so many rounds")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
