"""What a file format is to the registry."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from optionstream.producers.feeds.files.content import Source
from optionstream.producers.feeds.hints import FeedHints
from optionstream.schemas.events import MarketEvent
from optionstream.schemas.topics import RAW_FILES

Recogniser = Callable[[bytes], bool]
Reader = Callable[[Source, FeedHints, int, list[str]], Iterator[MarketEvent]]


@dataclass(frozen=True, slots=True)
class Format:
    """A file format: its name, how it is told, how it is read.

    ``recognise`` gets the first unpacked bytes of a file (up to some kilobytes, a byte-order mark
    taken off) and never raises. ``read`` gets the source, the hints, the greatest number of ticks,
    candles or quotes in one frame, and the list to which it adds what it could not use; it yields
    checked events and raises InputError. A member of ``topics.RAW_TOPICS`` says who wrote it.
    """

    name: str
    recognise: Recogniser
    read: Reader
    raw: str | None = RAW_FILES
    """The raw topic that its bytes go to; None when what it tells is not in its bytes."""
