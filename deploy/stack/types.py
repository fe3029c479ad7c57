"""The nouns of the local stack: its servers, their addresses, modes and health."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from optionstream.schemas.settings import ENV_PREFIX, Settings

Progress = Callable[[str, str], None]
"""Called with a server's name and one short line whenever something happens to it."""

LOOPBACK = "127.0.0.1"
REPLICA_SET = "rs0"


class Server(StrEnum):
    """One of the three servers, in the order in which they are started."""

    KAFKA = "kafka"
    MONGO = "mongo"
    REDIS = "redis"


class Mode(StrEnum):
    """The one who runs a server: another party (its address is set), Docker, or this machine."""

    ADDRESS = "address"
    DOCKER = "docker"
    NATIVE = "native"


class Health(StrEnum):
    """The state of a server, from its process and its answer to a probe."""

    READY = "ready"
    NOT_READY = "not ready"
    """Its process or container runs, but it does not answer (yet)."""
    UNREACHABLE = "unreachable"
    """An address from the settings that does not answer."""
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class Addresses:
    """Addresses for clients: Kafka bootstrap ``host:port``, MongoDB URI, Redis URL."""

    kafka: str
    mongo: str
    redis: str


@dataclass(frozen=True, slots=True)
class ServerStatus:
    """One row of ``optionstream status``. ``detail`` describes a problem, or is empty."""

    server: Server
    health: Health
    mode: Mode | None
    """None for a stopped server of which it is not known how it would be run."""
    address: str | None
    pid: int | None = None
    detail: str = ""


def port_variable(server: Server) -> str:
    """Return the name of the environment variable that moves a server to another port."""
    return f"{ENV_PREFIX}{server.upper()}_PORT"


def address_variable(server: Server) -> str:
    """Return the name of the environment variable that points at a server run elsewhere."""
    return f"{ENV_PREFIX}{server.upper()}"


def configured_address(settings: Settings, server: Server) -> str | None:
    """Return the address that the settings give a server; None if the stack is to run it."""
    address: str | None = getattr(settings, server.value)
    return address


def local_port(settings: Settings, server: Server) -> int:
    """Return the port of a server that the stack runs, in a container or as a process."""
    port: int = getattr(settings, f"{server.value}_port")
    return port


def local_address(settings: Settings, server: Server) -> str:
    """Return the address of a server that the stack runs, for clients on this machine."""
    place = f"{LOOPBACK}:{local_port(settings, server)}"
    match server:
        case Server.KAFKA:
            return place
        case Server.MONGO:
            return f"mongodb://{place}/?replicaSet={REPLICA_SET}"
        case Server.REDIS:
            return f"redis://{place}/0"
