"""``up``, ``status``, ``down``, ``logs``: the servers of this machine, and supervised workers."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from optionstream.deploy.cli import context, output
from optionstream.deploy.cli.options import JsonOption, NamespaceOption
from optionstream.schemas.errors import OptionstreamError, UsageError
from optionstream.schemas.settings import Settings
from optionstream.schemas.topics import ALL_GROUPS, EXTRA_GROUPS, GROUPS, LIVE, Namespace

if TYPE_CHECKING:
    from optionstream.deploy.stack import Addresses

_SERVER_COLUMNS = ("server", "health", "mode", "address", "pid")
_WORKER_COLUMNS = ("namespace", "worker", "state", "pid", "restarts")
_LAG_COLUMNS = ("group", "topic", "lag", "members")


def up(
    workers: Annotated[
        bool, typer.Option("--workers", help="Also run analytics, latest and history.")
    ] = False,
    audit: Annotated[
        bool | None,
        typer.Option(
            "--audit/--no-audit", help="With --workers: archive the input (default for live)."
        ),
    ] = None,
    features: Annotated[
        bool, typer.Option("--features", help="With --workers: also compute feature rows.")
    ] = False,
    namespace: NamespaceOption = LIVE,
    as_json: JsonOption = False,
) -> None:
    """Start Kafka, MongoDB and Redis.

    Waits until they are ready, then creates the topics. What runs already stays as it is; a server
    whose address is set is only checked. Workers run in the background under a supervisor that
    restarts them, until `optionstream down`.

    \b
    Examples:
      optionstream up
      optionstream up --workers
      OPTIONSTREAM_KAFKA=broker:9092 optionstream up
    """
    from optionstream.deploy.namespaces.topics import ensure_topics
    from optionstream.deploy.stack import Stack

    if audit is not None and not workers:
        raise UsageError("--audit and --no-audit concern the workers: add --workers")
    if features and not workers:
        raise UsageError("--features concerns the workers: add --workers")
    settings = context.settings()
    name = _live_namespace(namespace)
    servers = Stack(settings).up(_note_server)
    created = ensure_topics(servers.kafka, name, settings)
    if created:
        output.note(f"topics: created {len(created)} of namespace {name.name}")
    if workers:
        chosen = {"audit": name.name == LIVE if audit is None else audit, "features": features}
        groups = (*GROUPS, *(group for group in EXTRA_GROUPS if chosen[group]))
        _start_workers(name, servers, settings, groups)
    names = (context.KAFKA, context.MONGO, context.REDIS)
    rows = [{"server": one, "address": getattr(servers, one)} for one in names]
    output.print_rows("", ("server", "address"), rows, as_json)


def status(namespace: NamespaceOption = LIVE, as_json: JsonOption = False) -> None:
    """Show the health of servers, workers and consumer groups.

    Lag is the number of records of the namespace that a group has not processed yet.

    Exit code 1 when a server is not ready or a worker was given up.

    \b
    Examples:
      optionstream status
      optionstream status --namespace monday --json
    """
    import msgspec

    from optionstream.deploy.stack import Health, Stack, running_addresses
    from optionstream.deploy.workers.launch import supervised_workers

    settings = context.settings()
    name = Namespace.parse(namespace)
    found = Stack(settings).status()
    ready = all(row.health is Health.READY for row in found)
    servers = [_server_row(row) for row in found]
    workers = [msgspec.structs.asdict(row) for row in supervised_workers(settings)]
    where = running_addresses(settings) if ready else None
    lags = list(_lag_rows(where, name)) if where is not None else []
    if as_json:
        for row in (*servers, *workers, *lags):
            output.print_json(row)
    else:
        _print_status(servers, workers, lags, name)
    if not ready or any(row["state"] == "given up" for row in workers):
        raise typer.Exit(1)


def down(
    workers: Annotated[
        bool, typer.Option("--workers", help="Stop only the workers; keep the servers.")
    ] = False,
    namespace: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="With --workers: only workers of this namespace."),
    ] = None,
) -> None:
    """Stop the workers and servers that `up` started.

    Nothing else is stopped; the data stays.

    \b
    Examples:
      optionstream down
      optionstream down --workers
      optionstream down --workers --namespace october
    """
    from optionstream.deploy.stack import Stack
    from optionstream.deploy.workers.launch import stop_detached

    settings = context.settings()
    if namespace is not None and not workers:
        raise UsageError("--namespace is for --workers: all namespaces share the servers")
    ended = stop_detached(settings, None if namespace is None else Namespace.parse(namespace))
    for name in ended:
        output.note(f"workers of namespace {name}: stopped")
    if workers:
        if not ended:
            output.note("no workers to stop")
        return
    stopped = Stack(settings).down(_note_server)
    output.note(f"stopped {', '.join(stopped)}" if stopped else "nothing to stop")


def logs(
    of: Annotated[
        str,
        typer.Argument(
            metavar="SERVER|WORKER", help="kafka, mongo, redis, analytics, latest, history, …"
        ),
    ],
    lines: Annotated[int, typer.Option("-n", min=0, help="Number of lines to print.")] = 50,
    follow: Annotated[bool, typer.Option("-f", help="Follow: keep printing new lines.")] = False,
    namespace: NamespaceOption = LIVE,
) -> None:
    """Print the end of a server's or worker's log.

    \b
    Examples:
      optionstream logs kafka
      optionstream logs analytics -n 200 -f
    """
    settings = context.settings()
    for line in _log_lines(settings, of, lines, follow, Namespace.parse(namespace)):
        output.print_line(line)
        if follow:
            sys.stdout.flush()


def _note_server(server: str, text: str) -> None:
    output.note(f"{server}: {text}")


def _live_namespace(namespace: str) -> Namespace:
    name = Namespace.parse(namespace)
    if name.is_replay:
        raise UsageError(
            f"namespace {namespace} is a replay: run its workers with "
            f"`optionstream replay --keep-workers`"
        )
    return name


def _start_workers(
    name: Namespace, servers: Addresses, settings: Settings, groups: Sequence[str]
) -> None:
    from optionstream.deploy.workers import launch

    processes = launch.NamespaceWorkers(name, servers, settings)
    processes.start_detached(processes.missing_groups(groups))
    processes.await_members(groups)
    for row in launch.supervised_workers(settings, name):
        output.note(f"worker {row.worker}: {row.state} (pid {row.pid}, log {row.log})")


def _print_status(
    servers: list[dict[str, Any]],
    workers: list[dict[str, Any]],
    lags: list[dict[str, Any]],
    name: Namespace,
) -> None:
    output.print_table("servers", _SERVER_COLUMNS, servers)
    for row in servers:
        if row["detail"]:
            output.print_line(f"{row['server']}: {row['detail']}")
    output.print_table("workers", _WORKER_COLUMNS, workers)
    for row in workers:
        output.print_line(f"log of {row['worker']} in {row['namespace']}: {row['log']}")
    output.print_table(f"Consumer lag, namespace {name.name}", _LAG_COLUMNS, lags)


def _server_row(row: Any) -> dict[str, Any]:
    return {
        "server": row.server.value,
        "health": row.health.value,
        "mode": row.mode.value if row.mode else None,
        "address": row.address,
        "pid": row.pid,
        "detail": row.detail or None,
    }


def _lag_rows(where: Addresses, name: Namespace) -> Iterator[dict[str, Any]]:
    """Yield the lag by group and topic, of a namespace that has topics."""
    from optionstream.deploy.groups.lag import GroupOffsets, group_lag

    offsets = GroupOffsets(where.kafka, name)
    for group in ALL_GROUPS:
        rows = group_lag(offsets, group)
        members = len(offsets.members(group)) if rows else 0
        if group in EXTRA_GROUPS and not members and all(row.committed is None for row in rows):
            continue  # this namespace does not use it
        for topic in dict.fromkeys(row.topic for row in rows):
            lag = sum(row.lag for row in rows if row.topic == topic)
            yield {"group": group, "topic": topic, "lag": lag, "members": members}


def _log_lines(
    settings: Settings, of: str, lines: int, follow: bool, namespace: Namespace
) -> Iterator[str]:
    from optionstream.deploy.stack import Server, Stack
    from optionstream.deploy.stack.tail import tail

    servers = [server.value for server in Server]
    if of in servers:
        return Stack(settings).logs(Server(of), lines, follow)
    if of not in (*ALL_GROUPS, "supervisor"):
        raise UsageError(f"no log of {of!r}: choose one of {', '.join((*servers, *ALL_GROUPS))}")
    path = settings.worker_folder(namespace.name) / f"{of}.log"
    if not path.exists():
        raise OptionstreamError(
            f"no log of {of} in {path.parent}: `optionstream up --workers` starts it"
        )
    return tail(path, lines, follow)
