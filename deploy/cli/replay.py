"""``replay run``: publish files, or records of a namespace, into a namespace of their own."""

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
        str | None,
        typer.Option(metavar="NAME", help="Namespace to replay into; default: a new one."),
    ] = None,
    speed: SpeedOption = "max",
    paused: Annotated[
        bool, typer.Option("--paused", help="Start paused: for `replay step` and `replay seek`.")
    ] = False,
    from_topics: Annotated[
        str | None,
        typer.Option(metavar="NAMESPACE", help="Replay the records of a namespace, not files."),
    ] = None,
    from_raw: Annotated[
        str | None,
        typer.Option(
            metavar="NAMESPACE|FOLDER",
            help="Parse again what was received: raw topics, or an audit archive.",
        ),
    ] = None,
    raw: Annotated[
        bool, typer.Option("--raw", help="Also publish the bytes of the files, for --from-raw.")
    ] = False,
    start: Annotated[
        str | None, typer.Option(metavar="TIME", help="Not files: the first event time.")
    ] = None,
    end: Annotated[
        str | None, typer.Option(metavar="TIME", help="Not files: the event time to end before.")
    ] = None,
    offsets: Annotated[
        list[str] | None,
        typer.Option(
            metavar="TOPIC:PARTITION:FIRST-END",
            help="With --from-topics: only these offsets; repeatable.",
        ),
    ] = None,
    products: ProductsOption = None,
    product: ProductOption = None,
    expiry_date: ExpiryDateOption = None,
    timestamp: TimestampOption = None,
    instruments: InstrumentsOption = None,
    keep_workers: Annotated[
        bool,
        typer.Option("--keep-workers", help="Keep the workers running; `down` stops them."),
    ] = False,
    frame: Annotated[
        int | None,
        typer.Option(
            min=1, metavar="N", help="Put at most N ticks, candles or quotes into a record."
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Replay files or a namespace into its own namespace.

    Publishes the input, starts missing workers, waits for all groups to catch up, then reports
    rates, counts and rejects by reason. A namespace that exists already gets the input added;
    events that it has already count as duplicates.

    At a speed other than max, or paused, the input is read once in advance: products are played
    side by side, the end is known, closed hours are skipped. Control it from another terminal
    (see `optionstream replay --help`).

    \b
    Examples:
      optionstream replay session.jsonl.zst
      optionstream replay captures/ --namespace october
      optionstream replay ticks/ --product NIFTY --speed 60
      optionstream replay session.jsonl.zst --frame 1    # one tick a record
      optionstream replay session.jsonl.zst --speed realtime
      optionstream replay --from-topics live --start 2026-01-06 --end 2026-01-07
      optionstream replay --from-topics october --offsets market.underlying:4:0-9
      optionstream replay captures/ --raw --namespace november
      optionstream replay --from-raw november --namespace again
      optionstream replay run list    # a file named like a command
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
    print_result(result, as_json)
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
        raise UsageError(f"--end {end} is not after --start {start}")
    return TopicRange(first, last, parse_places(offsets))


def _no_files(
    paths: list[str] | None, from_topics: str | None, from_raw: str | None, raw: bool
) -> None:
    """Refuse options for files together with another source. Raises UsageError."""
    if paths:
        raise UsageError(f"{paths[0]}: name files or --from-topics, not both")
    if from_topics is not None and from_raw is not None:
        raise UsageError("--from-raw: not together with --from-topics")
    if raw:
        raise UsageError("--raw: for files alone; --from-raw reads bytes that are kept already")


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
    """Return the namespace to read from. Raises NamespaceError for the one to write to."""
    read = Namespace.parse(origin)
    if read == name:
        raise NamespaceError(f"namespace {origin} cannot be replayed into itself")
    if read.name == SIM:
        output.note(
            "note: sim has no trading hours, but a replay has: events outside them are in no bar"
        )
    return read


def print_result(result: ReplayResult, as_json: bool) -> None:
    """Print the result of a replay: one JSON object, or small tables and a line of rates."""
    from optionstream.schemas.replays import State

    row = result.row()
    if as_json:
        output.print_json(row)
        return
    rejects: dict[str, int] = row.pop("rejects")
    stopped = ", stopped" if result.state is State.STOPPED else ""
    kinds = tuple(kind for kind in ("raw", "ticks", "candles", "quotes", "chains") if row[kind])
    output.print_table(
        f"replay into namespace {result.namespace}{stopped}",
        (*result.source, "records", *kinds, "heartbeats"),
        [row],
    )
    output.print_line(
        f"published in {row['publish_s']:,} s ({row['published_per_s']:,} events/s), "
        f"processed in {row['total_s']:,} s ({row['processed_per_s']:,} events/s)\n"
    )
    fates = ("read", "accepted", "outside_session", "duplicates", "held")
    output.print_table("events", (*fates, "rejected"), [row | {"rejected": sum(rejects.values())}])
    rows = [{"reason": reason, "events": count} for reason, count in rejects.items()]
    output.print_table("rejects by reason", ("reason", "events"), rows)
