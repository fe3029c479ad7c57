"""Where a replay's records come from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from optionstream.deploy.replays.trading_time import day_of
from optionstream.producers.driver import only_products
from optionstream.producers.feeds import Feed, FeedHints, open_feed
from optionstream.producers.playback import EventPiece, Piece, by_time, side_by_side, sliced
from optionstream.producers.playback.pieces import reach_of
from optionstream.producers.publisher import address_of
from optionstream.schemas.errors import InputError
from optionstream.schemas.events import MarketEvent

Row = dict[str, Any]

MOST_HELD_MS = 3_600_000
"""How far back in event time a file may go for its parts to be put side by side."""


class SourceObserver(Protocol):
    """Told what becomes of the input."""

    def files(self, count: int) -> None:
        """This many files will be published."""

    def file(self, path: Path) -> None:
        """A file's turn has come."""

    def bad(self, error: InputError) -> None:
        """A file, or rows of one, could not be used."""


class Source(Protocol):
    """``open``, then maybe ``scan``, then ``pieces``; each at most once."""

    @property
    def names(self) -> list[str]:
        """What it reads, for the registry."""

    @property
    def last_ms(self) -> int | None:
        """The latest event time to come (epoch ms), when a scan has told."""

    @property
    def days(self) -> set[int]:
        """The days (``trading_time.day_of``) of which there is something, when a scan has told."""

    def described(self) -> Row:
        """For the manifest: ``kind``, and what makes it up."""

    def counted(self) -> Row:
        """For the result: how much there was of what."""

    def open(self, observer: SourceObserver) -> None:
        """Raises InputError when there is nothing at all to replay."""

    def scan(self) -> None:
        """Read all of it once, so that streams can go side by side and the end is known."""

    def pieces(self, observer: SourceObserver) -> Iterator[Piece]:
        """What to play, in order."""

    def done(self) -> float | None:
        """The share of the input that has been taken out, 0 to 1; None when it cannot be told."""


@dataclass(slots=True)
class FileSource:
    """Files in the order of the input; ``products`` None is all.

    After a scan different products, and the topics of one, go side by side by their event time, and
    frames are cut into slices of it. What lies under one product in one topic keeps its order.
    """

    paths: Sequence[Path]
    hints: FeedHints = field(default_factory=FeedHints)
    products: frozenset[str] | None = None
    last_ms: int | None = None
    days: set[int] = field(default_factory=set)
    _feeds: list[Feed] = field(default_factory=list)
    _lanes: list[list[Feed]] | None = None
    _horizon_ms: int = 0
    _sizes: dict[Path, int] = field(default_factory=dict)
    _taken: int = 0

    @property
    def names(self) -> list[str]:
        return [str(path) for path in self.paths]

    def described(self) -> Row:
        return {
            "kind": "files",
            "paths": self.names,
            "products": sorted(self.products) if self.products is not None else None,
            "product": self.hints.product,
            "expiry": self.hints.expiry,
            "timestamp_ms": self.hints.timestamp_ms,
        }

    def counted(self) -> Row:
        return {"files": len(self._feeds)}

    def open(self, observer: SourceObserver) -> None:
        for path in self.paths:
            try:
                self._feeds.append(open_feed(path, self.hints))
                self._sizes[path] = path.stat().st_size
            except InputError as error:
                observer.bad(error)
        if not self._feeds:
            raise InputError(", ".join(self.names[:3]), "no file can be replayed")

    def scan(self) -> None:
        lanes: dict[Any, list[Feed]] = {}
        for feed in self._feeds:
            lanes.setdefault(self._look_through(feed), []).append(feed)
        self._lanes = list(lanes.values())

    def pieces(self, observer: SourceObserver) -> Iterator[Piece]:
        observer.files(len(self._feeds))
        if self._lanes is None:
            return self._played(self._feeds, observer)
        lanes = [sliced(self._played(lane, observer)) for lane in self._lanes]
        return by_time([side_by_side(lane, self._horizon_ms, _lane_of) for lane in lanes])

    def done(self) -> float | None:
        total = sum(self._sizes.values())
        return self._taken / total if total and self._taken else None

    def _look_through(self, feed: Feed) -> object:
        """Note the file's last time and how far it goes back; returns what its first event is of,
        its lane. What cannot be read is told when its turn to be played comes."""
        lane: object = None
        newest = 0
        try:
            for event in self._chosen(feed.events()):
                reach = reach_of(event)
                lane = lane or (address_of(event)[0], event.product)
                newest = max(newest, reach[-1])
                self.days.update(map(day_of, reach))
                self._horizon_ms = min(MOST_HELD_MS, max(self._horizon_ms, newest - reach[0]))
                self.last_ms = newest if self.last_ms is None else max(self.last_ms, newest)
        except InputError:
            return lane or feed.path
        return lane or feed.path

    def _played(self, feeds: Iterable[Feed], observer: SourceObserver) -> Iterator[EventPiece]:
        for feed in feeds:
            observer.file(feed.path)
            try:
                for event in self._chosen(feed.events()):
                    yield EventPiece(event)
            except InputError as error:
                observer.bad(error)
                continue
            finally:
                self._taken += self._sizes[feed.path]
            if feed.problems:
                more = f" (and {len(feed.problems) - 1} more)" if len(feed.problems) > 1 else ""
                observer.bad(InputError(str(feed.path), f"{feed.problems[0]}{more}"))

    def _chosen(self, events: Iterator[MarketEvent]) -> Iterator[MarketEvent]:
        return events if self.products is None else only_products(events, self.products)


def _lane_of(piece: EventPiece) -> tuple[str, str]:
    return address_of(piece.event)[0], piece.event.product
