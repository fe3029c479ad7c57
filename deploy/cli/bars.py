"""``bars``: open, high, low, close of tick and candle files, offline, by the stream's own core."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from optionstream.deploy.cli import files, output
from optionstream.deploy.cli.options import (
    JsonOption,
    PathsArgument,
    ProductOption,
    ProductsOption,
    parse_products,
)
from optionstream.schemas.errors import InputError

if TYPE_CHECKING:
    from rich.progress import Progress

    from optionstream.producers.feeds import FeedHints
    from optionstream.schemas.derived import Bar
    from optionstream.schemas.events import CandleFrame, Heartbeat, TickFrame
    from optionstream.streams.core.ticks.offline import Offline

    Event = TickFrame | CandleFrame | Heartbeat

_COLUMNS = (
    "product",
    "interval",
    "start",
    "open",
    "high",
    "low",
    "close",
    "volume",
    "ticks",
)


class BarInterval(StrEnum):
    """The intervals of schemas.derived, which is not loaded only to show the help."""

    ONE = "1m"
    THREE = "3m"
    FIVE = "5m"
    FIFTEEN = "15m"
    THIRTY = "30m"
    SIXTY = "60m"
    DAY = "1d"


def bars(
    paths: PathsArgument,
    interval: Annotated[BarInterval, typer.Option(help="Length of a bar.")] = BarInterval.ONE,
    product: ProductOption = None,
    products: ProductsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Bars of tick and candle files.

    Computed here, without any server. The files of one product are one stream, in the order of
    the input. Only what lies inside a trading session enters a bar; a candle only one whose length
    is a multiple of its own. The last bar ends with the session; 1d is all of it. Prices are
    rupees; volume is what traded within the bar; ticks counts ticks, or the candles rolled up.

    \b
    Examples:
      optionstream bars ticks.csv.gz --product NIFTY --interval 5m
      optionstream bars minutes.csv --product NIFTY --interval 60m
      optionstream bars session.jsonl.zst --interval 15m --json
      optionstream bars ticks/ --interval 1m --json > bars.jsonl
    """
    failures = output.Failures()
    given = files.hints(product, None, None)
    rows = _rows(files.expand(paths, failures), given, interval, products, failures, as_json)
    output.show("", _COLUMNS, rows, as_json)
    failures.finish()


def bar_row(bar: Bar) -> dict[str, Any]:
    """The fields of ``bars --json``."""
    from optionstream.schemas.times import rfc3339

    return {
        "product": bar.product,
        "interval": bar.interval,
        "start": rfc3339(bar.start),
        "open": bar.open,
        "high": bar.high,
        "low": bar.low,
        "close": bar.close,
        "volume": bar.volume,
        "ticks": bar.ticks,
    }


def _rows(
    paths: list[Path],
    given: FeedHints,
    interval: BarInterval,
    products: str | None,
    failures: output.Failures,
    as_json: bool,
) -> list[dict[str, Any]]:
    from optionstream.streams.core.market.calendar import nse_calendar
    from optionstream.streams.core.ticks.offline import bars_from_events

    chosen = parse_products(products)
    order: dict[str, int] = {}
    with output.progress(as_json) as progress:
        events = _chosen(_events(paths, given, failures, progress), chosen, order)
        found = bars_from_events(events, nse_calendar(), interval.value)
    _tell_left_out(found, interval)
    # Within a product they are in order of time.
    return [bar_row(bar) for bar in sorted(found.bars, key=lambda bar: order[bar.product])]


def _tell_left_out(found: Offline, interval: BarInterval) -> None:
    """What entered no bar, by product and reason."""
    for product, fate in found.counts.items():
        left_out = {
            **{f"outside the session ({phase})": n for phase, n in fate.outside.items()},
            "duplicate": fate.duplicates,
            "held, the only one of its session": fate.held,
            **fate.rejects,
            f"candles of which {interval} is no multiple": found.unfit[product],
        }
        told = [f"{count:,} {reason}" for reason, count in left_out.items() if count]
        if told:
            output.note(f"note: {product}: in no bar: {', '.join(told)}")


def _chosen(
    events: Iterator[Event], products: frozenset[str] | None, order: dict[str, int]
) -> Iterator[Event]:
    """The events of the products asked for; ``order`` learns in which order products come."""
    for event in events:
        if products is None or event.product in products:
            order.setdefault(event.product, len(order))
            yield event


def _events(
    paths: list[Path], given: FeedHints, failures: output.Failures, progress: Progress
) -> Iterator[Event]:
    from optionstream.schemas.events import CandleFrame, Heartbeat, TickFrame

    task = progress.add_task("reading", total=len(paths), detail="")
    for path in paths:
        progress.update(task, detail=path.name)
        found = False
        for event in files.read_events(path, given, failures):
            if isinstance(event, TickFrame | CandleFrame):
                found = True
                yield event
            elif isinstance(event, Heartbeat):
                yield event
        if not found and not failures.has(path):
            failures.add(InputError(str(path), "holds no ticks and no candles"))
        progress.advance(task)
