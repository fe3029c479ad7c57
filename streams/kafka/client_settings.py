"""Where librdkafka's clients log: into Python's logging, warnings and worse."""

from __future__ import annotations

import logging
from typing import Any, Final

_LONGEST_WAIT_MS = 100


def gathering(gather_ms: int) -> dict[str, int]:
    """Consumer settings: once records are at hand the next request for some waits ``gather_ms``.

    Every record in the client's queue is enough for that. The wait is in the client: a request that
    waits in the broker is looked at with each record that comes. After a quiet moment a request is
    there already, and answered at once.

    A client has one request under way. It leaves out the partitions that have just brought records,
    and they are asked for again only when it has been answered: where the others are quiet, that is
    ``fetch.wait.max.ms`` later.
    """
    return {
        "queued.min.messages": 1,
        "fetch.queue.backoff.ms": gather_ms,
        "fetch.wait.max.ms": min(_LONGEST_WAIT_MS, 5 * gather_ms),
    }


CLIENT_LOG: Final[dict[str, Any]] = {"log_level": 4, "logger": logging.getLogger("librdkafka")}
"""Settings for every client of a worker."""
