"""Bodies as received as the source of a replay: the present adapters make the events anew."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from optionstream.deploy.replays.sources.copied_piece import within
from optionstream.deploy.replays.sources.files import SourceObserver
from optionstream.deploy.replays.sources.merged_feeds import FeedPlay, PlayedFeeds
from optionstream.deploy.replays.sources.raw_records import RawRecords
from optionstream.producers.feeds import Feed, FeedHints
from optionstream.producers.feeds.hints import NearestExpiry
from optionstream.producers.playback import Piece
from optionstream.producers.raw.reading import Assembly, RawBody
from optionstream.producers.raw.writing import RawWriter
from optionstream.schemas.errors import InputError, UsageError
from optionstream.schemas.events import MarketEvent
from optionstream.schemas.times import rfc3339

Row = dict[str, Any]


@dataclass(slots=True)
class RawSource(PlayedFeeds):
    """All that ``records`` has, in the order of its receipt; of the events those of ``products``
    (None: all) with an event time from ``start_ms`` up to, not including, ``end_ms`` (epoch ms).
    ``given`` goes before what the caller said when a body was received.

    A long body is put together in a temporary folder; a scan puts all of them there.
    """

    records: RawRecords
    given: FeedHints
    nearest: NearestExpiry
    products: frozenset[str] | None = None
    start_ms: int | None = None
    end_ms: int | None = None
    raw: bool = False
    _feeds: int = 0
    _lanes: list[list[Feed]] | None = None
    _told: list[InputError] = field(default_factory=list)
    _folder: tempfile.TemporaryDirectory[str] | None = None
    _play: FeedPlay = field(init=False)

    def __post_init__(self) -> None:
        self._play = FeedPlay(self._chosen, over=_forget)

    @property
    def names(self) -> list[str]:
        return [self.records.name]

    def described(self) -> Row:
        return {
            "kind": "raw",
            **self.records.described(),
            "start": rfc3339(self.start_ms) if self.start_ms is not None else None,
            "end": rfc3339(self.end_ms) if self.end_ms is not None else None,
            "products": sorted(self.products) if self.products is not None else None,
        }

    def counted(self) -> Row:
        return {"bodies": self._feeds}

    def open(self, observer: SourceObserver) -> None:
        self.records.open()
        self._folder = tempfile.TemporaryDirectory(prefix="optionstream-raw-")

    def scan(self) -> None:
        feeds = list(self._received(self._told.append, on_disk=True))
        self._lanes = self._play.scan(feeds)

    def pieces(self, observer: SourceObserver, raw: RawWriter | None) -> Iterator[Piece]:
        assert self._folder is not None
        with self._folder:
            if self._lanes is None:
                yield from self._play.in_turn(self._received(observer.bad), observer)
                return
            observer.files(self._feeds)
            for error in self._told:
                observer.bad(error)
            yield from self._play.side_by_side(self._lanes, observer)

    def done(self) -> float | None:
        return self.records.done()

    def _received(self, bad: Callable[[InputError], None], on_disk: bool = False) -> Iterator[Feed]:
        """Each body as a feed; those that cannot be read are told."""
        assert self._folder is not None
        folder = Path(self._folder.name)
        assembly = Assembly(folder)
        try:
            for record in self.records.records():
                place = f"{record.topic}|{record.partition}|{record.offset}"
                try:
                    body = assembly.take(place, record.headers, record.value)
                    if body is None:
                        continue
                    feed = self._feed(_on_disk(body, folder) if on_disk else body)
                except InputError as error:
                    bad(error)
                    continue
                self._feeds += 1
                yield feed
        except OSError as error:
            why = error.strerror or str(error)
            raise UsageError(
                f"{folder}: {why}: bodies are put together there; TMPDIR chooses another place"
            ) from None
        for lost in assembly.unfinished():
            bad(lost)

    def _feed(self, body: RawBody) -> Feed:
        try:
            return body.feed(self.given, self.nearest)
        except InputError:
            if isinstance(body.content, Path):
                body.content.unlink(missing_ok=True)
            raise

    def _chosen(self, events: Iterator[MarketEvent]) -> Iterator[MarketEvent]:
        for event in events:
            if self.products is None or event.product in self.products:
                kept = within(event, self.start_ms, self.end_ms)
                if kept is not None:
                    yield kept


def _on_disk(body: RawBody, folder: Path) -> RawBody:
    if isinstance(body.content, Path):
        return body
    file = folder / body.told.capture
    file.write_bytes(body.content)
    return body._replace(content=file)


def _forget(feed: Feed) -> None:
    """Its body was played: its file is not needed any more."""
    if feed.source.file is not None:
        feed.source.file.unlink(missing_ok=True)
