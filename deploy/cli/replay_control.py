"""``replay list|status|pause|…``: list replays and control a running one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from optionstream.deploy.cli import context, output
from optionstream.deploy.cli.options import JsonOption, parse_instant, parse_speed

if TYPE_CHECKING:
    from optionstream.deploy.namespaces.registry import Registry

_COLUMNS = ("id", "state", "clock", "speed", "events", "rate", "lag", "settled", "time_left")

IdArgument = Annotated[str, typer.Argument(metavar="ID", help="Id of the replay: its namespace.")]


def list_(as_json: JsonOption = False) -> None:
    """List all replays, the oldest first.

    \b
    Examples:
      optionstream replay list
      optionstream replay list --json | jq 'select(.state == "dead").id'
    """
    from optionstream.schemas.replays import describe

    with _registry() as registry:
        rows = [describe(row) for row in registry.entries().values()]
    if as_json:
        for row in rows:
            output.print_json(row)
        return
    shown = [_short(row) for row in rows]
    output.print_table("replays", _COLUMNS, shown)
    output.print_table("", ("id", "source"), [row for row in shown if row["source"]])


def status(id_: IdArgument, as_json: JsonOption = False) -> None:
    """Show what a replay does now, and its manifest.

    A replay whose process was killed is shown as dead after 5 seconds.

    \b
    Examples:
      optionstream replay status october
      optionstream replay status october --json | jq .manifest
    """
    from optionstream.schemas.errors import NamespaceError
    from optionstream.schemas.replays import describe, unknown

    with _registry() as registry:
        row = registry.entry(id_)
        if row is None:
            raise NamespaceError(unknown(id_, list(registry.entries())))
    if as_json:
        output.print_json(describe(row))
        return
    shown = describe(row)
    output.print_table("", _COLUMNS, [_short(shown)])
    if shown["error"]:
        output.print_line(f"error: {shown['error']}")
    output.print_table("manifest", ("field", "value"), list(_flat(shown["manifest"] or {})))


def pause(id_: IdArgument, as_json: JsonOption = False) -> None:
    """Stop publishing until `replay resume`.

    The workers process what was published.

    \b
    Example:
      optionstream replay pause october
    """
    _command(id_, "pause", None, as_json)


def resume(id_: IdArgument, as_json: JsonOption = False) -> None:
    """Continue at the replay's speed.

    \b
    Example:
      optionstream replay resume october
    """
    _command(id_, "resume", None, as_json)


def step(
    id_: IdArgument,
    events: Annotated[int, typer.Argument(metavar="N", min=1, help="Number of events.")] = 1,
    as_json: JsonOption = False,
) -> None:
    """Publish N more events of a paused replay.

    Events are ticks, candles, quotes and chains.

    \b
    Examples:
      optionstream replay step october
      optionstream replay step october 100
    """
    _command(id_, "step", events, as_json)


def seek(
    id_: IdArgument,
    time: Annotated[
        str,
        typer.Argument(metavar="TIME", help="Event time: 2026-01-06T14:00:00 (IST), or epoch ms."),
    ],
    as_json: JsonOption = False,
) -> None:
    """Skip ahead to an event time at full speed.

    Everything up to the time is published; then the replay continues as before, or stays paused.
    It skips only forward: what was published cannot be taken back.

    \b
    Example:
      optionstream replay seek october 2025-10-27T14:00:00
    """
    _command(id_, "seek", parse_instant("TIME", time), as_json)


def speed(
    id_: IdArgument,
    factor: Annotated[str, typer.Argument(metavar="max|realtime|N", help="The new speed.")],
    as_json: JsonOption = False,
) -> None:
    """Change the pace of a running replay.

    \b
    Examples:
      optionstream replay speed october 60
      optionstream replay speed october max
    """
    _command(id_, "speed", parse_speed(factor, "speed"), as_json)


def stop(id_: IdArgument, as_json: JsonOption = False) -> None:
    """End a replay here; its namespace stays.

    The workers process what was published.

    \b
    Example:
      optionstream replay stop october
    """
    _command(id_, "stop", None, as_json)


def drop(
    ids: Annotated[list[str], typer.Argument(metavar="ID", help="Replays to drop.")],
) -> None:
    """Delete replays and everything they left.

    The same as `optionstream namespaces drop`: topics, groups, database, keys, archives, logs and
    registry entry. live and sim are refused, and so is a running replay. Workers that a dead
    replay left behind are stopped.

    \b
    Example:
      optionstream replay drop october
    """
    from optionstream.deploy.cli import namespaces

    namespaces.drop(ids)


def _command(id_: str, action: str, value: float | None, as_json: bool) -> None:
    from optionstream.schemas.replays import Action, Command

    command = Command.checked(Action(action), value)
    with _registry() as registry:
        answer = registry.send_command(id_, command)
    if as_json:
        output.print_json({"id": id_, "command": action, "answer": answer.text})
    else:
        output.print_line(f"{id_}: {answer.text}")


@contextmanager
def _registry() -> Iterator[Registry]:
    from optionstream.deploy.clients import mongo_client
    from optionstream.deploy.namespaces.registry import Registry
    from optionstream.deploy.stack import Server

    with mongo_client(context.addresses(context.settings(), Server.MONGO).mongo) as client:
        yield Registry(client)


def _short(row: dict[str, Any]) -> dict[str, Any]:
    left = row["time_left_s"]
    source = (row["manifest"] or {}).get("source", {})
    return row | {
        "time_left": str(timedelta(seconds=round(left))) if left is not None else None,
        "lag": "/".join(output.plain_cell(one) for one in row["lag"].values()) or None,
        "source": _source_text(source),
    }


def _source_text(source: dict[str, Any]) -> str | None:
    paths = source.get("paths") or []
    if paths:
        return f"{paths[0]} and {len(paths) - 1} more" if len(paths) > 1 else str(paths[0])
    kept = [source.get("kind"), source.get("namespace"), source.get("start"), source.get("end")]
    return " ".join(str(one) for one in kept if one) or None


def _flat(manifest: dict[str, Any], under: str = "") -> Iterator[dict[str, Any]]:
    for name, value in manifest.items():
        if isinstance(value, dict) and value:
            yield from _flat(value, f"{under}{name}.")
        elif name == "schemas":
            records = {one["schema"]: one["records"] for one in value}
            yield {"field": name, "value": records}
        else:
            yield {"field": f"{under}{name}", "value": _plain(value)}


def _plain(value: Any) -> str:
    if isinstance(value, list) and len(value) > 3:
        return f"{value[0]} and {len(value) - 1} more"
    return output.plain_cell(value or None if isinstance(value, list | dict) else value)
