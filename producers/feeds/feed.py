"""Opening a file as a feed: which format it has, by its content, and its events."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from optionstream.producers.feeds.files.content import Source, file_source
from optionstream.producers.feeds.format import Format
from optionstream.producers.feeds.formats import format_of
from optionstream.producers.feeds.hints import FeedHints
from optionstream.schemas.errors import UsageError
from optionstream.schemas.events import MAX_FRAME_TICKS, MarketEvent


@dataclass(slots=True)
class Feed:
    """One file's events.

    ``problems`` says, after ``events()`` was read, which rows could not be used and why.
    """

    source: Source
    known: Format
    hints: FeedHints
    frame_ticks: int
    problems: list[str] = field(default_factory=list)

    @property
    def path(self) -> Path:
        return self.source.path

    @property
    def format(self) -> str:
        """The name of the file's format."""
        return self.known.name

    def events(self) -> Iterator[MarketEvent]:
        """The events in file order, checked; may be called again. Raises InputError."""
        self.problems.clear()
        return self.known.read(self.source, self.hints, self.frame_ticks, self.problems)


def open_feed(path: Path, hints: FeedHints, frame_ticks: int = 1000) -> Feed:
    """Find the format of ``path`` by its content.

    ``frame_ticks`` is the greatest number of ticks in one frame (session files keep their
    frames). Raises InputError naming the file: missing, empty, damaged or of no known format;
    ``events()`` raises it for what shows only when the whole file is read.
    """
    if not 1 <= frame_ticks <= MAX_FRAME_TICKS:
        raise UsageError(f"frame_ticks {frame_ticks}: use 1 to {MAX_FRAME_TICKS}")
    source = file_source(path)
    return Feed(source, format_of(source), hints, frame_ticks)
