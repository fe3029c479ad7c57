"""The contract of a replay's source, and the parts that several sources share."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeVar

from optionstream.deploy.replays.sources.trading_time import day_of
from optionstream.producers.playback import Piece
from optionstream.producers.playback.pieces import some_rows
from optionstream.producers.raw.writing import RawWriter
from optionstream.schemas.errors import InputError
from optionstream.schemas.events import CandleFrame, MarketEvent, OptionQuoteFrame, Tick, TickFrame
from optionstream.schemas.times import rfc3339

MAX_HORIZON_MS = 3_600_000
"""The farthest that a stream may go back in event time for its parts to be put side by side."""

Row = dict[str, Any]
C = TypeVar("C", bound=MarketEvent | Tick)


class InputObserver:
    """Receives reports about the input. Does nothing itself."""

    def report_files(self, count: int) -> None:
        """Report that ``count`` files will be published."""

    def start_file(self, path: Path) -> None:
        """Report that a file's turn has come."""

    def report_error(self, error: InputError) -> None:
        """Report that a file, or rows of one, cannot be used."""


@dataclass(slots=True)
class Scan:
    """Results of reading all of a source once, before it is played."""

    last_ms: int | None = None
    """The latest event time (epoch ms); None before a scan."""
    days: set[int] = field(default_factory=set)
    """The days that have events (``trading_time.day_of``)."""
    horizon_ms: int = 0
    """The farthest that a stream goes back in event time, at most MAX_HORIZON_MS."""

    def add_stream(self, reaches: Iterable[Sequence[int]]) -> None:
        """Add one stream, given as the event times reached within each of its pieces, in order."""
        newest = 0
        for reach in reaches:
            newest = max(newest, reach[-1])
            self.days.update(map(day_of, reach))
            self.horizon_ms = min(MAX_HORIZON_MS, max(self.horizon_ms, newest - reach[0]))
            self.last_ms = newest if self.last_ms is None else max(self.last_ms, newest)


@dataclass(frozen=True, slots=True)
class EventSpan:
    """Event times from ``start_ms`` up to, not including, ``end_ms`` (epoch ms); None: no limit.

    A candle's event time is its start.
    """

    start_ms: int | None = None
    end_ms: int | None = None

    def includes(self, at_ms: int) -> bool:
        """Return True if an instant (epoch ms) is within the span."""
        return (self.start_ms is None or self.start_ms <= at_ms) and (
            self.end_ms is None or at_ms < self.end_ms
        )

    def cut(self, event: C) -> C | None:
        """Return the event with only its rows within the span; None if there are none."""
        if isinstance(event, TickFrame | OptionQuoteFrame):
            stamps = event.ts_ms
        elif isinstance(event, CandleFrame):
            stamps = event.start_ms
        else:
            stamps = [event.ts_ms if isinstance(event, Tick) else event.ts_event]
        kept = [at for at, stamp in enumerate(stamps) if self.includes(stamp)]
        if len(kept) == len(stamps):
            return event
        if not kept:
            return None
        assert isinstance(event, TickFrame | OptionQuoteFrame | CandleFrame)
        return some_rows(event, kept)


def describe_choice(span: EventSpan | None, products: frozenset[str] | None) -> Row:
    """Return the part of a manifest that says which events were chosen."""
    chosen: Row = {"products": sorted(products) if products is not None else None}
    if span is None:
        return chosen
    ends = {"start": span.start_ms, "end": span.end_ms}
    times = {name: rfc3339(at) if at is not None else None for name, at in ends.items()}
    return times | chosen


class Source(Protocol):
    """A source of a replay: ``open``, then maybe ``scan``, then ``pieces``; each at most once."""

    @property
    def names(self) -> list[str]:
        """The names of what it reads, for the registry."""

    @property
    def raw(self) -> bool:
        """True if payloads are published as received, beside their events."""

    @property
    def scanned(self) -> Scan:
        """The results of the scan."""

    def describe(self) -> Row:
        """Return its ``kind`` and its parts, for the manifest."""

    def counts(self) -> Row:
        """Return how much was read of what, for the result."""

    def open(self, observer: InputObserver) -> None:
        """Check the input. Raises InputError when there is nothing at all to replay."""

    def scan(self) -> None:
        """Read all of it once, so that streams can go side by side and the end is known."""

    def pieces(self, observer: InputObserver, raw: RawWriter | None) -> Iterator[Piece]:
        """Yield the pieces to play, in order; ``raw`` takes the payloads if ``raw`` is true."""

    def share_read(self) -> float | None:
        """Return the share of the input that was read, 0 to 1; None when it is not known."""
