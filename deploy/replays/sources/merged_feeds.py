"""Feeds as pieces of a replay: one after the other, or side by side by event time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from optionstream.deploy.replays.sources.source import InputObserver, Scan
from optionstream.producers.feeds import Feed
from optionstream.producers.kafka.publisher import address_of
from optionstream.producers.playback import EventPiece, Piece, by_time, side_by_side, sliced
from optionstream.producers.playback.pieces import reach_of
from optionstream.schemas.errors import InputError
from optionstream.schemas.events import MarketEvent


@dataclass(slots=True)
class FeedPlay:
    """Plays feeds. ``choose`` filters or cuts their events.

    ``turn`` is called when a feed's turn has come and returns the feed to read instead; ``over``
    is called when it has ended.
    """

    choose: Callable[[Iterator[MarketEvent]], Iterator[MarketEvent]]
    turn: Callable[[Feed], Feed] = lambda feed: feed
    over: Callable[[Feed], None] = lambda feed: None
    scanned: Scan = field(default_factory=Scan)

    def scan_lanes(self, feeds: Iterable[Feed]) -> list[list[Feed]]:
        """Read all feeds once; return them as lanes that can go side by side."""
        lanes: dict[Any, list[Feed]] = {}
        for feed in feeds:
            lanes.setdefault(self._scan_feed(feed), []).append(feed)
        return list(lanes.values())

    def side_by_side(
        self, lanes: Iterable[Iterable[Feed]], observer: InputObserver
    ) -> Iterator[Piece]:
        """Yield the lanes of a scan by event time; one product in one topic keeps its order."""
        played = [sliced(self.in_turn(lane, observer)) for lane in lanes]
        return by_time([side_by_side(lane, self.scanned.horizon_ms, _lane_of) for lane in played])

    def in_turn(self, feeds: Iterable[Feed], observer: InputObserver) -> Iterator[EventPiece]:
        """Yield one feed after the other; those that cannot be read are reported and skipped."""
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

    def _scan_feed(self, feed: Feed) -> object:
        """Scan a feed and return its lane: topic and product of its first event.

        A feed that cannot be read is reported when its turn to be played comes.
        """
        lane: object = None

        def reaches() -> Iterator[Sequence[int]]:
            nonlocal lane
            for event in self.choose(feed.events()):
                lane = lane or (address_of(event)[0], event.product)
                yield reach_of(event)

        with suppress(InputError):
            self.scanned.add_stream(reaches())
        return lane or feed.path


def _lane_of(piece: EventPiece) -> tuple[str, str]:
    return address_of(piece.event)[0], piece.event.product
