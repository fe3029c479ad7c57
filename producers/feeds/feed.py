"""Open a file as a feed: find its format by its content, yield its events."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from optionstream.producers.feeds.files.content import Source, file_source
from optionstream.producers.feeds.format import FeedInput, Format
from optionstream.producers.feeds.hints import FeedHints
from optionstream.producers.feeds.registry import format_of
from optionstream.producers.pacing import stamped
from optionstream.schemas.errors import UsageError
from optionstream.schemas.events import MAX_FRAME_TICKS, MarketEvent


@dataclass(slots=True)
class Feed:
    """One file's events.

    ``received_ms`` (UTC epoch ms) is their receipt, never before an event's own time; None keeps
    the receipt of the source. After ``events()`` was read, ``problems`` lists the rows that could
    not be used, with the reasons.
    """

    source: Source
    known: Format
    hints: FeedHints
    frame_ticks: int
    received_ms: int | None = None
    problems: list[str] = field(default_factory=list)

    @property
    def path(self) -> Path:
        """Path of the source."""
        return self.source.path

    @property
    def format(self) -> str:
        """The name of the file's format."""
        return self.known.name

    def events(self) -> Iterator[MarketEvent]:
        """Yield the checked events in file order; may be called again. Raises InputError."""
        self.problems.clear()
        file = FeedInput(self.source, self.hints, self.frame_ticks, self.problems)
        received_ms = self.received_ms
        found = self.known.read(file)
        yield from found if received_ms is None else stamped(found, lambda: received_ms)


def open_feed(path: Path, hints: FeedHints, frame_ticks: int = 1000) -> Feed:
    """Find the format of ``path`` by its content; see ``open_source``."""
    return open_source(file_source(path), hints, frame_ticks)


def open_source(
    source: Source, hints: FeedHints, frame_ticks: int = 1000, received_ms: int | None = None
) -> Feed:
    """Find the format of ``source`` by its content.

    ``frame_ticks`` is the greatest number of ticks in one frame (session files keep their frames).
    Raises InputError naming the file: missing, empty, damaged or of no known format; ``events()``
    raises it for faults that show only when the whole file is read.
    """
    if not 1 <= frame_ticks <= MAX_FRAME_TICKS:
        raise UsageError(f"frame_ticks {frame_ticks}: use 1 to {MAX_FRAME_TICKS}")
    return Feed(source, format_of(source), hints, frame_ticks, received_ms)
