"""``audit``: is an archive what was written; and the rule by which old files go."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from optionstream.deploy.cli import context, output
from optionstream.deploy.cli.options import JsonOption
from optionstream.schemas.errors import UsageError
from optionstream.schemas.topics import LIVE, Namespace

if TYPE_CHECKING:
    from optionstream.streams.sinks.audit.check import Verdict

NamespaceOption = Annotated[str, typer.Option(help="Whose archive.")]

SHOWN = 20
"""Problems in the table; ``--json`` has up to 1,000."""
_COLUMNS = (
    "namespace",
    "entries",
    "files",
    "records",
    "bytes",
    "first_at",
    "last_at",
    "not_in_topic",
)
_HASH = re.compile(r"^[0-9a-f]{64}$")


def verify(
    folder: Annotated[
        Path | None, typer.Argument(metavar="FOLDER", help="Default: that of the namespace.")
    ] = None,
    namespace: NamespaceOption = LIVE,
    head: Annotated[
        str | None,
        typer.Option(metavar="HASH", help="A head that this command printed earlier."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Look whether an archive is still what was written.

    Reads every file. Finds what was changed, removed, added or put in another order, and prints
    the head: one hash that stands for everything. Keep it elsewhere: only with --head can an
    archive that was written anew as a whole, or cut at its end, be told from the true one. An
    earlier head does; what was archived since may follow it.

    Exit code 1 when the archive is not what was written.

    \b
    Examples:
      optionstream audit verify
      optionstream audit verify /mnt/copy/live --head 5f0c…
      optionstream audit verify --json | jq -r .head
    """
    from optionstream.streams.sinks.audit.check import verify_archive

    if head is not None and not _HASH.match(head):
        raise UsageError(f"--head {head}: use the 64 hex digits that an earlier run printed")
    place = folder or context.settings().archive_folder(Namespace.parse(namespace).name)
    with output.progress(as_json) as bars:
        task = bars.add_task("verifying", total=None, detail="")
        verdict = verify_archive(
            place, head, lambda done, total: bars.update(task, completed=done, total=total)
        )
    if as_json:
        output.print_json(verdict.row())
    else:
        _show(verdict)
    if not verdict.ok:
        raise typer.Exit(1)


def prune(
    namespace: NamespaceOption = LIVE,
    older_than: Annotated[
        int | None,
        typer.Option(min=1, metavar="DAYS", help="Default: OPTIONSTREAM_AUDIT_RETENTION_DAYS."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tell.")] = False,
) -> None:
    """Delete the files that were archived longer ago than the rule says.

    The worker does so every day. An entry of the chain says what went, when, by which rule and by
    whom; the entries of the files stay, so the archive still verifies.

    \b
    Examples:
      optionstream audit prune --dry-run
      optionstream audit prune --older-than 3650
    """
    from optionstream.schemas.files.audit_manifest import MANIFEST
    from optionstream.streams.sinks.audit.archive import Archive
    from optionstream.streams.sinks.audit.check import no_archive
    from optionstream.streams.sinks.audit.sink import signature, told

    settings = context.settings()
    name = Namespace.parse(namespace).name
    folder = settings.archive_folder(name)
    if not (folder / MANIFEST).exists():
        raise no_archive(folder, f"no {MANIFEST}")
    archive = Archive(folder, name)
    archive.open(recover=False)
    days = settings.audit_retention_days if older_than is None else older_than
    pruned = archive.prune(days, signature("command"), dry_run)
    if pruned is None:
        output.print_line(f"nothing was archived more than {days} days ago")
    else:
        output.print_line(f"would have {told(pruned)}" if dry_run else told(pruned))


def _show(verdict: Verdict) -> None:
    row = verdict.row()
    output.print_table(str(verdict.folder), _COLUMNS, [row])
    output.print_table(
        "deleted by rule", ("at", "days", "files", "records", "by"), _pruned(verdict)
    )
    if verdict.unfinished:
        output.note("note: the manifest ends in an append that was cut off; a worker removes it")
    if verdict.not_in_topic:
        output.note(
            f"note: {verdict.not_in_topic} offsets are in no file: Kafka had no record there when "
            f"they were to be archived"
        )
    if not verdict.ok:
        counts = [{"kind": kind, "count": count} for kind, count in verdict.counts.items()]
        output.print_table("not what was written", ("kind", "count"), counts)
        shown = row["problems"][:SHOWN]
        output.print_table(f"the first {len(shown)}", ("kind", "where", "detail"), shown)
    elif verdict.after_head is not None:
        output.print_line(f"intact; {verdict.after_head} entries follow the head that was given")
    else:
        output.print_line("intact")
    output.print_line(f"head {verdict.head}")


def _pruned(verdict: Verdict) -> list[dict[str, Any]]:
    from optionstream.schemas.times import rfc3339

    return [
        {
            "at": rfc3339(entry.at),
            "days": entry.days,
            "files": entry.files,
            "records": entry.records,
            "by": entry.by,
        }
        for entry in verdict.pruned
    ]
