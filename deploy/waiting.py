"""Repeated attempts at something until a deadline."""

from __future__ import annotations

import time
from collections.abc import Iterator


def attempts(timeout_s: float, every_s: float) -> Iterator[None]:
    """Yield at once and then every ``every_s`` seconds, until ``timeout_s`` seconds have passed.

    A ``for`` loop over it returns or breaks when its condition holds; what follows the loop
    handles the timeout. The last attempt is made after the time has passed.
    """
    deadline_s = time.monotonic() + timeout_s
    while True:
        yield
        if time.monotonic() > deadline_s:
            return
        time.sleep(every_s)
