"""Files as the source of a replay."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from optionstream.deploy.replays.sources.merged_feeds import FeedPlay
from optionstream.deploy.replays.sources.source import (
    InputObserver,
    Row,
    Scan,
    describe_choice,
)
from optionstream.producers.feeds import Feed, FeedHints, open_feed
from optionstream.producers.feeds.files.content import file_source
from optionstream.producers.kafka.publish_all import only_products
from optionstream.producers.playback import Piece
from optionstream.producers.raw.writing import RawWriter
from optionstream.schemas.errors import InputError, UsageError
from optionstream.schemas.events import MarketEvent
from optionstream.schemas.topics import RAW_FILES

_NO_RAW = "leave --raw out"


@dataclass(slots=True)
class FileSource:
    """Files in the order given; ``products`` None means all.

    ``raw`` publishes their bytes too, each file's before its events. After a scan products and
    topics go side by side by event time, and frames are cut into slices of it. One product in
    one topic keeps its order.
    """

    paths: Sequence[Path]
    hints: FeedHints = field(default_factory=FeedHints)
    products: frozenset[str] | None = None
    raw: bool = False
    _feeds: list[Feed] = field(default_factory=list)
    _unread: list[Path] = field(default_factory=list)
    scanned: Scan = field(default_factory=Scan)
    _sizes: dict[Path, int] = field(default_factory=dict)
    _taken: int = 0
    _writer: RawWriter | None = None
    _play: FeedPlay = field(init=False)

    def __post_init__(self) -> None:
        self._play = FeedPlay(self.scanned, self._choose, self._keep_bytes, self._end_feed)

    @property
    def names(self) -> list[str]:
        """The paths."""
        return [str(path) for path in self.paths]

    def describe(self) -> Row:
        """Return kind, paths, choice and hints, for the manifest."""
        return {
            "kind": "files",
            "paths": self.names,
            **describe_choice(None, self.products),
            "product": self.hints.product,
            "expiry": self.hints.expiry,
            "timestamp_ms": self.hints.timestamp_ms,
            "raw": self.raw,
        }

    def counts(self) -> Row:
        """Return the number of usable files."""
        return {"files": len(self._feeds)}

    def open(self, observer: InputObserver) -> None:
        """Recognise every file; report those that are unknown or cannot be read.

        Raises InputError if no file is usable, UsageError for ``raw`` with an audit archive.
        """
        for path in self.paths:
            try:
                feed = open_feed(path, self.hints)
                self._sizes[path] = path.stat().st_size
            except InputError as error:
                observer.report_error(error)
                self._unread.append(path)
                continue
            if self.raw:
                raw_topic(feed, _NO_RAW)
            self._feeds.append(feed)
        if not self._feeds:
            raise InputError(", ".join(self.names[:3]), "no file can be replayed")

    def scan(self) -> None:
        """Read all files once."""
        self._play.scan(self._feeds)

    def pieces(self, observer: InputObserver, raw: RawWriter | None) -> Iterator[Piece]:
        """Yield the events of the files; ``raw`` takes their bytes."""
        observer.report_files(len(self._feeds))
        self._writer = raw
        if raw is not None:
            self._keep_unread(raw)
        return self._play.pieces(self._feeds, observer)

    def share_read(self) -> float | None:
        """Return the share of the files' bytes that was read; None before the first file ended."""
        total = sum(self._sizes.values())
        return self._taken / total if total and self._taken else None

    def _keep_bytes(self, feed: Feed) -> Feed:
        if self._writer is None:
            return feed
        kept = self._writer.keep(raw_topic(feed, _NO_RAW), feed.source, feed.hints, stamped=False)
        return replace(feed, source=kept.source)

    def _end_feed(self, feed: Feed) -> None:
        self._taken += self._sizes[feed.path]

    def _keep_unread(self, raw: RawWriter) -> None:
        """Keep files of unknown format too: a later adapter may read them."""
        for path in self._unread:
            try:
                raw.keep(RAW_FILES, file_source(path), self.hints, stamped=False)
            except InputError:
                continue  # it does not exist: reported by ``open``

    def _choose(self, events: Iterator[MarketEvent]) -> Iterator[MarketEvent]:
        return events if self.products is None else only_products(events, self.products)


def raw_topic(feed: Feed, remedy: str) -> str:
    """Return the topic for a feed's bytes; raise UsageError, with the remedy, if it has none."""
    if feed.known.raw is None:
        raise UsageError(f"{feed.path}: an audit archive holds records, not raw payloads: {remedy}")
    return feed.known.raw
