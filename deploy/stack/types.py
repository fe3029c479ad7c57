"""The nouns of the local stack: which servers, where they are, how they fare."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

Progress = Callable[[str, str], None]
"""Called with a server's name and one short line whenever something happens to it."""


class Server(StrEnum):
    """One of the three servers, in the order in which they are started."""

    KAFKA = "kafka"
    MONGO = "mongo"
    REDIS = "redis"


class Mode(StrEnum):
    """Who runs a server: nobody of ours (an address in the settings), Docker, or this machine."""

    ADDRESS = "address"
    DOCKER = "docker"
    NATIVE = "native"


class Health(StrEnum):
    """What a server said when asked."""

    READY = "ready"
    NOT_READY = "not ready"
    """Its process or container runs, but it does not answer (yet)."""
    UNREACHABLE = "unreachable"
    """An address from the settings that does not answer."""
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where clients find the servers: bootstrap ``host:port``, MongoDB URI, Redis URL."""

    kafka: str
    mongo: str
    redis: str


@dataclass(frozen=True, slots=True)
class ServerStatus:
    """One row of ``optionstream status``. ``detail`` says in words what is wrong, or is empty."""

    server: Server
    health: Health
    mode: Mode | None
    """None when the server is stopped and nothing says how it would be run."""
    address: str | None
    pid: int | None = None
    detail: str = ""


def port_variable(server: Server) -> str:
    """The environment variable that moves a server to another port."""
    return f"OPTIONSTREAM_{server.value.upper()}_PORT"


def address_variable(server: Server) -> str:
    """The environment variable that points at a server somebody else runs."""
    return f"OPTIONSTREAM_{server.value.upper()}"
