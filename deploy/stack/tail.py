"""The end of a log file, and the lines that are still being written to it."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path

_LOOK_AGAIN_S = 0.2


def last_lines(path: Path, count: int) -> list[str]:
    """Return the last ``count`` lines that are not blank; none when there is no such file."""
    try:
        with path.open(encoding="utf-8", errors="replace") as handle:
            return list(deque((line.rstrip("\n") for line in handle if line.strip()), count))
    except FileNotFoundError:
        return []


def last_words(log: Path) -> str:
    """Return the last line of a log, for an error about a process that ended."""
    return (last_lines(log, 1) or ["it printed nothing"])[0]


def tail(path: Path, count: int, follow: bool) -> Iterator[str]:
    """Yield the last ``count`` lines; with ``follow`` also new ones, until the caller stops."""
    with path.open(encoding="utf-8", errors="replace") as handle:
        yield from deque((line.rstrip("\n") for line in handle), count)
        partial = ""
        while follow:
            text = handle.readline()
            if not text:
                time.sleep(_LOOK_AGAIN_S)
                continue
            partial += text
            if partial.endswith("\n"):
                yield partial.rstrip("\n")
                partial = ""
