"""``verify``: everything computed again from the raw input, and compared."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from optionstream.deploy.cli import context, output
from optionstream.deploy.cli.options import JsonOption
from optionstream.schemas.errors import NamespaceError
from optionstream.schemas.settings import Settings
from optionstream.schemas.topics import GROUPS, SIM, Namespace

if TYPE_CHECKING:
    from optionstream.deploy.stack import Addresses
    from optionstream.deploy.verify import Report

SHOWN = 20
"""Differences in the table; ``--json`` has them all."""


def verify(
    namespace: Annotated[str, typer.Argument(metavar="NAMESPACE", help="live, sim or a replay.")],
    as_json: JsonOption = False,
) -> None:
    """Compute everything again, and compare.

    From the raw input, another way: bars, gaps, chains, duplicates and rejects, in the output
    topics, in MongoDB and in Redis, both ways: what is missing, and what should not be there.
    Exit code 1 when anything differs.

    \b
    Examples:
      optionstream verify october
      optionstream verify live --json | jq .difference_totals
    """
    settings = context.settings()
    report = check(Namespace.parse(namespace), context.addresses(settings), settings, as_json)
    if as_json:
        output.json_line(report.to_dict())
    else:
        show(report)
    if not report.ok:
        raise typer.Exit(1)


def check(
    namespace: Namespace, addresses: Addresses, settings: Settings, as_json: bool = False
) -> Report:
    """The report on a namespace that exists."""
    from optionstream.deploy import topics_admin
    from optionstream.deploy.namespaces import unknown_namespace
    from optionstream.deploy.replay import counts_row
    from optionstream.deploy.verify import verify as recompute
    from optionstream.streams.analytics.counts import read_counts
    from optionstream.streams.core.market.calendar import always_open_calendar, nse_calendar

    admin = topics_admin.admin_client(addresses.kafka)
    known = topics_admin.namespaces_in(topics_admin.partition_counts(admin))
    if namespace.name not in known:
        raise NamespaceError(unknown_namespace(namespace.name, list(known)))
    _warn_of_lag(addresses.kafka, namespace)
    with output.progress(as_json) as bars:
        task = bars.add_task("verifying", total=None, detail="")
        return recompute(
            addresses.kafka,
            addresses.mongo,
            addresses.redis,
            namespace,
            settings,
            always_open_calendar() if namespace.name == SIM else nse_calendar(),
            counts_row(read_counts(addresses.kafka, namespace)),
            lambda what, done, total: bars.update(
                task, description=what, completed=done, total=total
            ),
        )


def _warn_of_lag(kafka: str, namespace: Namespace) -> None:
    """What a group has not read yet shows as missing."""
    from optionstream.deploy.groups import GroupOffsets, group_lag

    offsets = GroupOffsets(kafka, namespace)
    for group in GROUPS:
        left = sum(row.lag for row in group_lag(offsets, group))
        if left:
            output.note(f"note: {group} has {left} records yet to read; what it lacks may be those")


def show(report: Report) -> None:
    """Counts, checks, and the first differences."""
    counts = report.counts.to_dict()
    rows = [{"events": name, "count": value} for name, value in flat(counts)]
    output.table(f"input of namespace {report.namespace}", ("events", "count"), rows)
    checked = [{"compared": name, "count": count} for name, count in report.checked.items()]
    output.table("compared", ("compared", "count"), checked)
    if report.ok:
        output.say("no difference")
        return
    totals = [{"place": place, "count": n} for place, n in report.difference_totals.items() if n]
    output.table("differences", ("place", "count"), totals)
    listed = [difference.to_dict() for difference in report.differences[:SHOWN]]
    for row in listed:
        row |= {name: _short(row[name]) for name in ("expected", "actual")}
    columns = ("kind", "where", "id", "expected", "actual")
    output.table(f"the first {len(listed)}", columns, listed)


def flat(counts: dict[str, Any]) -> list[tuple[str, int]]:
    """Rejects by reason become rows of their own."""
    rows: list[tuple[str, int]] = []
    for name, value in counts.items():
        if isinstance(value, dict):
            rows += [(f"{name}: {reason}", count) for reason, count in value.items()]
        else:
            rows.append((name, value))
    return rows


def _short(value: Any) -> str | None:
    if value is None:
        return None
    text = str(value)
    return text if len(text) <= 60 else f"{text[:57]}…"
