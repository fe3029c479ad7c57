"""Percentiles of what was measured, and their table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median

import numpy as np
from rich.table import Table

from tests.bench.latency_ticks import Times

BARE_KAFKA, BARE_REDIS = "bare Kafka", "bare Redis"
BAR, PUBSUB = "bar in Redis", "Pub/Sub"


@dataclass(frozen=True, slots=True)
class Late:
    """Percentiles of a latency, in milliseconds."""

    p50: float
    p99: float
    p999: float

    @classmethod
    def of(cls, times: Times) -> Late:
        return cls(*(float(one) for one in np.percentile(times, (50.0, 99.0, 99.9))))

    @classmethod
    def median_of(cls, many: Sequence[Late]) -> Late:
        return cls(*(median(getattr(one, name) for one in many) for name in cls.__slots__))


@dataclass(slots=True)
class Latencies:
    """Percentiles by what was measured; of the breakdown the milliseconds of each stage."""

    ticks_a_second: int
    late: dict[str, Late] = field(default_factory=dict)
    stages: dict[str, Late] = field(default_factory=dict)
    means: dict[str, float] = field(default_factory=dict)
    """From the workers' metrics: mean milliseconds of what happens inside them."""

    @property
    def ours(self) -> dict[str, Late]:
        """What has a target."""
        return {name: self.late[name] for name in (BAR, PUBSUB)}


def latency_table(found: Latencies) -> Table:
    """All percentiles, and where the milliseconds went."""
    shown = Table(title=f"ms from the scheduled send time, {found.ticks_a_second:,} ticks/s")
    for heading in ("", "p50", "p99", "p99.9"):
        shown.add_column(heading, justify="left" if not heading else "right")
    for part in (found.late, found.stages):
        for name, late in part.items():
            shown.add_row(name, f"{late.p50:.2f}", f"{late.p99:.2f}", f"{late.p999:.2f}")
        shown.add_section()
    for name, mean in found.means.items():
        shown.add_row(f"{name} (mean)", f"{mean:.2f}", "", "")
    return shown
