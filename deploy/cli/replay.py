"""``replay``: files into a namespace of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from optionstream.deploy.cli import context, files, output
from optionstream.deploy.cli.options import (
    ExpiryDateOption,
    InstrumentsOption,
    JsonOption,
    PathsArgument,
    ProductOption,
    ProductsOption,
    SpeedOption,
    TimestampOption,
    parse_products,
    parse_speed,
)
from optionstream.schemas.errors import UsageError
from optionstream.schemas.replays import State

if TYPE_CHECKING:
    from optionstream.deploy.replay import ReplayResult


def replay(
    paths: PathsArgument,
    namespace: Annotated[
        str | None, typer.Option(metavar="NAME", help="Where to; default: a new name.")
    ] = None,
    speed: SpeedOption = "max",
    paused: Annotated[
        bool, typer.Option("--paused", help="Begin paused: for `replay step` and `replay seek`.")
    ] = False,
    products: ProductsOption = None,
    product: ProductOption = None,
    expiry_date: ExpiryDateOption = None,
    timestamp: TimestampOption = None,
    instruments: InstrumentsOption = None,
    keep_workers: Annotated[
        bool,
        typer.Option("--keep-workers", help="Leave the workers running (`down` stops them)."),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Replay files into a namespace of their own.

    Through Kafka and every worker: starts the workers that nobody runs, waits until every group
    has read everything, and tells rates, counts, duplicates and rejects by reason. Into a
    namespace that exists already the files are added; what is there already is counted as
    duplicates.

    At a speed other than max, or paused, the input is read once before, so that the files of
    different products go side by side and the end is known; closed hours are skipped. Another
    terminal can pause, step, seek and stop it (`optionstream replay --help`).

    \b
    Examples:
      optionstream replay session.jsonl.zst
      optionstream replay captures/ --namespace october
      optionstream replay ticks/ --product NIFTY --speed 60
      optionstream replay session.jsonl.zst --speed realtime
      optionstream replay run list    # a file that is named like a command
    """
    from optionstream.deploy import replay as replays
    from optionstream.deploy.cli.drawing import watching
    from optionstream.deploy.replay_sources import FileSource

    failures = output.Failures()
    pace = parse_speed(speed)
    chosen = parse_products(products)
    given = files.hints(product, expiry_date, timestamp, instruments)
    name = context.replay_namespace(replays.new_name() if namespace is None else namespace)
    found = files.expand(paths, failures)
    if not found:
        failures.finish()
        raise UsageError("no files to replay")
    settings = context.settings()
    source = FileSource(found, given, chosen)
    plan = replays.ReplayPlan(source, name, pace, paused, keep_workers)
    if namespace is None:
        output.note(f"replay {name.name}")
    with watching(failures, as_json) as observer:
        result = replays.replay(plan, context.addresses(settings), settings, observer)
    tell(result, as_json)
    failures.finish()


_RATES = ("published_per_s", "processed_per_s")


def tell(result: ReplayResult, as_json: bool) -> None:
    """The outcome: one JSON object, or two small tables."""
    row = result.row()
    if as_json:
        output.json_line(row)
        return
    rejects: dict[str, int] = row.pop("rejects")
    stopped = ", stopped" if result.state is State.STOPPED else ""
    kinds = tuple(kind for kind in ("ticks", "candles", "quotes", "chains") if row[kind])
    output.table(
        f"replay into namespace {result.namespace}{stopped}",
        (*result.source, "records", *kinds, "heartbeats", "publish_s", "total_s", *_RATES),
        [row],
    )
    fates = ("read", "accepted", "outside_session", "duplicates", "held")
    output.table("events", (*fates, "rejected"), [row | {"rejected": sum(rejects.values())}])
    if rejects:
        rows = [{"reason": reason, "events": count} for reason, count in rejects.items()]
        output.table("rejects by reason", ("reason", "events"), rows)
