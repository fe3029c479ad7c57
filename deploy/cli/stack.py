"""``up``, ``status``, ``down``, ``logs``: the servers of this machine, and supervised workers."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from optionstream.deploy.cli import context, output
from optionstream.deploy.cli.options import JsonOption
from optionstream.schemas.errors import OptionstreamError, UsageError
from optionstream.schemas.settings import Settings
from optionstream.schemas.topics import ALL_GROUPS, EXTRA_GROUPS, GROUPS, LIVE, Namespace

if TYPE_CHECKING:
    from optionstream.deploy.stack import Addresses

NamespaceOption = Annotated[str, typer.Option(help="Whose topics, workers and lag.")]

_SERVER_COLUMNS = ("server", "health", "mode", "address", "pid", "detail")
_WORKER_COLUMNS = ("namespace", "worker", "state", "pid", "restarts", "log")
_LAG_COLUMNS = ("group", "topic", "lag", "members")


def up(
    workers: Annotated[
        bool, typer.Option("--workers", help="Run analytics, latest and history as well.")
    ] = False,
    audit: Annotated[
        bool | None,
        typer.Option("--audit/--no-audit", help="Workers: archive the input too; live: default."),
    ] = None,
    features: Annotated[
        bool, typer.Option("--features", help="Workers: join rows of features too.")
    ] = False,
    namespace: NamespaceOption = LIVE,
    as_json: JsonOption = False,
) -> None:
    """Start Kafka, MongoDB and Redis.

    Waits until they are really ready, and creates the topics. What runs already stays as it is.
    A server with an address in the settings is only asked. Workers run in the background under
    a supervisor that restarts them, until `down`.

    \b
    Examples:
      optionstream up
      optionstream up --workers
      OPTIONSTREAM_KAFKA=broker:9092 optionstream up
    """
    from optionstream.deploy.namespaces.topics import ensure_topics
    from optionstream.deploy.stack import Stack

    if audit is not None and not workers:
        raise UsageError("--audit and --no-audit are about the workers: use them with --workers")
    if features and not workers:
        raise UsageError("--features is about the workers: use it with --workers")
    settings = context.settings()
    name = _existing_kind(namespace)
    servers = Stack(settings).up(lambda server, text: output.note(f"{server}: {text}"))
    created = ensure_topics(servers.kafka, name, settings)
    if created:
        output.note(f"topics: created {len(created)} of namespace {name.name}")
    if workers:
        audited = namespace == LIVE if audit is None else audit
        asked = {"audit": audited, "features": features}
        groups = (*GROUPS, *(group for group in EXTRA_GROUPS if asked[group]))
        _start_workers(name, servers, settings, groups)
    rows = [
        {"server": "kafka", "address": servers.kafka},
        {"server": "mongo", "address": servers.mongo},
        {"server": "redis", "address": servers.redis},
    ]
    output.print_rows("", ("server", "address"), rows, as_json)


def status(namespace: NamespaceOption = LIVE, as_json: JsonOption = False) -> None:
    """How servers, workers and groups fare.

    With the records that each group of a namespace has yet to read.

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
        output.print_table("", _SERVER_COLUMNS, servers)
        if workers:
            output.print_table("workers", _WORKER_COLUMNS, workers)
        if lags:
            output.print_table(f"records to read in namespace {name.name}", _LAG_COLUMNS, lags)
    if not ready or any(row["state"] == "given up" for row in workers):
        raise typer.Exit(1)


def down(
    workers: Annotated[
        bool, typer.Option("--workers", help="Only the workers; the servers go on.")
    ] = False,
    namespace: Annotated[
        str | None, typer.Option(metavar="NAME", help="With --workers: only this namespace's.")
    ] = None,
) -> None:
    """Stop what `up` started.

    Workers and servers, and only those; the data stays.

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
        raise UsageError("--namespace is for --workers: the servers are every namespace's")
    ended = stop_detached(settings, None if namespace is None else Namespace.parse(namespace))
    for name in ended:
        output.note(f"workers of namespace {name}: stopped")
    if workers:
        if not ended:
            output.note("no workers to stop")
        return
    stopped = Stack(settings).down(lambda server, text: output.note(f"{server}: {text}"))
    output.note(f"stopped {', '.join(stopped)}" if stopped else "nothing to stop")


def logs(
    of: Annotated[str, typer.Argument(metavar="SERVER|WORKER", help="kafka, history …")],
    lines: Annotated[int, typer.Option("-n", min=0, help="How many lines.")] = 50,
    follow: Annotated[bool, typer.Option("-f", help="Also what is still to come.")] = False,
    namespace: NamespaceOption = LIVE,
) -> None:
    """The end of a server's or worker's log.

    \b
    Examples:
      optionstream logs kafka
      optionstream logs analytics -n 200 -f
    """
    settings = context.settings()
    for line in _log(settings, of, lines, follow, Namespace.parse(namespace)):
        sys.stdout.write(line + "\n")
        if follow:
            sys.stdout.flush()


def _existing_kind(namespace: str) -> Namespace:
    name = Namespace.parse(namespace)
    if name.is_replay:
        raise UsageError(
            f"namespace {namespace} is a replay's: `optionstream replay --keep-workers` runs it"
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
    """Records to read by group and topic, of a namespace that has topics."""
    from optionstream.deploy.groups.lag import GroupOffsets, group_lag

    offsets = GroupOffsets(where.kafka, name)
    for group in ALL_GROUPS:
        rows = group_lag(offsets, group)
        members = len(offsets.members(group)) if rows else 0
        if group in EXTRA_GROUPS and not members and all(row.committed is None for row in rows):
            continue  # nobody asked for it here
        for topic in dict.fromkeys(row.topic for row in rows):
            lag = sum(row.lag for row in rows if row.topic == topic)
            yield {"group": group, "topic": topic, "lag": lag, "members": members}


def _log(
    settings: Settings, of: str, lines: int, follow: bool, namespace: Namespace
) -> Iterator[str]:
    from optionstream.deploy.stack import Server, Stack
    from optionstream.deploy.stack.tail import tail

    if of in [server.value for server in Server]:
        return Stack(settings).logs(Server(of), lines, follow)
    if of not in (*ALL_GROUPS, "supervisor"):
        known = ", ".join((*(server.value for server in Server), *ALL_GROUPS))
        raise UsageError(f"no log of {of!r}: choose one of {known}")
    path = settings.worker_folder(namespace.name) / f"{of}.log"
    if not path.exists():
        raise OptionstreamError(f"{of}: no log in {path.parent}: it was never started here")
    return tail(path, lines, follow)
