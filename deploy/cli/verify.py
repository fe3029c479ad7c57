"""``verify``: compute everything again from the raw input, and compare."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from optionstream.deploy.cli import context, output
from optionstream.deploy.cli.options import JsonOption
from optionstream.schemas.errors import NamespaceError
from optionstream.schemas.settings import Settings
from optionstream.schemas.topics import GROUPS, Namespace

if TYPE_CHECKING:
    from optionstream.deploy.stack import Addresses
    from optionstream.streams.verify import Comparison, Report

SHOWN = 20
"""Differences printed as text; ``--json`` has them all."""
_MOST_CHARACTERS = 300
"""Length at which an expected or actual value is cut off in the text."""


def verify(
    namespace: Annotated[str, typer.Argument(metavar="NAMESPACE", help="Namespace to verify.")],
    against: Annotated[
        str | None,
        typer.Option(metavar="OTHER", help="Compare with the results of this namespace instead."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Compute everything again from raw input, and compare.

    An independent implementation computes bars, gaps, chains, surfaces, duplicates and rejects.
    They are compared with the output topics, MongoDB and Redis, for missing and surplus results.

    With --against nothing is computed: the results of two namespaces are compared, apart from what
    each run adds (partition, offset, index in a frame, known_at).

    Exit code 1 when anything differs.

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
        print_report(report)
    if not report.ok:
        raise typer.Exit(1)


def check(
    namespace: Namespace, addresses: Addresses, settings: Settings, as_json: bool = False
) -> Report:
    """Return the report on a namespace. Raises NamespaceError if it does not exist."""
    from optionstream.deploy.replays.progress import counts_row
    from optionstream.streams.analytics.counts import read_counts
    from optionstream.streams.core.market.calendar import calendar_for
    from optionstream.streams.verify import verify as recompute

    context.require_namespace(addresses.kafka, namespace)
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
    """Return the differences of two namespaces. Raises NamespaceError if one does not exist."""
    from optionstream.deploy.replays.progress import counts_row
    from optionstream.streams.analytics.counts import read_counts
    from optionstream.streams.verify import compare_namespaces

    for one in (namespace, other):
        context.require_namespace(addresses.kafka, one)
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
        _print_comparison(found)
    if not found.ok:
        raise typer.Exit(1)


def _warn_of_lag(kafka: str, namespace: Namespace) -> None:
    """Warn of lag: results of records that a group has not read show as missing."""
    from optionstream.deploy.groups.lag import GroupOffsets, group_lag

    offsets = GroupOffsets(kafka, namespace)
    for group in GROUPS:
        left = sum(row.lag for row in group_lag(offsets, group))
        if left:
            output.note(f"note: {group} is {left} records behind; their results show as missing")


def print_report(report: Report) -> None:
    """Print counts, what was compared, and the first differences."""
    _print_counts(f"input of namespace {report.namespace}", flat(report.counts.to_dict()))
    _print_counts("compared", report.checked.items())
    _print_differences(report, ("expected", "actual"))


def _print_comparison(found: Comparison) -> None:
    _print_counts(f"{found.namespace} against {found.against}", found.compared.items())
    _print_differences(found, (found.against, found.namespace))


def _print_counts(title: str, counts: Iterable[tuple[str, int]]) -> None:
    rows = [{"what": name, "count": count} for name, count in counts]
    output.print_table(title, ("what", "count"), rows)


def _print_differences(found: Report | Comparison, names: tuple[str, str]) -> None:
    """Print the totals and the first differences; ``names`` label expected and actual values."""
    if found.ok:
        output.print_line("no difference")
        return
    _print_counts("differences", [(k, n) for k, n in found.difference_totals.items() if n])
    shown = found.differences[:SHOWN]
    output.print_line(f"the first {len(shown)}:")
    for one in shown:
        output.print_line(f"{one.kind}  {one.where}  {one.id}")
        for name, value in zip(names, (one.expected, one.actual), strict=True):
            output.print_line(f"    {name}: {_shortened(value)}")


def flat(counts: dict[str, Any]) -> list[tuple[str, int]]:
    """Return the counts with a row for each reason of rejects."""
    rows: list[tuple[str, int]] = []
    for name, value in counts.items():
        if isinstance(value, dict):
            rows += [(f"{name}: {reason}", count) for reason, count in value.items()]
        else:
            rows.append((name, value))
    return rows


def _shortened(value: object) -> str:
    text = output.plain_cell(value) if value is None else str(value)
    return text if len(text) <= _MOST_CHARACTERS else f"{text[:_MOST_CHARACTERS]}…"
