"""``bars``: open, high, low, close of tick files, offline, with the core that the stream uses."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from optionstream.deploy.cli import files, output
from optionstream.deploy.cli.options import (
    BarInterval,
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
    from optionstream.schemas.events import Heartbeat, TickFrame
    from optionstream.streams.core.ticks import Counts

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


def bars(
    paths: PathsArgument,
    interval: Annotated[BarInterval, typer.Option(help="Length of a bar.")] = BarInterval.ONE,
    product: ProductOption = None,
    products: ProductsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Bars of tick files.

    Computed here, without any server. The files of one product are one stream, in the order of
    the input. Only ticks inside a trading session enter a bar. Prices are rupees; volume is
    what traded within the bar.

    \b
    Examples:
      optionstream bars ticks.csv.gz --product NIFTY --interval 5m
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
    from optionstream.streams.core.calendar import nse_calendar
    from optionstream.streams.core.offline import bars_from_events

    chosen = parse_products(products)
    order: dict[str, int] = {}
    with output.progress(as_json) as progress:
        events = _chosen(_ticks(paths, given, failures, progress), chosen, order)
        counts: dict[str, Counts] = {}
        found = list(bars_from_events(events, nse_calendar(), interval.value, counts=counts))
    _tell_left_out(counts)
    found.sort(key=lambda bar: order[bar.product])  # within a product they are in order of time
    return [bar_row(bar) for bar in found]


def _tell_left_out(counts: dict[str, Counts]) -> None:
    """Ticks that entered no bar, by product and reason."""
    for product, fate in counts.items():
        left_out = {
            "outside_session": fate.outside_session,
            "duplicate": fate.duplicates,
            "held, the only one of its session": fate.held,
            **fate.rejects,
        }
        told = [f"{count:,} {reason}" for reason, count in left_out.items() if count]
        if told:
            output.note(f"note: {product}: ticks in no bar: {', '.join(told)}")


def _chosen(
    events: Iterator[TickFrame | Heartbeat],
    products: frozenset[str] | None,
    order: dict[str, int],
) -> Iterator[TickFrame | Heartbeat]:
    """The events of the products asked for; ``order`` learns in which order products come."""
    for event in events:
        if products is None or event.product in products:
            order.setdefault(event.product, len(order))
            yield event


def _ticks(
    paths: list[Path], given: FeedHints, failures: output.Failures, progress: Progress
) -> Iterator[TickFrame | Heartbeat]:
    from optionstream.schemas.events import Heartbeat, TickFrame

    task = progress.add_task("reading", total=len(paths), detail="")
    for path in paths:
        progress.update(task, detail=path.name)
        found = False
        for event in files.read_events(path, given, failures):
            if isinstance(event, TickFrame):
                found = True
                yield event
            elif isinstance(event, Heartbeat):
                yield event
        if not found and not failures.has(path):
            failures.add(InputError(str(path), "holds no ticks"))
        progress.advance(task)
