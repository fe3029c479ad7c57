"""A folder's lock, which its writers share; and making names in it durable."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from optionstream.schemas.errors import OptionstreamError

LOCK_WAIT_S = 5.0
_LOOK_AGAIN_S = 0.01


class ArchiveBusy(OptionstreamError):
    """Another worker holds the lock: it will let go, or end."""


@contextmanager
def locked(fd: int, what: str) -> Iterator[None]:
    """Alone with an open file. Raises ArchiveBusy when somebody holds it for long, OSError where
    the file system has no locks."""
    until_s = time.monotonic() + LOCK_WAIT_S
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError:
            if time.monotonic() > until_s:
                raise ArchiveBusy(f"another worker holds the lock of {what}") from None
            time.sleep(_LOOK_AGAIN_S)
    try:
        yield
    finally:
        fcntl.flock(fd, fcntl.LOCK_UN)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
