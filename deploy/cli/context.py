"""What every command starts from: the settings, and where the servers are."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING

from optionstream.schemas.errors import NamespaceError, ServerUnavailable
from optionstream.schemas.settings import Settings
from optionstream.schemas.topics import Namespace

if TYPE_CHECKING:
    from optionstream.deploy.stack import Addresses, Server


def settings() -> Settings:
    """The settings from this process's environment."""
    return Settings.from_env(os.environ)


def addresses(config: Settings, *servers: Server) -> Addresses:
    """Where the servers are; those in ``servers`` (default: all) have answered just now.

    Raises ServerUnavailable, in one line, for servers nobody started and for one that is silent.
    """
    from optionstream.deploy.stack import Server

    found = known_addresses(config)
    at = {Server.KAFKA: found.kafka, Server.MONGO: found.mongo, Server.REDIS: found.redis}
    for server in servers or tuple(Server):
        problem = _problem(server, at[server])
        if problem is not None:
            raise ServerUnavailable(f"{server.value} at {at[server]} does not work: {problem}")
    return found


def known_addresses(config: Settings) -> Addresses:
    """Where the servers are; asks none of them."""
    from optionstream.deploy.stack import running_addresses

    found = running_addresses(config)
    if found is None:
        raise ServerUnavailable(
            "no servers: start them with `optionstream up`, or set OPTIONSTREAM_KAFKA, "
            "OPTIONSTREAM_MONGO and OPTIONSTREAM_REDIS to their addresses"
        )
    return found


def replay_namespace(name: str) -> Namespace:
    """The namespace of a replay; live and sim are refused."""
    namespace = Namespace.parse(name)
    if namespace.is_live:
        raise NamespaceError(
            f"namespace {name} is not for replays: choose another name, or none to get a new one"
        )
    return namespace


def _problem(server: Server, address: str) -> str | None:
    from optionstream.deploy.stack import Server
    from optionstream.deploy.stack.probes import kafka_problem, mongo_problem, redis_problem

    probes: dict[Server, Callable[[str], str | None]] = {
        Server.KAFKA: kafka_problem,
        Server.MONGO: mongo_problem,
        Server.REDIS: redis_problem,
    }
    return probes[server](address)


def kafka_only() -> tuple[Server, ...]:
    """For ``addresses``: nothing else is asked."""
    from optionstream.deploy.stack import Server

    return (Server.KAFKA,)
