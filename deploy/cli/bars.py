"""``bars``: open, high, low, close of tick and candle files, offline, by the stream's own core."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from itertools import groupby
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

if TYPE_CHECKING:
    from optionstream.producers.feeds import FeedHints
    from optionstream.schemas.events import CandleFrame, Heartbeat, TickFrame
    from optionstream.streams.core.ticks.offline import Offline

    Event = TickFrame | CandleFrame | Heartbeat

FIELDS = ("product", "interval", "start", "open", "high", "low", "close", "volume", "ticks")
"""Fields of ``bars --json``."""
_COLUMNS = ("date", "start", "open", "high", "low", "close", "volume", "ticks")


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
    """Compute bars from tick and candle files.

    Needs no server. The files of one product are one stream, in the order of the input. Only
    ticks and candles inside a trading session count; a candle counts in bars whose length is a
    multiple of its own. The last bar ends with the session; 1d is the whole session.

    Prices are rupees. Volume is what traded within the bar. Ticks counts ticks, or candles.

    \b
    Examples:
      optionstream bars ticks.csv.gz --product NIFTY --interval 5m
      optionstream bars minutes.csv --product NIFTY --interval 60m
      optionstream bars session.jsonl.zst --interval 15m --json
      optionstream bars ticks/ --interval 1m --json > bars.jsonl
    """
    failures = output.Failures()
    hints = files.feed_hints(product)
    chosen = parse_products(products)
    found = _compute(
        files.expand_paths(paths, failures), hints, interval, chosen, failures, as_json
    )
    if as_json:
        for row in found:
            output.print_json(row)
    else:
        print_bars(found)
    failures.finish()


def print_bars(rows: list[dict[str, Any]]) -> None:
    """Print a table for each product and interval; ``rows`` have FIELDS and are grouped so."""
    for (product, interval), group in groupby(rows, lambda row: (row["product"], row["interval"])):
        shown = [row | {"date": row["start"][:10], "start": row["start"][11:16]} for row in group]
        output.print_table(f"{product}, {interval} bars", _COLUMNS, shown, shared=("date",))


def _compute(
    paths: list[Path],
    hints: FeedHints,
    interval: BarInterval,
    products: frozenset[str] | None,
    failures: output.Failures,
    as_json: bool,
) -> list[dict[str, Any]]:
    """Return the fields of ``bars --json``: by product as they came, then by start."""
    from optionstream.schemas.times import rfc3339
    from optionstream.streams.core.market.calendar import nse_calendar
    from optionstream.streams.core.ticks.offline import bars_from_events

    order: dict[str, int] = {}

    def chosen_events() -> Iterator[Event]:
        for event in _read_frames(paths, hints, failures, as_json):
            if products is None or event.product in products:
                order.setdefault(event.product, len(order))
                yield event

    found = bars_from_events(chosen_events(), nse_calendar(), interval.value)
    _note_skipped(found, interval)
    return [
        {name: getattr(bar, name) for name in FIELDS} | {"start": rfc3339(bar.start)}
        for bar in sorted(found.bars, key=lambda bar: order[bar.product])
    ]


def _note_skipped(found: Offline, interval: BarInterval) -> None:
    """Report what is in no bar, by product and reason."""
    for product, fate in found.counts.items():
        skipped = {
            **{f"ticks or candles outside the session ({p})": n for p, n in fate.outside.items()},
            "duplicates": fate.duplicates,
            "held back as the only one of its session": fate.held,
            **{f"rejected ({reason})": count for reason, count in fate.rejects.items()},
            f"candles that do not fit into {interval} bars": found.unfit[product],
        }
        reasons = [f"{count:,} {reason}" for reason, count in skipped.items() if count]
        if reasons:
            output.note(f"note: {product}: skipped {', '.join(reasons)}")


def _read_frames(
    paths: list[Path], hints: FeedHints, failures: output.Failures, as_json: bool
) -> Iterator[Event]:
    """Yield ticks, candles and heartbeats; report a file without ticks and candles."""
    from optionstream.schemas.events import CandleFrame, Heartbeat, TickFrame

    for path in files.each_file(paths, as_json):
        found = False
        for event in files.read_events(path, hints, failures):
            if isinstance(event, TickFrame | CandleFrame | Heartbeat):
                found = found or not isinstance(event, Heartbeat)
                yield event
        failures.require(found, path, "holds no ticks and no candles")
