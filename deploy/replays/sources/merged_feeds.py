"""Feeds as pieces of a replay: one after the other, or side by side by event time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from optionstream.deploy.replays.sources.trading_time import day_of
from optionstream.producers.feeds import Feed
from optionstream.producers.kafka.publisher import address_of
from optionstream.producers.playback import EventPiece, Piece, by_time, side_by_side, sliced
from optionstream.producers.playback.pieces import reach_of
from optionstream.schemas.errors import InputError
from optionstream.schemas.events import MarketEvent

MOST_HELD_MS = 3_600_000
"""How far back in event time a file may go for its parts to be put side by side."""


class Observer(Protocol):
    """The part of a replay's observer that feeds need."""

    def file(self, path: Path) -> None: ...
    def bad(self, error: InputError) -> None: ...


@dataclass(slots=True)
class FeedPlay:
    """``choose`` lets through, or cuts, what is to be played; ``turn`` is called when a feed's turn
    has come and gives what to read instead, ``over`` when it is over."""

    choose: Callable[[Iterator[MarketEvent]], Iterator[MarketEvent]]
    turn: Callable[[Feed], Feed] = lambda feed: feed
    over: Callable[[Feed], None] = lambda feed: None
    last_ms: int | None = None
    """The latest event time, when a scan has told; ``days``: of which there is something."""
    days: set[int] = field(default_factory=set)
    _horizon_ms: int = 0

    def scan(self, feeds: Iterable[Feed]) -> list[list[Feed]]:
        """Read all of them once; returns them as lanes that can go side by side."""
        lanes: dict[Any, list[Feed]] = {}
        for feed in feeds:
            lanes.setdefault(self._look_through(feed), []).append(feed)
        return list(lanes.values())

    def side_by_side(self, lanes: Iterable[Iterable[Feed]], observer: Observer) -> Iterator[Piece]:
        """The lanes of a scan by event time. What lies under one product in one topic keeps its
        order."""
        played = [sliced(self.in_turn(lane, observer)) for lane in lanes]
        return by_time([side_by_side(lane, self._horizon_ms, _lane_of) for lane in played])

    def in_turn(self, feeds: Iterable[Feed], observer: Observer) -> Iterator[EventPiece]:
        """One after the other. What cannot be read is told and left out."""
        for feed in feeds:
            observer.file(feed.path)
            try:
                taken = self.turn(feed)
                for event in self.choose(taken.events()):
                    yield EventPiece(event)
            except InputError as error:
                observer.bad(error)
                continue
            finally:
                self.over(feed)
            if taken.problems:
                more = f" (and {len(taken.problems) - 1} more)" if len(taken.problems) > 1 else ""
                observer.bad(InputError(str(feed.path), f"{taken.problems[0]}{more}"))

    def _look_through(self, feed: Feed) -> object:
        """Note the feed's last time and how far it goes back; returns what its first event is of,
        its lane. What cannot be read is told when its turn to be played comes."""
        lane: object = None
        newest = 0
        try:
            for event in self.choose(feed.events()):
                reach = reach_of(event)
                lane = lane or (address_of(event)[0], event.product)
                newest = max(newest, reach[-1])
                self.days.update(map(day_of, reach))
                self._horizon_ms = min(MOST_HELD_MS, max(self._horizon_ms, newest - reach[0]))
                self.last_ms = newest if self.last_ms is None else max(self.last_ms, newest)
        except InputError:
            return lane or feed.path
        return lane or feed.path


class PlayedFeeds:
    """A source whose pieces are feeds; what a scan told of them."""

    __slots__ = ()
    _play: FeedPlay

    @property
    def last_ms(self) -> int | None:
        return self._play.last_ms

    @property
    def days(self) -> set[int]:
        return self._play.days


def _lane_of(piece: EventPiece) -> tuple[str, str]:
    return address_of(piece.event)[0], piece.event.product
