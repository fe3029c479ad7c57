"""How a client waits for company instead of asking the broker for every single record."""

from __future__ import annotations


def gathering(gather_ms: int) -> dict[str, int]:
    """Consumer settings: once records are at hand the next request for some waits ``gather_ms``.

    Every record in the client's queue is enough for that. The wait is in the client: a request that
    waits in the broker is looked at with each record that comes. After a quiet moment a request is
    there already, and answered at once.
    """
    return {"queued.min.messages": 1, "fetch.queue.backoff.ms": gather_ms}
