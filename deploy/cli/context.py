"""What every command starts from: the settings, the servers, and a namespace that exists."""

from __future__ import annotations

import os
from collections.abc import Collection
from typing import TYPE_CHECKING

from optionstream.schemas.errors import NamespaceError, ServerUnavailable
from optionstream.schemas.settings import Settings
from optionstream.schemas.topics import Namespace

if TYPE_CHECKING:
    from optionstream.deploy.stack import Addresses

KAFKA = "kafka"
MONGO = "mongo"
REDIS = "redis"


def settings() -> Settings:
    """Return the settings from this process's environment."""
    return Settings.from_env(os.environ)


def addresses(config: Settings, *servers: str) -> Addresses:
    """Return the addresses of the servers; each of ``servers`` (default: all) has just answered.

    Raises ServerUnavailable for servers that were not started and for one that does not answer.
    """
    from optionstream.deploy.stack import Server
    from optionstream.deploy.stack.probes import find_problem
    from optionstream.deploy.stack.types import address_variable

    found = known_addresses(config)
    for server in map(Server, servers or (KAFKA, MONGO, REDIS)):
        address = getattr(found, server.value)
        problem = find_problem(server, address)
        if problem is not None:
            raise ServerUnavailable(
                f"{server} at {address} is not responding ({problem}): start it with "
                f"`optionstream up`, or correct {address_variable(server)}"
            )
    return found


def known_addresses(config: Settings) -> Addresses:
    """Return the addresses of the servers without asking any of them."""
    from optionstream.deploy.stack import running_addresses

    found = running_addresses(config)
    if found is None:
        raise ServerUnavailable(
            "no servers: start them with `optionstream up`, or set OPTIONSTREAM_KAFKA, "
            "OPTIONSTREAM_MONGO and OPTIONSTREAM_REDIS to their addresses"
        )
    return found


def open_namespace(
    name: str, topics: Collection[str], *servers: str
) -> tuple[Addresses, Namespace]:
    """Return the addresses of the servers and a namespace that has the topics.

    Raises ServerUnavailable as ``addresses`` does, NamespaceError as ``require_namespace`` does.
    """
    namespace = Namespace.parse(name)
    found = addresses(settings(), *servers)
    require_namespace(found.kafka, namespace, topics)
    return found, namespace


def require_namespace(kafka: str, namespace: Namespace, topics: Collection[str] = ()) -> None:
    """Raise NamespaceError unless the namespace exists and has the topics (base names)."""
    from optionstream.deploy.namespaces.catalogue import unknown_namespace
    from optionstream.deploy.namespaces.topics import namespaces_in
    from optionstream.streams.kafka.admin import admin_client, partition_counts

    existing = partition_counts(admin_client(kafka))
    known = namespaces_in(existing)
    command = "up" if namespace.is_live else "replay"
    creator = f"`optionstream {command} --namespace {namespace.name}`"
    if namespace.name not in known:
        complaint = unknown_namespace(namespace.name, list(known))
        raise NamespaceError(f"{complaint} ({creator} creates it)")
    missing = [topic for topic in map(namespace.topic, topics) if topic not in existing]
    if missing:
        raise NamespaceError(
            f"namespace {namespace.name} lacks the topics {', '.join(missing)}: "
            f"{creator} creates them"
        )


def replay_namespace(name: str) -> Namespace:
    """Return the namespace of a replay. Raises NamespaceError for live and sim."""
    namespace = Namespace.parse(name)
    if namespace.is_live:
        raise NamespaceError(
            f"namespace {name} is not for replays: choose another name, or omit it to get a new one"
        )
    return namespace
