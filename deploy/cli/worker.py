"""``worker``: one worker process; and the hidden ``supervise`` that ``up --workers`` leaves."""

from __future__ import annotations

import os
import signal
import threading
import time
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from optionstream.deploy.cli import context
from optionstream.schemas.errors import NamespaceError, UsageError
from optionstream.schemas.settings import Settings
from optionstream.schemas.topics import LIVE, WORK_TOPICS, Namespace

if TYPE_CHECKING:
    from optionstream.deploy.stack import Addresses
    from optionstream.streams.process import WorkerConfig


class Group(StrEnum):
    """The consumer groups, by the part they play."""

    ANALYTICS = "analytics"
    LATEST = "latest"
    HISTORY = "history"
    AUDIT = "audit"
    FEATURES = "features"


_LOOK_AGAIN_S = 0.5

NamespaceOption = Annotated[str, typer.Option(help="The namespace to work in.")]


def worker(
    group: Annotated[Group, typer.Argument(help="What the worker does.")],
    namespace: NamespaceOption = LIVE,
    instance: Annotated[
        str, typer.Option(help="Tells the workers of one group apart; each needs its own.")
    ] = "1",
    from_beginning: Annotated[
        bool,
        typer.Option("--from-beginning", help="analytics: discard its state and compute anew."),
    ] = False,
    metrics_port: Annotated[
        int | None, typer.Option(min=0, max=65_535, help="Port of the metrics page; 0: a free one.")
    ] = None,
    ends_with: Annotated[
        int | None, typer.Option("--ends-with", hidden=True, metavar="PID", help="Its parent.")
    ] = None,
) -> None:
    """Run one worker until it is stopped.

    analytics computes bars and chain analytics, latest keeps Redis, history fills MongoDB, audit
    archives every input record as it came, features joins bars and chains into rows for learning.

    \b
    Examples:
      optionstream worker analytics
      optionstream worker analytics --instance 2 --metrics-port 9102
      optionstream worker history --namespace monday
      optionstream worker audit
    """
    if from_beginning and group is not Group.ANALYTICS:
        raise UsageError("--from-beginning is for analytics only: the sinks follow its output")
    if ends_with is not None:
        threading.Thread(target=_end_with, args=(ends_with,), daemon=True).start()
    settings = context.settings()
    name = Namespace.parse(namespace)
    servers = _addresses(settings, group)
    _check_topics(servers, name, settings)
    port = settings.metrics_port if metrics_port is None else metrics_port
    raise typer.Exit(_run(group, _config(servers, name, settings, instance, port), from_beginning))


def _end_with(parent: int) -> None:
    """Stop in order once ``parent``, which started this process, is gone: killed, it cannot."""
    while os.getppid() == parent:
        time.sleep(_LOOK_AGAIN_S)
    os.kill(os.getpid(), signal.SIGTERM)


def supervise(
    groups: Annotated[list[Group], typer.Argument()],
    namespace: NamespaceOption = LIVE,
) -> None:
    """Run supervised workers until stopped (what `optionstream up --workers` leaves behind)."""
    from optionstream.deploy.workers.launch import NamespaceWorkers

    settings = context.settings()
    workers = NamespaceWorkers(Namespace.parse(namespace), context.addresses(settings), settings)
    workers.supervise([group.value for group in groups])


def _addresses(settings: Settings, group: Group) -> Addresses:
    from optionstream.deploy.stack import Server

    needed = {
        Group.ANALYTICS: (Server.KAFKA,),
        Group.LATEST: (Server.KAFKA, Server.REDIS),
        Group.HISTORY: (Server.KAFKA, Server.MONGO),
        Group.AUDIT: (Server.KAFKA,),
        Group.FEATURES: (Server.KAFKA,),
    }
    return context.addresses(settings, *needed[group])


def _check_topics(servers: Addresses, namespace: Namespace, settings: Settings) -> None:
    """Live and sim get their topics here as well; a replay is made by ``replay`` alone."""
    from optionstream.deploy.namespaces.topics import ensure_topics, namespaces_in
    from optionstream.streams.kafka.admin import admin_client, partition_counts

    if namespace.is_live:
        ensure_topics(servers.kafka, namespace, settings)
        return
    existing = partition_counts(admin_client(servers.kafka))
    if not {namespace.topic(name) for name in WORK_TOPICS} <= existing.keys():
        known = ", ".join(namespaces_in(existing)) or "none"
        raise NamespaceError(
            f"namespace {namespace.name} has no topics (there are: {known}): "
            f"`optionstream replay --namespace {namespace.name}` makes it"
        )


def _config(
    servers: Addresses, namespace: Namespace, settings: Settings, instance: str, port: int
) -> WorkerConfig:
    from optionstream.streams.process import WorkerConfig

    return WorkerConfig(
        kafka=servers.kafka,
        mongo=servers.mongo,
        redis=servers.redis,
        namespace=namespace,
        settings=settings,
        instance=instance,
        metrics_port=port,
    )


def _run(group: Group, config: WorkerConfig, from_beginning: bool) -> int:
    if group is Group.ANALYTICS:
        from optionstream.streams.analytics import worker as analytics

        return analytics.run(config, from_beginning)
    if group is Group.LATEST:
        from optionstream.streams.sinks.latest import sink as latest

        return latest.run(config)
    if group is Group.AUDIT:
        from optionstream.streams.sinks.audit import sink as audit

        return audit.run(config)
    if group is Group.FEATURES:
        from optionstream.streams.sinks.features import sink as features

        return features.run(config)
    from optionstream.streams.sinks.history import sink as history

    return history.run(config)
