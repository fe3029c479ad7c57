"""A server run as a process of this machine: what one has to say about itself."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Protocol

from optionstream.deploy.stack.types import Server


@dataclass(frozen=True, slots=True)
class Command:
    """A program ready to start; ``argv[0]`` is a path."""

    argv: Sequence[str]
    env: Mapping[str, str]


class NativeServer(Protocol):
    """One server as a native process. ``start_s`` and ``stop_s`` bound its patience."""

    server: Server
    start_s: float
    stop_s: float

    @property
    def port(self) -> int: ...

    @property
    def address(self) -> str:
        """Where clients find it once it runs."""
        ...

    def prepare(self, tell: Announce) -> Command:
        """Make its folder, fetch and format what it lacks; PrerequisiteError when it cannot."""
        ...

    def settle(self) -> None:
        """Called again and again while it starts: whatever must be asked of it once it listens."""
        ...

    def problem(self) -> str | None:
        """None when it is really ready, else one line saying what is missing."""
        ...


class Announce(Protocol):
    """Takes one short line about what is being done."""

    def __call__(self, text: str, /) -> None: ...


def program(name: str, path: str | None) -> Path | None:
    """An executable on the search path."""
    found = shutil.which(name, path=path)
    return Path(found) if found else None


def program_from_wheel(package: str, inside: str) -> Path | None:
    """A program that an installed package carries, found without importing the package."""
    try:
        candidate = Path(str(distribution(package).locate_file(inside)))
    except PackageNotFoundError:
        return None
    return candidate if candidate.is_file() else None
