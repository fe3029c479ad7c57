"""``audit``: verify an archive of the input; delete old files by the retention rule."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from optionstream.deploy.cli import context, output
from optionstream.deploy.cli.options import DryRunOption, JsonOption, NamespaceOption
from optionstream.schemas.errors import UsageError
from optionstream.schemas.topics import LIVE, Namespace

if TYPE_CHECKING:
    from optionstream.streams.sinks.audit.check import Verdict

SHOWN = 20
"""Problems printed as text; ``--json`` has up to 1,000."""
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
        Path | None,
        typer.Argument(metavar="FOLDER", help="Archive to verify; default: the namespace's."),
    ] = None,
    namespace: NamespaceOption = LIVE,
    head: Annotated[
        str | None,
        typer.Option(metavar="HASH", help="A head that an earlier run printed."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Verify that an archive is what was written.

    Reads every file and finds what was changed, removed, added or reordered. Prints the head: one
    hash of the whole archive. Keep it elsewhere: only --head detects an archive that was rewritten
    as a whole or cut at its end. An earlier head will do; newer entries may follow it.

    Exit code 1 when the archive differs from what was written.

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
        typer.Option(
            min=1,
            metavar="DAYS",
            help="Age to delete from; default: OPTIONSTREAM_AUDIT_RETENTION_DAYS.",
        ),
    ] = None,
    dry_run: DryRunOption = False,
) -> None:
    """Delete archived files older than the retention rule.

    The audit worker does so every day. An entry in the manifest records what was deleted, when, by
    which rule and by whom. The entries of the files stay, so the archive still verifies.

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
        output.note(
            "note: the manifest ends in an incomplete entry; the worker removes it when it starts"
        )
    if verdict.not_in_topic:
        output.note(
            f"note: {verdict.not_in_topic} offsets are in no file: Kafka had no record there"
        )
    if not verdict.ok:
        counts = [{"kind": kind, "count": count} for kind, count in verdict.counts.items()]
        output.print_table("not what was written", ("kind", "count"), counts)
        shown = row["problems"][:SHOWN]
        output.print_table(f"the first {len(shown)}", ("kind", "where", "detail"), shown)
    elif verdict.after_head is not None:
        output.print_line(f"intact; {verdict.after_head} entries follow the given head")
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
