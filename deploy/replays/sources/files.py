"""Where a replay's records come from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from optionstream.deploy.replays.sources.merged_feeds import FeedPlay, PlayedFeeds
from optionstream.producers.feeds import Feed, FeedHints, open_feed
from optionstream.producers.feeds.files.content import file_source
from optionstream.producers.kafka.publish_all import only_products
from optionstream.producers.playback import Piece
from optionstream.producers.raw.writing import RawWriter
from optionstream.schemas.errors import InputError, UsageError
from optionstream.schemas.events import MarketEvent
from optionstream.schemas.topics import RAW_FILES

Row = dict[str, Any]
_NO_RAW = "leave --raw out"


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
    def raw(self) -> bool:
        """Whether the bytes are published as received, beside their events."""

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

    def pieces(self, observer: SourceObserver, raw: RawWriter | None) -> Iterator[Piece]:
        """What to play, in order. ``raw``, given when ``raw`` is true, takes what was received."""

    def done(self) -> float | None:
        """The share of the input that has been taken out, 0 to 1; None when it cannot be told."""


@dataclass(slots=True)
class FileSource(PlayedFeeds):
    """Files in the order of the input; ``products`` None is all. ``raw`` publishes their bytes too,
    each file's before its events.

    After a scan different products, and the topics of one, go side by side by their event time, and
    frames are cut into slices of it. What lies under one product in one topic keeps its order.
    """

    paths: Sequence[Path]
    hints: FeedHints = field(default_factory=FeedHints)
    products: frozenset[str] | None = None
    raw: bool = False
    _feeds: list[Feed] = field(default_factory=list)
    _unread: list[Path] = field(default_factory=list)
    _lanes: list[list[Feed]] | None = None
    _sizes: dict[Path, int] = field(default_factory=dict)
    _taken: int = 0
    _writer: RawWriter | None = None
    _play: FeedPlay = field(init=False)

    def __post_init__(self) -> None:
        self._play = FeedPlay(self._chosen, self._received, self._over)

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
            "raw": self.raw,
        }

    def counted(self) -> Row:
        return {"files": len(self._feeds)}

    def open(self, observer: SourceObserver) -> None:
        for path in self.paths:
            try:
                feed = open_feed(path, self.hints)
                self._sizes[path] = path.stat().st_size
            except InputError as error:
                observer.bad(error)
                self._unread.append(path)
                continue
            if self.raw:
                raw_topic(feed, _NO_RAW)
            self._feeds.append(feed)
        if not self._feeds:
            raise InputError(", ".join(self.names[:3]), "no file can be replayed")

    def scan(self) -> None:
        self._lanes = self._play.scan(self._feeds)

    def pieces(self, observer: SourceObserver, raw: RawWriter | None) -> Iterator[Piece]:
        observer.files(len(self._feeds))
        self._writer = raw
        if raw is not None:
            self._keep_unread(raw)
        if self._lanes is None:
            return self._play.in_turn(self._feeds, observer)
        return self._play.side_by_side(self._lanes, observer)

    def done(self) -> float | None:
        total = sum(self._sizes.values())
        return self._taken / total if total and self._taken else None

    def _received(self, feed: Feed) -> Feed:
        if self._writer is None:
            return feed
        kept = self._writer.keep(raw_topic(feed, _NO_RAW), feed.source, feed.hints, stamped=False)
        return replace(feed, source=kept.source)

    def _over(self, feed: Feed) -> None:
        self._taken += self._sizes[feed.path]

    def _keep_unread(self, raw: RawWriter) -> None:
        """What no adapter knows today, one may know tomorrow."""
        for path in self._unread:
            try:
                raw.keep(RAW_FILES, file_source(path), self.hints, stamped=False)
            except InputError:
                continue  # not there at all: told when it was opened

    def _chosen(self, events: Iterator[MarketEvent]) -> Iterator[MarketEvent]:
        return events if self.products is None else only_products(events, self.products)


def raw_topic(feed: Feed, remedy: str) -> str:
    """Where the bytes of a feed go. Raises UsageError, with the remedy, when they lie elsewhere."""
    if feed.known.raw is None:
        raise UsageError(
            f"{feed.path}: an audit archive holds records, not a body as received: {remedy}"
        )
    return feed.known.raw
