"""Calls in a process of their own, for what may end the process that does it.

A library that reads a damaged file can ask for more memory than there is, and is then ended by its
runtime without an exception.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import lru_cache
from multiprocessing import get_context
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class EndedError(Exception):
    """The process in which the call ran has ended."""


def apart(call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """What ``call`` returns or raises there; raises EndedError when it ended the process. Call,
    arguments and result are pickled."""
    try:
        return _process().submit(call, *args, **kwargs).result()
    except BrokenProcessPool:
        _process.cache_clear()
        raise EndedError from None


@lru_cache(maxsize=1)
def _process() -> ProcessPoolExecutor:
    """One for all calls: it takes a second to start. Spawned, for a fork of a process with threads
    may hang."""
    return ProcessPoolExecutor(1, get_context("spawn"), initializer=_silence)


def _silence() -> None:
    """What a runtime prints before it ends the process is of no use to the one who asked."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
