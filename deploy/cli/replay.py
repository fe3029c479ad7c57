"""``replay run``: files, or what a namespace has in Kafka, into a namespace of its own."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from optionstream.deploy.cli import context, files, output
from optionstream.deploy.cli.options import (
    ExpiryDateOption,
    InstrumentsOption,
    JsonOption,
    ProductOption,
    ProductsOption,
    SpeedOption,
    TimestampOption,
    parse_instant,
    parse_places,
    parse_products,
    parse_speed,
)
from optionstream.schemas.errors import NamespaceError, UsageError
from optionstream.schemas.settings import Settings
from optionstream.schemas.topics import SIM, Namespace

if TYPE_CHECKING:
    from optionstream.deploy.replays.progress import ReplayResult
    from optionstream.deploy.replays.sources.raw import RawSource
    from optionstream.deploy.replays.sources.topics import TopicRange, TopicSource
    from optionstream.producers.feeds import FeedHints


def replay(
    paths: Annotated[
        list[str] | None, typer.Argument(metavar="PATH", help="Files, folders or globs.")
    ] = None,
    namespace: Annotated[
        str | None, typer.Option(metavar="NAME", help="Where to; default: a new name.")
    ] = None,
    speed: SpeedOption = "max",
    paused: Annotated[
        bool, typer.Option("--paused", help="Begin paused: for `replay step` and `replay seek`.")
    ] = False,
    from_topics: Annotated[
        str | None,
        typer.Option(metavar="NAMESPACE", help="Replay the records of a namespace instead."),
    ] = None,
    from_raw: Annotated[
        str | None,
        typer.Option(
            metavar="NAMESPACE|FOLDER",
            help="Make the events anew from what was received: raw topics, or an audit archive.",
        ),
    ] = None,
    raw: Annotated[
        bool, typer.Option("--raw", help="Publish the files' bytes too, for --from-raw.")
    ] = False,
    start: Annotated[
        str | None, typer.Option(metavar="TIME", help="Of a namespace: the first event time.")
    ] = None,
    end: Annotated[
        str | None, typer.Option(metavar="TIME", help="Of a namespace: events before this time.")
    ] = None,
    offsets: Annotated[
        list[str] | None,
        typer.Option(
            metavar="TOPIC:PARTITION:FIRST-END", help="Of a namespace: only these; repeatable."
        ),
    ] = None,
    products: ProductsOption = None,
    product: ProductOption = None,
    expiry_date: ExpiryDateOption = None,
    timestamp: TimestampOption = None,
    instruments: InstrumentsOption = None,
    keep_workers: Annotated[
        bool,
        typer.Option("--keep-workers", help="Leave the workers running (`down` stops them)."),
    ] = False,
    frame: Annotated[
        int | None,
        typer.Option(
            min=1, metavar="N", help="At most so many ticks, candles or quotes in a record."
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Replay files, or what a namespace has, into a namespace of their own.

    Through Kafka and every worker: starts the workers that nobody runs, waits until every group
    has read everything, and tells rates, counts, duplicates and rejects by reason. Into a
    namespace that exists already the input is added; what is there already is counted as
    duplicates.

    At a speed other than max, or paused, the input is read once before, so that different
    products go side by side and the end is known; closed hours are skipped. Another terminal can
    pause, step, seek and stop it (`optionstream replay --help`).

    \b
    Examples:
      optionstream replay session.jsonl.zst
      optionstream replay captures/ --namespace october
      optionstream replay ticks/ --product NIFTY --speed 60
      optionstream replay session.jsonl.zst --frame 1    # as a feed that sends each tick alone
      optionstream replay session.jsonl.zst --speed realtime
      optionstream replay --from-topics live --start 2026-01-06 --end 2026-01-07
      optionstream replay --from-topics october --offsets market.underlying:4:0-500
      optionstream replay captures/ --raw --namespace november
      optionstream replay --from-raw november --namespace again
      optionstream replay run list    # a file that is named like a command
    """
    from optionstream.deploy.cli.drawing import watching
    from optionstream.deploy.replays import run as replays
    from optionstream.deploy.replays.sources.files import FileSource
    from optionstream.deploy.replays.sources.source import Source

    failures = output.Failures()
    pace = parse_speed(speed)
    chosen = parse_products(products)
    given = files.feed_hints(product, expiry_date, timestamp, instruments)
    span = _span(start, end, offsets)
    name = context.replay_namespace(replays.new_name() if namespace is None else namespace)
    settings = context.settings()
    source: Source
    if from_topics is None and from_raw is None:
        if start is not None or end is not None or offsets:
            raise UsageError("--start, --end and --offsets are for --from-topics and --from-raw")
        source = FileSource(_files(paths, failures), given, chosen, raw)
    else:
        _no_files(paths, from_topics, from_raw, raw)
        if from_raw is not None:
            source = _raw(from_raw, name, settings, span, given, chosen)
        else:
            source = _topics(from_topics or "", name, settings, span, given, chosen)
    plan = replays.ReplayPlan(source, name, pace, paused, keep_workers, frame)
    if namespace is None:
        output.note(f"replay {name.name}")
    with watching(failures, as_json) as observer:
        result = replays.replay(plan, context.addresses(settings), settings, observer)
    tell(result, as_json)
    failures.finish()


def _files(paths: list[str] | None, failures: output.Failures) -> list[Path]:
    if not paths:
        raise UsageError(
            "Missing argument 'PATH': name files, or --from-topics NAMESPACE "
            "(see `optionstream replay run --help`)"
        )
    found = files.expand_paths(paths, failures)
    if not found:
        failures.finish()
        raise UsageError("no files to replay")
    return found


def _span(start: str | None, end: str | None, offsets: list[str] | None) -> TopicRange:
    from optionstream.deploy.replays.sources.topics import TopicRange

    first = parse_instant("--start", start) if start is not None else None
    last = parse_instant("--end", end) if end is not None else None
    if first is not None and last is not None and first >= last:
        raise UsageError(f"--end {end}: lies not after --start {start}")
    return TopicRange(first, last, parse_places(offsets))


def _no_files(
    paths: list[str] | None, from_topics: str | None, from_raw: str | None, raw: bool
) -> None:
    """What is for files does not go with another source."""
    if paths:
        raise UsageError(f"{paths[0]}: name files or --from-topics, not both")
    if from_topics is not None and from_raw is not None:
        raise UsageError("--from-raw: not together with --from-topics")
    if raw:
        raise UsageError("--raw: for files alone; what --from-raw reads stays where it is")


def _topics(
    origin: str,
    name: Namespace,
    settings: Settings,
    span: TopicRange,
    given: FeedHints,
    products: frozenset[str] | None,
) -> TopicSource:
    from optionstream.deploy.replays.sources.topics import TopicSource

    if given.product or given.expiry or given.nearest_expiry or given.timestamp_ms is not None:
        raise UsageError("--product, --expiry-date and --timestamp are for files and --from-raw")
    read = _other(origin, name)
    kafka = context.addresses(settings).kafka
    return TopicSource(kafka, read, settings.partitions, span, products)


def _raw(
    origin: str,
    name: Namespace,
    settings: Settings,
    span: TopicRange,
    given: FeedHints,
    products: frozenset[str] | None,
) -> RawSource:
    from optionstream.deploy.replays.sources.raw import RawSource
    from optionstream.deploy.replays.sources.raw_records import (
        ArchiveRecords,
        RawRecords,
        TopicRecords,
    )

    if span.places is not None:
        raise UsageError("--offsets: for --from-topics; --from-raw takes --start and --end")
    records: RawRecords
    if os.sep in origin:
        records = ArchiveRecords(Path(origin))
    else:
        read = _other(origin, name)
        records = TopicRecords(context.addresses(settings).kafka, read, span.since_ms(read))
    return RawSource(records, given, files.nearest_expiry, products, span)


def _other(origin: str, name: Namespace) -> Namespace:
    """The namespace to read from, which is not the one to write to."""
    read = Namespace.parse(origin)
    if read == name:
        raise NamespaceError(f"namespace {origin} cannot be replayed into itself")
    if read.name == SIM:
        output.note("note: sim is always open, a replay has the exchange's sessions")
    return read


_RATES = ("published_per_s", "processed_per_s")


def tell(result: ReplayResult, as_json: bool) -> None:
    """The outcome: one JSON object, or two small tables."""
    row = result.row()
    if as_json:
        output.print_json(row)
        return
    rejects: dict[str, int] = row.pop("rejects")
    from optionstream.schemas.replays import State

    stopped = ", stopped" if result.state is State.STOPPED else ""
    kinds = tuple(kind for kind in ("raw", "ticks", "candles", "quotes", "chains") if row[kind])
    output.print_table(
        f"replay into namespace {result.namespace}{stopped}",
        (*result.source, "records", *kinds, "heartbeats", "publish_s", "total_s", *_RATES),
        [row],
    )
    fates = ("read", "accepted", "outside_session", "duplicates", "held")
    output.print_table("events", (*fates, "rejected"), [row | {"rejected": sum(rejects.values())}])
    if rejects:
        rows = [{"reason": reason, "events": count} for reason, count in rejects.items()]
        output.print_table("rejects by reason", ("reason", "events"), rows)
