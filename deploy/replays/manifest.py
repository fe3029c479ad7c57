"""The manifest of a replay: everything that is needed to say what it was, or to do it again."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from optionstream.deploy.namespaces.registry import code_version
from optionstream.schemas.settings import Settings
from optionstream.schemas.times import rfc3339, to_ms

if TYPE_CHECKING:
    from optionstream.producers.playback import Player

Row = dict[str, Any]

_DECIDING = (
    "partitions",
    "allowed_lateness_ms",
    "future_limit_ms",
    "partial_every_ms",
    "silence_ms",
    "quote_cadence_ms",
    "stale_ms",
    "iv_mode",
)
"""The settings that decide results."""


def began_manifest(name: str, source: Row, speed: str | float, settings: Settings) -> Row:
    """What is known when the replay begins; ``range``, ``schemas`` and ``counts`` follow at its
    end, and are null or empty in one that had none."""
    return {
        "id": name,
        "source": source,
        "speed": speed,
        "began": _now(),
        "ended": None,
        "range": None,
        "schemas": [],
        "counts": {},
        "code": code_version(),
        "settings": {key: getattr(settings, key) for key in _DECIDING},
    }


def ended_manifest(player: Player | None, counts: Row) -> Row:
    """The changes to the entry when the replay has ended, in whatever way: first and last event
    time published, records by schema and version, and ``counts``."""
    span = None
    if player is not None and player.first_ms is not None and player.last_ms is not None:
        span = {"first": rfc3339(player.first_ms), "last": rfc3339(player.last_ms)}
    schemas = player.schemas if player is not None else {}
    return {
        "manifest.ended": _now(),
        "manifest.range": span,
        "manifest.schemas": [{"schema": name, "records": n} for name, n in sorted(schemas.items())],
        "manifest.counts": counts,
    }


def _now() -> str:
    return rfc3339(to_ms(datetime.now(UTC)))
