"""What the parts of the benchmark tell: one line a target, and what belongs to it."""

from __future__ import annotations

import os
import platform
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any

import psutil
from rich.table import Table

from tests.bench.peers.throughput import Rates

_LESS_IS_BETTER = ("bytes", "bytes/byte", "cores", "µs", "ns/tick", "ms", "s", "records")
_FRACTIONS = ("bytes/byte", "cores", "ms", "s", "of 1")


@dataclass(frozen=True, slots=True)
class Result:
    """One target: ours against what is beside it, medians over the rounds."""

    name: str
    unit: str
    ours: float
    beside: float
    target: float
    held: bool

    @property
    def ratio(self) -> float:
        return self.ours / self.beside


def at_most(name: str, unit: str, ours: float, beside: float, target: float = 1.0) -> Result:
    """A result that is held when ours is no more than ``target`` times what is beside it."""
    return Result(name, unit, ours, beside, target, ours <= target * beside)


def ratio(
    name: str, ours: list[float], beside: list[float], target: float, unit: str = "ticks/s"
) -> Result:
    """Medians of at least ``target`` times those beside."""
    mid, other = median(ours), median(beside)
    return Result(name, unit, mid, other, target, mid >= target * other)


@dataclass(slots=True)
class Report:
    """What the parts that ran have told; ``details`` by the name of the part, as JSON has it."""

    results: list[Result]
    rates: Rates | None = None
    details: dict[str, Any] = field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        """The whole report, for ``--json``."""
        rows = [asdict(result) | {"ratio": result.ratio} for result in self.results]
        told: dict[str, Any] = {"machine": machine(), "results": rows}
        if self.rates:
            told["rates"] = asdict(self.rates)
        return told | self.details


def table(results: list[Result]) -> Table:
    """The results for people."""
    shown = Table(title=f"optionstream beside others, {machine()}")
    for heading in ("", "optionstream", "beside (or limit)", "ratio", "target", ""):
        shown.add_column(heading, justify="left" if not heading else "right")
    for result in results:
        bound = "at most" if result.unit in _LESS_IS_BETTER else "at least"
        shown.add_row(
            result.name,
            _figure(result.ours, result.unit),
            _figure(result.beside, result.unit),
            f"{result.ratio:.2f}",
            f"{bound} {result.target:g}",
            "held" if result.held else "MISSED",
        )
    return shown


def machine() -> str:
    """Cores, memory and interpreter, as figures are quoted with."""
    memory = round(psutil.virtual_memory().total / 2**30)
    return f"{os.cpu_count()} cores, {memory} GiB, Python {platform.python_version()}"


def _figure(value: float, unit: str) -> str:
    return f"{value:.2f} {unit}" if unit in _FRACTIONS else f"{value:,.0f} {unit}"
