"""``groups``: the progress of each consumer group; ``groups reset``: set where it continues."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from optionstream.deploy.cli import context, output
from optionstream.deploy.cli.options import (
    DryRunOption,
    JsonOption,
    NamespaceOption,
    parse_instant,
)
from optionstream.schemas.errors import UsageError
from optionstream.schemas.topics import LIVE, WORK_TOPICS

if TYPE_CHECKING:
    from optionstream.deploy.groups.reset import Target

_COLUMNS = ("group", "topic", "partition", "committed", "end", "lag", "rate", "member")
_RESET_COLUMNS = ("group", "topic", "partition", "before", "to", "end")


def show(
    ctx: typer.Context,
    namespace: NamespaceOption = LIVE,
    watch: Annotated[bool, typer.Option("--watch", help="Repeat until Ctrl-C.")] = False,
    over: Annotated[
        float,
        typer.Option(
            "--over", metavar="SECONDS", min=0.1, help="Time over which rate is measured."
        ),
    ] = 1.0,
    as_json: JsonOption = False,
) -> None:
    """Show the progress of each consumer group by partition.

    Committed is the next record that the group reads; for analytics it is the position of its
    state, where it continues whatever was committed. Rate is in records a second.

    \b
    Examples:
      optionstream groups
      optionstream groups --namespace october --json | jq 'select(.lag > 0)'
      optionstream groups --watch --over 5
    """
    if ctx.invoked_subcommand is not None:
        return
    from optionstream.deploy.groups.rows import GroupProgress

    servers, name = context.open_namespace(namespace, WORK_TOPICS, context.KAFKA)
    progress = GroupProgress(servers.kafka, name)
    try:
        progress.look()
        while True:
            time.sleep(over)
            _print_progress(progress.look(), as_json)
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
            help="New position. TIME is the time of receipt: 2026-01-06T14:00 (IST), or with "
            "another offset.",
        ),
    ],
    topic: Annotated[
        str | None, typer.Option(metavar="TOPIC", help="Only this topic: market.underlying, ….")
    ] = None,
    partition: Annotated[int | None, typer.Option(min=0, help="Only this partition.")] = None,
    forget_former: Annotated[
        bool,
        typer.Option(
            "--forget-former",
            help="history: also discard ticks of a topic that was since deleted and recreated.",
        ),
    ] = False,
    dry_run: DryRunOption = False,
    namespace: NamespaceOption = LIVE,
    as_json: JsonOption = False,
) -> None:
    """Set the position where a group continues.

    The group must have no members: stop its workers first. The new position takes effect when a
    worker starts. What the group made of the records follows:

    \b
    analytics  starts there with an empty state
    history    stores the ticks from there on again; each still counts once
    latest     forgets the values from there on and reads them again

    \b
    Examples:
      optionstream groups reset analytics --to earliest --dry-run
      optionstream groups reset analytics --to 2026-01-06T14:00
      optionstream groups reset history --to 1200 --topic analytics.ohlc
    """
    from optionstream.deploy.groups.reset import HISTORY, GroupReset, consequences

    target = parse_target(to)
    if forget_former and group != HISTORY:
        raise UsageError(
            "--forget-former is for history: other groups keep nothing of a former topic"
        )
    servers, name = context.open_namespace(namespace, WORK_TOPICS, context.KAFKA)
    resets = GroupReset(servers, name, context.settings())
    plan = resets.plan(group, target, topic, partition)
    if not dry_run:
        resets.apply(plan, output.note, forget_former=forget_former)
    rows = [asdict(row) for row in plan.rows if as_json or row.end]
    output.print_rows("", _RESET_COLUMNS, rows, as_json)
    for line in consequences(plan, target):
        output.note(line)
    if not dry_run:
        output.note(f"{group} continues there at its next start")
    elif resets.is_at_work(group):
        output.note(f"nothing was changed; stop the workers of {group} before a reset")
    else:
        output.note("nothing was changed")


def parse_target(text: str) -> Target:
    """Return the position that ``--to`` names."""
    from optionstream.deploy.groups.reset import EARLIEST, LATEST, Target

    if text in (EARLIEST, LATEST):
        return Target(end=text)
    if text.isdigit():
        return Target(offset=int(text))
    allowed = "earliest, latest, a time such as 2026-01-06T14:00, or an offset"
    time_ms = parse_instant("--to", text, allowed)
    if time_ms < 0:
        raise UsageError(f"--to {text}: use a time after 1970")
    return Target(time_ms=time_ms)


def _print_progress(rows: Sequence[Any], as_json: bool) -> None:
    """Print the rows; the table leaves out partitions that never held a record."""
    shown = [asdict(row) for row in rows if as_json or row.end]
    output.print_rows("", _COLUMNS, shown, as_json)
    if len(shown) < len(rows):
        output.note(f"{len(rows) - len(shown)} partitions without records are not shown")
