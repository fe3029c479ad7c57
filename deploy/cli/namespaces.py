"""``namespaces``: list them, drop some."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from optionstream.deploy.cli import context, output
from optionstream.deploy.cli.options import JsonOption

if TYPE_CHECKING:
    from optionstream.deploy.namespaces.catalogue import NamespaceInfo

_COLUMNS = ("name", "created_at", "state", "topics", "read", "accepted", "rejects")


def list_(as_json: JsonOption = False) -> None:
    """List all namespaces and what went into them.

    live and sim first, then the replays by creation. Read, accepted and rejects count events.

    \b
    Examples:
      optionstream namespaces list
      optionstream namespaces list --json | jq .name
    """
    from optionstream.deploy.namespaces.catalogue import list_namespaces

    rows = [_row(info) for info in list_namespaces(context.addresses(context.settings()))]
    if as_json:
        for row in rows:
            output.print_json(row)
        return
    shown = [row | row["counts"] | {"rejects": _reject_count(row)} for row in rows]
    output.print_table("namespaces", _COLUMNS, shown)
    sources = [{"name": row["name"], "sources": _short(row["sources"])} for row in rows]
    output.print_table("", ("name", "sources"), [row for row in sources if row["sources"]])


def drop(
    names: Annotated[list[str], typer.Argument(metavar="NAME", help="Replays to drop.")],
) -> None:
    """Delete replays and everything they left.

    Topics, groups, MongoDB database, Redis keys, audit archive, features, worker logs and registry
    entry. Workers on this machine are stopped first.

    live and sim are refused, and so is a replay that is running or has workers elsewhere.

    \b
    Example:
      optionstream namespaces drop r20260106-101500
    """
    from optionstream.deploy.namespaces.catalogue import drop_namespace, droppable, refuse_under_way
    from optionstream.deploy.workers.launch import stop_detached, stop_orphans

    settings = context.settings()
    spaces = [droppable(name) for name in names]
    servers = context.addresses(settings)
    for space in spaces:
        refuse_under_way(servers, space.name)
        stop_detached(settings, space)
        stop_orphans(settings, space)
        drop_namespace(servers, space.name, settings, output.note)
        output.note(f"dropped namespace {space.name}")


def _row(info: NamespaceInfo) -> dict[str, Any]:
    """Return the fields of ``namespaces list --json``."""
    from optionstream.schemas.times import IST

    at = info.created_at
    return {
        "name": info.name,
        "created_at": at.astimezone(IST).isoformat(timespec="seconds") if at else None,
        "state": info.options.get("state"),
        "topics": info.topics,
        "sources": info.sources,
        "options": {k: v for k, v in info.options.items() if k != "state"},
        "counts": info.counts,
        "code": info.code,
    }


def _reject_count(row: dict[str, Any]) -> int | None:
    rejects = row["counts"].get("rejects")
    return None if rejects is None else sum(rejects.values())


def _short(sources: list[str]) -> str | None:
    if len(sources) > 1:
        return f"{sources[0]} and {len(sources) - 1} more"
    return sources[0] if sources else None
