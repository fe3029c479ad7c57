"""Gap records of what silences and holes tell."""

from __future__ import annotations

from typing import Final

from optionstream.schemas.derived import Gap
from optionstream.streams.core.ticks.columns import Feed
from optionstream.streams.core.ticks.holes import Hole
from optionstream.streams.core.ticks.silences import Silence

MAX_RANGES: Final = 1_000
"""Missing ranges that one gap lists, so that no record grows beyond what every store takes."""


def gap_of_silence(product: str, session: str, silence: Silence, known_at: int) -> Gap:
    """The record of a silence as last told; ``session`` is the key of its session."""
    return Gap(
        product=product,
        kind="silence",
        session=session,
        source="",
        label="",
        first=None,
        last=None,
        missing=[],
        start=silence.start,
        end=silence.end,
        revision=silence.revision,
        filled=silence.filled,
        known_at=known_at,
    )


def gap_of_hole(product: str, session: str, feed: Feed, hole: Hole, known_at: int) -> Gap:
    """The record of a hole in the numbers of ``feed`` as it is now."""
    source, label = feed
    return Gap(
        product=product,
        kind="sequence",
        session=session,
        source=source,
        label=label,
        first=hole.first,
        last=hole.last,
        missing=hole.missing[:MAX_RANGES],
        start=hole.start,
        end=hole.end,
        revision=hole.revision,
        filled=not hole.missing,
        known_at=known_at,
    )
