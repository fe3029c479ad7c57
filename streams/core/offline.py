"""The same rules without servers: for ``optionstream bars`` and ``optionstream inspect``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from optionstream.schemas.derived import Bar, ChainAnalytics, Interval
from optionstream.schemas.events import ChainSnapshot, Heartbeat, TickFrame
from optionstream.streams.core.calendar import Calendar, nse_calendar
from optionstream.streams.core.chains import analyse
from optionstream.streams.core.columns import columns_of
from optionstream.streams.core.ticks import Counts, ProductTicks, Rules

DEFAULT_LATENESS_MS = 2_000


def bars_from_events(
    events: Iterable[TickFrame | Heartbeat],
    calendar: Calendar,
    interval: Interval,
    lateness_ms: int = DEFAULT_LATENESS_MS,
    counts: dict[str, Counts] | None = None,
) -> Iterator[Bar]:
    """The bars of ``interval`` in the newest revision each, by product and start.

    Sessions that the events leave open are closed at the end: a file has no more ticks. What
    became of the ticks of each product, the refused ones by reason, goes into ``counts``.
    """
    rules = Rules(calendar, lateness_ms, None)
    products: dict[str, ProductTicks] = {}
    newest: dict[tuple[str, int], Bar] = {}
    for event in events:
        ticks = products.setdefault(event.product, ProductTicks(event.product, rules))
        if isinstance(event, Heartbeat):
            outcome = ticks.heartbeat(event.ts_event, event.ts_recv)
        else:
            outcome = ticks.apply(columns_of(event))
        for bar in outcome.bars:
            if bar.interval == interval:
                newest[bar.product, bar.start] = bar
    for ticks in products.values():
        if ticks.bars is not None:
            for bar in ticks.bars.close(ticks.known_at):
                if bar.interval == interval:
                    newest[bar.product, bar.start] = bar
    if counts is not None:
        counts.update({product: ticks.counts for product, ticks in products.items()})
    yield from (newest[key] for key in sorted(newest))


def analyse_chain(chain: ChainSnapshot, calendar: Calendar | None = None) -> ChainAnalytics:
    """The analytics of one snapshot, known at its receipt."""
    return analyse(chain, calendar or nse_calendar(), chain.ts_recv)
