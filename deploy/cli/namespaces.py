"""``namespaces``: list them, drop one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from optionstream.deploy.cli import context, output
from optionstream.deploy.cli.options import JsonOption

if TYPE_CHECKING:
    from optionstream.deploy.namespaces.catalogue import NamespaceInfo

_COLUMNS = ("name", "created_at", "state", "topics", "read", "accepted", "rejects", "sources")


def list_(as_json: JsonOption = False) -> None:
    """All namespaces, and what went into them.

    live and sim first, then the replays by the time of their making.

    \b
    Examples:
      optionstream namespaces list
      optionstream namespaces list --json | jq .name
    """
    from optionstream.deploy.namespaces.catalogue import list_namespaces

    found = list_namespaces(context.addresses(context.settings()))
    if as_json:
        for info in found:
            output.print_json(_full(info))
    else:
        output.print_table("", _COLUMNS, [_short(info) for info in found])


def drop(
    names: Annotated[list[str], typer.Argument(metavar="NAME", help="Replays to drop.")],
) -> None:
    """Drop replays without a trace.

    Topics, groups, MongoDB database, Redis keys, audit archive, features, worker logs, registry
    entry.

    live and sim are refused, and so is a replay under way or one whose workers run elsewhere.

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
        output.note(f"namespace {space.name} is gone")


def _full(info: NamespaceInfo) -> dict[str, Any]:
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


def _short(info: NamespaceInfo) -> dict[str, Any]:
    row = _full(info)
    counts = row["counts"]
    sources = row["sources"]
    more = f" and {len(sources) - 1} more" if len(sources) > 1 else ""
    return row | {
        "read": counts.get("read"),
        "accepted": counts.get("accepted"),
        "rejects": sum(counts["rejects"].values()) if "rejects" in counts else None,
        "sources": f"{sources[0]}{more}" if sources else None,
    }
