"""Feeds as pieces of a replay: one after the other, or side by side by event time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass

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

    scanned: Scan
    choose: Callable[[Iterator[MarketEvent]], Iterator[MarketEvent]]
    turn: Callable[[Feed], Feed] = lambda feed: feed
    over: Callable[[Feed], None] = lambda feed: None
    lanes: dict[object, list[Feed]] | None = None
    """The feeds of a scan by what can go side by side; None before one."""

    def scan(self, feeds: Iterable[Feed]) -> None:
        """Read all feeds once."""
        self.lanes = {}
        for feed in feeds:
            self.lanes.setdefault(self._scan_feed(feed), []).append(feed)

    def pieces(self, feeds: Iterable[Feed], observer: InputObserver) -> Iterator[Piece]:
        """Yield the feeds one after the other, or after a scan (of which they are) by event time.

        One product in one topic keeps its order. Feeds that cannot be read are reported and
        skipped.
        """
        if self.lanes is None:
            return self._in_turn(feeds, observer)
        played = [sliced(self._in_turn(lane, observer)) for lane in self.lanes.values()]
        return by_time([side_by_side(lane, self.scanned.horizon_ms, _lane_of) for lane in played])

    def _in_turn(self, feeds: Iterable[Feed], observer: InputObserver) -> Iterator[EventPiece]:
        for feed in feeds:
            observer.start_file(feed.path)
            try:
                taken = self.turn(feed)
                for event in self.choose(taken.events()):
                    yield EventPiece(event)
            except InputError as error:
                observer.report_error(error)
                continue
            finally:
                self.over(feed)
            if taken.problems:
                more = f" (and {len(taken.problems) - 1} more)" if len(taken.problems) > 1 else ""
                observer.report_error(InputError(str(feed.path), f"{taken.problems[0]}{more}"))

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
