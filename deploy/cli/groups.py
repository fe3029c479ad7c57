"""``groups``: how far each group is; ``groups reset``: where it goes on."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from optionstream.deploy.cli import context, output
from optionstream.deploy.cli.options import JsonOption
from optionstream.schemas.errors import NamespaceError, UsageError
from optionstream.schemas.times import IST, to_ms
from optionstream.schemas.topics import LIVE, WORK_TOPICS, Namespace

if TYPE_CHECKING:
    from optionstream.deploy.groups.reset import Target
    from optionstream.deploy.stack import Addresses

NamespaceOption = Annotated[str, typer.Option(help="Whose groups.")]

_COLUMNS = ("group", "topic", "partition", "committed", "end", "lag", "rate", "member")
_RESET_COLUMNS = ("group", "topic", "partition", "before", "to", "end")


def show(
    ctx: typer.Context,
    namespace: NamespaceOption = LIVE,
    watch: Annotated[bool, typer.Option("--watch", help="Again and again, until Ctrl-C.")] = False,
    over: Annotated[
        float, typer.Option("--over", metavar="SECONDS", min=0.1, help="The time of a rate.")
    ] = 1.0,
    as_json: JsonOption = False,
) -> None:
    """How far every group is, partition by partition.

    Committed is the next record that the group reads: of analytics the position of its state,
    from which it goes on whatever was committed. Rate is records a second between two looks.

    \b
    Examples:
      optionstream groups
      optionstream groups --namespace october --json | jq 'select(.lag > 0)'
      optionstream groups --watch --over 5
    """
    if ctx.invoked_subcommand is not None:
        return
    from optionstream.deploy.groups.rows import GroupProgress

    servers, name = _where(namespace)
    progress = GroupProgress(servers.kafka, name)
    try:
        progress.look()
        while True:
            time.sleep(over)
            _print(progress.look(), as_json)
            if not watch:
                return
    finally:
        progress.close()


def reset(
    group: Annotated[str, typer.Argument(metavar="GROUP", help="analytics, latest or history.")],
    to: Annotated[
        str,
        typer.Option(
            "--to",
            metavar="earliest|latest|TIME|OFFSET",
            help="TIME by receipt: 2026-01-06T14:00 (IST), or with another offset.",
        ),
    ],
    topic: Annotated[
        str | None, typer.Option(help="Only this topic, such as market.underlying.")
    ] = None,
    partition: Annotated[int | None, typer.Option(min=0, help="Only this partition.")] = None,
    forget_former: Annotated[
        bool,
        typer.Option(
            "--forget-former",
            help="history: ticks of a topic since deleted and made anew count no more either.",
        ),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Tell what would change, and change nothing.")
    ] = False,
    namespace: NamespaceOption = LIVE,
    as_json: JsonOption = False,
) -> None:
    """Set where a group goes on, and let what it made follow.

    Only while the group has no members. analytics begins with an empty state there; history
    stores the ticks from there on again, and each still counts once; latest forgets the values
    from there on and reads them again. The new position counts from the next start of a worker.

    \b
    Examples:
      optionstream groups reset analytics --to earliest --dry-run
      optionstream groups reset analytics --to 2026-01-06T14:00 --namespace october
      optionstream groups reset history --to 1200 --topic analytics.ohlc --partition 3
    """
    from optionstream.deploy.groups.reset import HISTORY, GroupReset, consequences

    target = parse_target(to)
    if forget_former and group != HISTORY:
        raise UsageError(
            "--forget-former is for history: the others keep nothing of a former topic"
        )
    servers, name = _where(namespace)
    resets = GroupReset(servers, name, context.settings())
    plan = resets.plan(group, target, topic, partition)
    if not dry_run:
        resets.apply(plan, output.note, forget_former=forget_former)
    rows = [asdict(row) for row in plan.rows if as_json or row.end]
    output.print_rows("", _RESET_COLUMNS, rows, as_json)
    for line in consequences(plan, target):
        output.note(line)
    if not dry_run:
        output.note(f"{group} goes on there at its next start")
    elif resets.is_at_work(group):
        output.note(f"nothing was changed; as long as {group} has members a reset is refused")
    else:
        output.note("nothing was changed")


def parse_target(text: str) -> Target:
    """What ``--to`` names."""
    from optionstream.deploy.groups.reset import EARLIEST, LATEST, Target

    if text in (EARLIEST, LATEST):
        return Target(end=text)
    if text.isdigit():
        return Target(offset=int(text))
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(
            f"--to {text}: use earliest, latest, a time such as 2026-01-06T14:00, or an offset"
        ) from None
    time_ms = to_ms(moment if moment.tzinfo else moment.replace(tzinfo=IST))
    if time_ms < 0:
        raise UsageError(f"--to {text}: use a time after 1970")
    return Target(time_ms=time_ms)


def _where(namespace: str) -> tuple[Addresses, Namespace]:
    """The servers, and a namespace that has topics."""
    from optionstream.deploy.namespaces.topics import namespaces_in
    from optionstream.streams.kafka.admin import admin_client, partition_counts

    name = Namespace.parse(namespace)
    servers = context.addresses(context.settings(), *context.kafka_only())
    existing = partition_counts(admin_client(servers.kafka))
    if not {name.topic(one) for one in WORK_TOPICS} <= existing.keys():
        known = ", ".join(namespaces_in(existing)) or "none"
        raise NamespaceError(f"namespace {name.name} has no topics (there are: {known})")
    return servers, name


def _print(rows: Sequence[Any], as_json: bool) -> None:
    """As JSON all rows; in the table those of partitions that ever held a record."""
    shown = [asdict(row) for row in rows if as_json or row.end]
    output.print_rows("", _COLUMNS, shown, as_json)
    if len(shown) < len(rows):
        output.note(f"{len(rows) - len(shown)} partitions without records are left out")
