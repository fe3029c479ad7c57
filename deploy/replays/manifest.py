"""The manifest of a replay: everything needed to describe it or to repeat it."""

from __future__ import annotations

import os
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import optionstream
from optionstream.deploy.stack.processes import run_program
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
"""The settings that affect results."""


def start_manifest(name: str, source: Row, speed: str | float, settings: Settings) -> Row:
    """Return the manifest of a replay that starts.

    ``range``, ``schemas`` and ``counts`` are filled in at its end; they stay null or empty in a
    replay that did not end.
    """
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


def manifest_changes(player: Player | None, counts: Row) -> Row:
    """Return the changes to the entry when the replay has ended, in whatever way.

    They are the first and last event time published, records by schema, and ``counts``.
    """
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


def code_version() -> str:
    """Return ``0.1.0``, with the commit when this runs from a repository."""
    folder = Path(__file__).resolve().parents[1]
    try:
        asked = run_program(
            ["git", "-C", str(folder), "rev-parse", "--short", "HEAD"], os.environ, timeout_s=5
        )
    except (OSError, subprocess.SubprocessError):
        return optionstream.__version__
    commit = asked.stdout.strip() if asked.returncode == 0 else ""
    in_repository = commit and (folder.parent / ".git").exists()
    return f"{optionstream.__version__}+{commit}" if in_repository else optionstream.__version__
