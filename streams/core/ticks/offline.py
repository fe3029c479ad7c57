"""Bars and gaps of a file without servers: for ``optionstream bars``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from optionstream.schemas.derived import INTERVAL_MS, Bar, Gap, Interval
from optionstream.schemas.events import CandleFrame, Heartbeat, TickFrame
from optionstream.streams.core.counts import Counts
from optionstream.streams.core.market.calendar import Calendar
from optionstream.streams.core.rules import Rules
from optionstream.streams.core.ticks.columns import columns_of
from optionstream.streams.core.ticks.product import ProductTicks
from optionstream.streams.core.ticks.session_ticks import Outcome


@dataclass(slots=True)
class Offline:
    """Bars of one interval by product and start, gaps by product and start, each in
    its newest revision; by product what became of the ticks and candles, and how many of the
    accepted candles are of a length that no bar of the interval can hold."""

    bars: list[Bar] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)
    counts: dict[str, Counts] = field(default_factory=dict)
    unfit: Counter[str] = field(default_factory=Counter)


def bars_from_events(
    events: Iterable[TickFrame | CandleFrame | Heartbeat], calendar: Calendar, interval: Interval
) -> Offline:
    """Return the bars and gaps of events. Sessions that they leave open are closed at the end: a
    file has no more of them."""
    rules = Rules(calendar)
    products: dict[str, ProductTicks] = {}
    bars: dict[tuple[str, int], Bar] = {}
    gaps: dict[str, Gap] = {}
    unfit: Counter[str] = Counter()

    def keep_newest(outcome: Outcome) -> None:
        bars.update(
            ((bar.product, bar.start), bar) for bar in outcome.bars if bar.interval == interval
        )
        gaps.update((gap.name, gap) for gap in outcome.gaps)

    for event in events:
        ticks = products.get(event.product)
        if ticks is None:
            ticks = products[event.product] = ProductTicks(event.product, rules)
        before = ticks.counts.accepted
        keep_newest(_apply_event(ticks, event))
        if isinstance(event, CandleFrame) and not _fits(event, interval):
            unfit[event.product] += ticks.counts.accepted - before
    for ticks in products.values():
        keep_newest(ticks.close_session())
    return Offline(
        bars=[bars[key] for key in sorted(bars)],
        gaps=sorted(gaps.values(), key=lambda gap: (gap.product, gap.start, gap.name)),
        counts={product: ticks.counts for product, ticks in products.items()},
        unfit=unfit,
    )


def _fits(frame: CandleFrame, interval: Interval) -> bool:
    return interval == "1d" or INTERVAL_MS[interval] % frame.interval_ms == 0


def _apply_event(ticks: ProductTicks, event: TickFrame | CandleFrame | Heartbeat) -> Outcome:
    if isinstance(event, Heartbeat):
        return ticks.apply_heartbeat(event.ts_event, event.ts_recv)
    if isinstance(event, CandleFrame):
        return ticks.apply_candles(event)
    return ticks.apply_ticks(columns_of(event))
