"""What a part of the benchmark has to say."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median


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


def ratio(
    name: str, ours: list[float], beside: list[float], target: float, unit: str = "ticks/s"
) -> Result:
    """Medians of at least ``target`` times those beside."""
    mid, other = median(ours), median(beside)
    return Result(name, unit, mid, other, target, mid >= target * other)
