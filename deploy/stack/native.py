"""A server run as a process of this machine: the base class and the search for its program."""

from __future__ import annotations

import shutil
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import ClassVar

from optionstream.deploy.stack.probes import find_problem
from optionstream.deploy.stack.types import Server, local_address, local_port
from optionstream.schemas.settings import Settings

Report = Callable[[str], None]
"""Called with one short line about what is being done."""


class NativeServer(ABC):
    """One server as a native process, with its data in ``folder``."""

    server: ClassVar[Server]
    start_s: ClassVar[float]
    """How long it may take to become ready."""
    stop_s: ClassVar[float]
    """How long it may take to end after SIGTERM."""

    def __init__(self, folder: Path, settings: Settings, env: Mapping[str, str]) -> None:
        self.env = env
        self.port = local_port(settings, self.server)
        self.address = local_address(settings, self.server)
        self.folder = folder
        self._settings = settings

    @abstractmethod
    def prepare_command(self, report: Report) -> list[str]:
        """Return the command that starts it; its first word is a path.

        The data folder exists. Fetches and formats what is missing. Raises PrerequisiteError for
        what this machine lacks.
        """

    def configure(self) -> None:  # noqa: B027 (most servers need nothing)
        """Configure the server once it listens; called again and again until it is ready."""

    def find_problem(self) -> str | None:
        """Return None when the server is really ready, else one line with what is missing."""
        return find_problem(self.server, self.address)


def find_program(name: str, env: Mapping[str, str]) -> Path | None:
    """Return the path of a program on the search path of ``env``; None if it is not there."""
    found = shutil.which(name, path=env.get("PATH"))
    return Path(found) if found else None


def find_program_in_wheel(package: str, inside: str) -> Path | None:
    """Return the path of a program inside an installed package, which is not imported."""
    try:
        candidate = Path(str(distribution(package).locate_file(inside)))
    except PackageNotFoundError:
        return None
    return candidate if candidate.is_file() else None


def long_options(values: Mapping[str, object]) -> list[str]:
    """Return ``--name value`` for each entry, as words of a command."""
    return [word for name, value in values.items() for word in (f"--{name}", str(value))]
