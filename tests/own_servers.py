"""Servers of one's own, on free ports, under a folder of their own."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from optionstream.deploy.stack import Stack, free_port
from optionstream.schemas.settings import Settings


def own_settings(folder: Path, **more: Any) -> Settings:
    """Settings of servers that nobody else uses, with their data in ``folder``."""
    ports = {f"{name}_port": free_port() for name in ("kafka", "mongo", "redis")}
    return Settings(data_dir=folder, **ports, **more)


@contextmanager
def own_stack(what: str) -> Iterator[tuple[Stack, Settings, Path]]:
    """A stack that is not up yet, its settings, and a temporary folder; it is taken down at the
    end."""
    with tempfile.TemporaryDirectory(prefix=f"optionstream-{what}-") as name:
        folder = Path(name)
        settings = own_settings(folder / "stack")
        stack = Stack(settings)
        try:
            yield stack, settings, folder
        finally:
            stack.down()
