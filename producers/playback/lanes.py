"""Several ordered streams as one, by event time; each keeps its own order."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from heapq import heappop, heappush, merge
from typing import TypeVar

from optionstream.producers.playback.pieces import Piece

P = TypeVar("P", bound=Piece)


def by_time(lanes: Sequence[Iterable[P]]) -> Iterator[P]:
    """The pieces of all lanes by the event time that they complete, each lane in its own order.

    A piece whose time runs backwards in its lane goes right after the one before it. Of equals the
    earlier lane goes first. Lanes are read one piece ahead.
    """
    keyed = [_keyed(number, lane) for number, lane in enumerate(lanes)]
    for _, _, piece in merge(*keyed, key=lambda one: one[:2]):
        yield piece


def side_by_side(
    pieces: Iterable[P], horizon_ms: int, lane_of: Callable[[P], Hashable]
) -> Iterator[P]:
    """One stream whose lanes lie behind each other by up to ``horizon_ms`` (as a frame lies behind
    what came while it filled), as ``by_time`` of its lanes. Holds that much of it back."""
    held: list[tuple[int, int, P]] = []
    reached: dict[Hashable, int] = {}
    newest = 0
    for number, piece in enumerate(pieces):
        lane = lane_of(piece)
        at = reached[lane] = max(reached.get(lane, 0), piece.reach[-1])
        newest = max(newest, at)
        heappush(held, (at, number, piece))
        while held and held[0][0] <= newest - horizon_ms:
            yield heappop(held)[2]
    while held:
        yield heappop(held)[2]


def _keyed(number: int, lane: Iterable[P]) -> Iterator[tuple[int, int, P]]:
    reached = 0
    for piece in lane:
        reached = max(reached, piece.reach[-1])
        yield reached, number, piece
