"""How a client waits for company instead of asking the broker for every single record."""

from __future__ import annotations

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
