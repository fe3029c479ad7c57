"""``verify``: everything computed again from the raw input, and compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from optionstream.deploy.cli import context, output
from optionstream.deploy.cli.options import JsonOption
from optionstream.schemas.errors import NamespaceError
from optionstream.schemas.settings import Settings
from optionstream.schemas.topics import GROUPS, Namespace

if TYPE_CHECKING:
    from optionstream.deploy.stack import Addresses
    from optionstream.streams.verify import Comparison, Difference, Report

SHOWN = 20
"""Differences in the table; ``--json`` has them all."""


def verify(
    namespace: Annotated[str, typer.Argument(metavar="NAMESPACE", help="live, sim or a replay.")],
    against: Annotated[
        str | None,
        typer.Option(
            metavar="OTHER", help="Compare with the results of another namespace instead."
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Compute everything again, and compare.

    From the raw input, another way: bars, gaps, chains, duplicates and rejects, in the output
    topics, in MongoDB and in Redis, both ways: what is missing, and what should not be there.
    With --against nothing is computed: what two namespaces hold is compared, but for what a run
    adds (partition, offset, index in a frame, known_at). Exit code 1 when anything differs.

    \b
    Examples:
      optionstream verify october
      optionstream verify live --json | jq .difference_totals
      optionstream verify october --against october-again
    """
    settings = context.settings()
    if against is not None:
        _side_by_side(namespace, against, settings, as_json)
        return
    report = check(Namespace.parse(namespace), context.addresses(settings), settings, as_json)
    if as_json:
        output.print_json(report.to_dict())
    else:
        show(report)
    if not report.ok:
        raise typer.Exit(1)


def check(
    namespace: Namespace, addresses: Addresses, settings: Settings, as_json: bool = False
) -> Report:
    """The report on a namespace that exists."""
    from optionstream.deploy.replays.progress import counts_row
    from optionstream.streams.analytics.counts import read_counts
    from optionstream.streams.core.market.calendar import calendar_for
    from optionstream.streams.verify import verify as recompute

    _check_exists(addresses.kafka, namespace)
    _warn_of_lag(addresses.kafka, namespace)
    with output.progress(as_json) as bars:
        task = bars.add_task("verifying", total=None, detail="")
        return recompute(
            addresses.kafka,
            addresses.mongo,
            addresses.redis,
            namespace,
            settings,
            calendar_for(namespace),
            counts_row(read_counts(addresses.kafka, namespace)),
            lambda what, done, total: bars.update(
                task, description=what, completed=done, total=total
            ),
        )


def compare(
    namespace: Namespace, other: Namespace, addresses: Addresses, as_json: bool = False
) -> Comparison:
    """What two namespaces do not have in common. Raises NamespaceError for one nobody made."""
    from optionstream.deploy.replays.progress import counts_row
    from optionstream.streams.analytics.counts import read_counts
    from optionstream.streams.verify import compare_namespaces

    for one in (namespace, other):
        _check_exists(addresses.kafka, one)
        _warn_of_lag(addresses.kafka, one)
    with output.progress(as_json) as bars:
        task = bars.add_task("comparing", total=None, detail="")
        return compare_namespaces(
            addresses.kafka,
            addresses.mongo,
            addresses.redis,
            (namespace, other),
            lambda one: counts_row(read_counts(addresses.kafka, one)),
            lambda what: bars.update(task, description=f"comparing {what}"),
        )


def _side_by_side(name: str, against: str, settings: Settings, as_json: bool) -> None:
    one, other = Namespace.parse(name), Namespace.parse(against)
    if one == other:
        raise NamespaceError(f"--against {against}: name another namespace")
    found = compare(one, other, context.addresses(settings), as_json)
    if as_json:
        output.print_json(found.to_dict())
    else:
        show_comparison(found)
    if not found.ok:
        raise typer.Exit(1)


def show_comparison(found: Comparison) -> None:
    """What was compared, and the first differences."""
    compared = [{"compared": name, "count": count} for name, count in found.compared.items()]
    output.print_table(
        f"{found.namespace} against {found.against}", ("compared", "count"), compared
    )
    if found.ok:
        output.print_line("no difference")
        return
    _totals(found.difference_totals)
    _listed(found.differences, (found.against, found.namespace))


def _check_exists(kafka: str, namespace: Namespace) -> None:
    from optionstream.deploy.namespaces.catalogue import unknown_namespace
    from optionstream.deploy.namespaces.topics import namespaces_in
    from optionstream.streams.kafka.admin import admin_client, partition_counts

    admin = admin_client(kafka)
    known = namespaces_in(partition_counts(admin))
    if namespace.name not in known:
        raise NamespaceError(unknown_namespace(namespace.name, list(known)))


def _warn_of_lag(kafka: str, namespace: Namespace) -> None:
    """What a group has not read yet shows as missing."""
    from optionstream.deploy.groups.lag import GroupOffsets, group_lag

    offsets = GroupOffsets(kafka, namespace)
    for group in GROUPS:
        left = sum(row.lag for row in group_lag(offsets, group))
        if left:
            output.note(f"note: {group} has {left} records yet to read; what it lacks may be those")


def show(report: Report) -> None:
    """Counts, checks, and the first differences."""
    counts = report.counts.to_dict()
    rows = [{"events": name, "count": value} for name, value in flat(counts)]
    output.print_table(f"input of namespace {report.namespace}", ("events", "count"), rows)
    checked = [{"compared": name, "count": count} for name, count in report.checked.items()]
    output.print_table("compared", ("compared", "count"), checked)
    if report.ok:
        output.print_line("no difference")
        return
    _totals(report.difference_totals)
    _listed(report.differences, ("expected", "actual"))


def _totals(totals: Mapping[str, int]) -> None:
    rows = [{"place": place, "count": n} for place, n in totals.items() if n]
    output.print_table("differences", ("place", "count"), rows)


def _listed(differences: Sequence[Difference], names: tuple[str, str]) -> None:
    """The first of them; ``names`` head what was expected and what there is."""
    listed: list[dict[str, Any]] = [
        {"kind": one.kind, "where": one.where, "id": one.id}
        | {names[0]: _short(one.expected), names[1]: _short(one.actual)}
        for one in differences[:SHOWN]
    ]
    output.print_table(f"the first {len(listed)}", ("kind", "where", "id", *names), listed)


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
