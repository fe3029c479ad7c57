"""What is played: an event with the time of each of its rows, and the cutting of frames.

A frame can go out in parts, because its size never changes a result. Rows keep their order.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from typing import Final, Protocol, Self, TypeVar

from msgspec.structs import replace

from optionstream.producers.kafka.publisher import Publisher
from optionstream.schemas import codec
from optionstream.schemas.events import (
    CandleFrame,
    Heartbeat,
    MarketEvent,
    OptionQuoteFrame,
    TickFrame,
)

_Frame = TickFrame | CandleFrame | OptionQuoteFrame

SLICE_MS: Final = 1_000
"""At a pace, a frame holds no more than the rows of one such stretch of event time."""

F = TypeVar("F", bound=_Frame)


class Piece(Protocol):
    """One record to be, or a part of one."""

    @property
    def reach(self) -> Sequence[int]:
        """The event time (epoch ms) reached after each row that can be cut off; never falls."""

    @property
    def events(self) -> int:
        """Ticks, candles, quotes and chains in it: what ``step`` counts."""

    @property
    def schema(self) -> str:
        """Name and version of its schema."""

    def cut(self, rows: int) -> tuple[Self, Self]:
        """The first ``rows`` rows, and the others; both are there."""

    def send(self, publisher: Publisher) -> None:
        """Hand it to the publisher."""


class EventPiece:
    """A market event as a piece."""

    __slots__ = ("event", "reach")

    def __init__(self, event: MarketEvent, reach: Sequence[int] | None = None) -> None:
        self.event = event
        self.reach = reach_of(event) if reach is None else reach

    @property
    def events(self) -> int:
        return 0 if isinstance(self.event, Heartbeat) else len(self.reach)

    @property
    def schema(self) -> str:
        return codec.schema_of(self.event)

    def cut(self, rows: int) -> tuple[EventPiece, EventPiece]:
        event = self.event
        assert isinstance(event, _Frame) and 0 < rows < len(self.reach)
        first = some_rows(event, range(rows))
        if event.ts_recv == self.reach[-1] and not isinstance(event, OptionQuoteFrame):
            # The source told no receipt: the part was received when its own last row was. (What
            # is assembled from quotes carries their frame's receipt, which therefore stays.)
            first = replace(first, ts_recv=self.reach[rows - 1])
        rest = some_rows(event, range(rows, len(self.reach)))
        return EventPiece(first, self.reach[:rows]), EventPiece(rest, self.reach[rows:])

    def send(self, publisher: Publisher) -> None:
        publisher.publish(self.event)


def reach_of(event: MarketEvent) -> list[int]:
    """The event time reached after each row of a frame (a candle's row is complete at its end), or
    of the whole event."""
    if isinstance(event, TickFrame | OptionQuoteFrame):
        return list(accumulate(event.ts_ms, max))
    if isinstance(event, CandleFrame):
        return [start + event.interval_ms for start in accumulate(event.start_ms, max)]
    return [event.ts_event]


P = TypeVar("P", bound=Piece)


def sliced(pieces: Iterable[P]) -> Iterator[P]:
    """The pieces, each cut where its time passes into another stretch of SLICE_MS."""
    for piece in pieces:
        stretches = [ms // SLICE_MS for ms in piece.reach]
        ends = [n for n in range(1, len(stretches)) if stretches[n] != stretches[n - 1]]
        yield from _parts(piece, ends)


def framed(pieces: Iterable[P], rows: int) -> Iterator[P]:
    """The pieces, those of more than ``rows`` rows cut into parts of so many."""
    for piece in pieces:
        yield from _parts(piece, range(rows, len(piece.reach), rows))


def _parts(piece: P, ends: Sequence[int], before: int = 0) -> Iterator[P]:
    """The piece cut behind each of these rows, counted with the ``before`` rows that lie ahead of
    it. Halves are halved: each cut copies all rows of its piece."""
    if not ends:
        yield piece
        return
    middle = len(ends) // 2
    head, rest = piece.cut(ends[middle] - before)
    yield from _parts(head, ends[:middle], before)
    yield from _parts(rest, ends[middle + 1 :], ends[middle])


def some_rows(frame: F, rows: Sequence[int]) -> F:
    """The frame with only these rows of each of its columns."""
    columns = {
        name: [column[at] for at in rows]
        for name in frame.__struct_fields__
        if isinstance(column := getattr(frame, name), list)
    }
    return replace(frame, **columns)
