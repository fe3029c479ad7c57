"""``worker``: one worker process. ``supervise`` (hidden): what ``up --workers`` leaves running."""

from __future__ import annotations

import os
import signal
import threading
import time
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from optionstream.deploy.cli import context
from optionstream.deploy.cli.options import NamespaceOption
from optionstream.schemas.errors import UsageError
from optionstream.schemas.settings import Settings
from optionstream.schemas.topics import LIVE, WORK_TOPICS, Namespace

if TYPE_CHECKING:
    from optionstream.deploy.stack import Addresses
    from optionstream.streams.process import WorkerConfig


class Group(StrEnum):
    """The values of schemas.topics.ALL_GROUPS, as an enumeration for the command line."""

    ANALYTICS = "analytics"
    LATEST = "latest"
    HISTORY = "history"
    AUDIT = "audit"
    FEATURES = "features"


_LOOK_AGAIN_S = 0.5

_STORES = {Group.LATEST: (context.REDIS,), Group.HISTORY: (context.MONGO,)}
"""Servers that a worker needs besides Kafka."""


def worker(
    group: Annotated[Group, typer.Argument(metavar="GROUP", help="The worker's task, see above.")],
    namespace: NamespaceOption = LIVE,
    instance: Annotated[
        str, typer.Option(metavar="ID", help="Unique among the workers of a group.")
    ] = "1",
    from_beginning: Annotated[
        bool,
        typer.Option(
            "--from-beginning", help="analytics: discard the state and compute from scratch."
        ),
    ] = False,
    metrics_port: Annotated[
        int | None,
        typer.Option(min=0, max=65_535, help="Port of the metrics page; 0: a free one."),
    ] = None,
    ends_with: Annotated[
        int | None, typer.Option("--ends-with", hidden=True, metavar="PID", help="Its parent.")
    ] = None,
) -> None:
    """Run one worker until it is stopped.

    \b
    analytics  computes bars, gaps, chain analytics and surfaces
    latest     keeps the latest values in Redis
    history    stores ticks and results in MongoDB
    audit      archives every input record as received
    features   joins bars and chains into rows for machine learning

    \b
    Examples:
      optionstream worker analytics
      optionstream worker analytics --instance 2 --metrics-port 9102
      optionstream worker history --namespace monday
      optionstream worker audit
    """
    if from_beginning and group is not Group.ANALYTICS:
        raise UsageError("--from-beginning is for analytics only: the others follow its output")
    if ends_with is not None:
        threading.Thread(target=_end_with, args=(ends_with,), daemon=True).start()
    settings = context.settings()
    name = Namespace.parse(namespace)
    servers = context.addresses(settings, context.KAFKA, *_STORES.get(group, ()))
    _ensure_topics(servers, name, settings)
    port = settings.metrics_port if metrics_port is None else metrics_port
    raise typer.Exit(_run(group, _config(servers, name, settings, instance, port), from_beginning))


def _end_with(parent: int) -> None:
    """Send this process SIGTERM once ``parent``, which started it, is gone."""
    while os.getppid() == parent:
        time.sleep(_LOOK_AGAIN_S)
    os.kill(os.getpid(), signal.SIGTERM)


def supervise(
    groups: Annotated[list[Group], typer.Argument()],
    namespace: NamespaceOption = LIVE,
) -> None:
    """Run supervised workers until stopped; `optionstream up --workers` starts it."""
    from optionstream.deploy.workers.launch import NamespaceWorkers

    settings = context.settings()
    workers = NamespaceWorkers(Namespace.parse(namespace), context.addresses(settings), settings)
    workers.supervise([group.value for group in groups])


def _ensure_topics(servers: Addresses, namespace: Namespace, settings: Settings) -> None:
    """Create the topics of live and sim; those of a replay must exist."""
    from optionstream.deploy.namespaces.topics import ensure_topics

    if namespace.is_live:
        ensure_topics(servers.kafka, namespace, settings)
    else:
        context.require_namespace(servers.kafka, namespace, WORK_TOPICS)


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
