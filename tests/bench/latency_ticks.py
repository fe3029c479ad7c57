"""How a tick is found again in what comes out, and how late it was there. Pure.

Ticks of a product are numbered from 1 and every one is accepted. A tick
in ``market.underlying`` and a Pub/Sub message carry ``seq``. A bar of a minute carries ``start``
and ``ticks``: the ticks before its window are known from the event times, so that the bar holds all
ticks up to ``before(start) + ticks``. Several ticks may go into one update; each is there with the
first value that reaches its number.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

import msgspec
import numpy as np
from numpy.typing import NDArray

from optionstream.schemas.topics import UNDERLYING
from tests.bench.inputs import FIRST_DAY, PRODUCTS, SESSION_MS, session_ticks
from tests.bench.latency_read import Seen
from tests.bench.live import Sent

INTERVAL = "1m"
"""The shortest bar: what a live chart draws."""

Times = NDArray[np.float64]
Reached = list[tuple[int, float]]
"""Up to which number a product's ticks were there, and when."""


@dataclass(slots=True)
class Schedule:
    """When each tick of a product was to be sent and when it was; tick 1 at index 0."""

    due: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    sent: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))

    def note(self, record: Sent, due: float, sent: float) -> None:
        if record.base == UNDERLYING:
            self.due[record.product].append(due)
            self.sent[record.product].append(sent)

    def due_since(self, since: float) -> Times:
        """The due times of the ticks due at ``since`` or later, product by product."""
        due = np.concatenate([np.asarray(times) for times in self.due.values()])
        later: Times = due[due >= since]
        return later

    def lateness_ms(self, since: float) -> Times:
        """How late the sender itself was, tick by tick in the same order."""
        due = np.concatenate([np.asarray(times) for times in self.due.values()])
        sent = np.concatenate([np.asarray(times) for times in self.sent.values()])
        late: Times = (sent - due)[due >= since] * 1_000
        return late


def ticks_before(start_ms: int, ticks_a_second: int) -> int:
    """Ticks of one product before an instant, in a session sent at its own pace."""
    each = session_ticks(ticks_a_second) // len(PRODUCTS)
    return -(-(start_ms - FIRST_DAY.open_ms) * each // SESSION_MS)


def arrivals(due: Sequence[float], reached: Reached, since: float) -> Times:
    """When each tick that was due at ``since`` or later was there; seconds, NaN for never."""
    first = int(np.searchsorted(np.asarray(due), since))
    numbers = np.arange(first + 1, len(due) + 1)
    highest = np.maximum.accumulate([number for number, _ in reached] or [0])
    times = np.asarray([at for _, at in reached] + [np.nan])
    found: Times = times[np.minimum(np.searchsorted(highest, numbers), len(reached))]
    return found


def latencies_ms(schedule: Schedule, reached: dict[str, Reached], since: float) -> Times:
    """Milliseconds from due to there, of every tick due at ``since`` or later. Raises RuntimeError
    when one never came."""
    parts = []
    for product, due in schedule.due.items():
        found = arrivals(due, reached.get(product, []), since)
        parts.append((found - np.asarray(due)[len(due) - len(found) :]) * 1_000)
    late: Times = np.concatenate(parts)
    if np.isnan(late).any():
        raise RuntimeError(f"{int(np.isnan(late).sum())} of {len(late)} ticks never came")
    return late


class _Tick(msgspec.Struct):
    product: str
    seq: int


class _Bar(msgspec.Struct):
    product: str
    interval: str
    start: int | datetime
    ticks: int


def ticks_reached(seen: Seen) -> dict[str, Reached]:
    """From ticks, in Kafka or from Pub/Sub."""
    reached: dict[str, Reached] = defaultdict(list)
    for _, value, at in seen:
        tick = msgspec.json.decode(value, type=_Tick)
        reached[tick.product].append((tick.seq, at))
    return reached


def bars_reached(seen: Seen, ticks_a_second: int) -> dict[str, Reached]:
    """From bars, in Kafka or in Redis."""
    reached: dict[str, Reached] = defaultdict(list)
    for _, value, at in seen:
        bar = msgspec.json.decode(value, type=_Bar)
        if bar.interval == INTERVAL:
            start = bar.start
            start_ms = start if isinstance(start, int) else round(start.timestamp() * 1_000)
            number = ticks_before(start_ms, ticks_a_second) + bar.ticks
            reached[bar.product].append((number, at))
    return reached
