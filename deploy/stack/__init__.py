"""The local stack: Kafka, MongoDB and Redis on this machine, with Docker or without.

Stack(settings).up(report) -> Addresses        idempotent; waits until all are really ready
Stack(settings).status() -> list[ServerStatus]
Stack(settings).down(report) -> list[Server]   stops only what ``up`` started
Stack(settings).logs(server, lines, follow) -> Iterator[str]
running_addresses(settings) -> Addresses | None
"""

from optionstream.deploy.stack.ports import free_port
from optionstream.deploy.stack.stack import Stack
from optionstream.deploy.stack.state import running_addresses
from optionstream.deploy.stack.types import (
    Addresses,
    Health,
    Mode,
    Progress,
    Server,
    ServerStatus,
)

__all__ = [
    "Addresses",
    "Health",
    "Mode",
    "Progress",
    "Server",
    "ServerStatus",
    "Stack",
    "free_port",
    "running_addresses",
]
