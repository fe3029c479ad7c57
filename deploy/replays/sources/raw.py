"""Raw payloads as the source of a replay: the present adapters parse them again."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from optionstream.deploy.replays.sources.merged_feeds import FeedPlay
from optionstream.deploy.replays.sources.raw_records import RawRecords
from optionstream.deploy.replays.sources.source import (
    EventSpan,
    InputObserver,
    Row,
    Scan,
    describe_choice,
)
from optionstream.producers.feeds import Feed, FeedHints
from optionstream.producers.feeds.hints import NearestExpiry
from optionstream.producers.playback import Piece
from optionstream.producers.raw.reading import Assembly, RawBody
from optionstream.producers.raw.writing import RawWriter
from optionstream.schemas.errors import InputError, UsageError
from optionstream.schemas.events import MarketEvent


@dataclass(slots=True)
class RawSource:
    """All payloads of ``records`` in the order of their receipt.

    Of their events those of ``products`` (None: all) within ``span`` are played. ``given`` takes
    precedence over the hints that a payload was received with. A long payload is assembled in a
    temporary folder; a scan puts all of them there.
    """

    records: RawRecords
    given: FeedHints
    nearest: NearestExpiry
    products: frozenset[str] | None = None
    span: EventSpan = field(default_factory=EventSpan)
    raw: bool = False
    _feeds: int = 0
    scanned: Scan = field(default_factory=Scan)
    _problems: list[InputError] = field(default_factory=list)
    _folder: tempfile.TemporaryDirectory[str] | None = None
    _play: FeedPlay = field(init=False)

    def __post_init__(self) -> None:
        self._play = FeedPlay(self.scanned, self._choose, over=_remove_file)

    @property
    def names(self) -> list[str]:
        """The name of the records."""
        return [self.records.name]

    def describe(self) -> Row:
        """Return kind, origin and choice, for the manifest."""
        return {
            "kind": "raw",
            **self.records.describe(),
            **describe_choice(self.span, self.products),
        }

    def counts(self) -> Row:
        """Return the number of payloads."""
        return {"bodies": self._feeds}

    def open(self, observer: InputObserver) -> None:
        """Open the records. Raises InputError or NamespaceError when there are none."""
        self.records.open()
        self._folder = tempfile.TemporaryDirectory(prefix="optionstream-raw-")

    def scan(self) -> None:
        """Read all payloads once and parse them."""
        feeds = list(self._read_feeds(self._problems.append, on_disk=True))
        self._play.scan(feeds)

    def pieces(self, observer: InputObserver, raw: RawWriter | None) -> Iterator[Piece]:
        """Yield the events of the payloads; ``raw`` is not used."""
        assert self._folder is not None
        with self._folder:
            if self._play.lanes is None:
                yield from self._play.pieces(self._read_feeds(observer.report_error), observer)
                return
            observer.report_files(self._feeds)
            for error in self._problems:
                observer.report_error(error)
            yield from self._play.pieces((), observer)

    def share_read(self) -> float | None:
        """Return the share of the records that was read; None when it is not known."""
        return self.records.share_read()

    def _read_feeds(
        self, bad: Callable[[InputError], None], on_disk: bool = False
    ) -> Iterator[Feed]:
        """Yield each payload as a feed; those that cannot be read go to ``bad``."""
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
                f"{folder}: {why}: payloads are assembled there; TMPDIR chooses another place"
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

    def _choose(self, events: Iterator[MarketEvent]) -> Iterator[MarketEvent]:
        for event in events:
            if self.products is None or event.product in self.products:
                kept = self.span.cut(event)
                if kept is not None:
                    yield kept


def _on_disk(body: RawBody, folder: Path) -> RawBody:
    if isinstance(body.content, Path):
        return body
    file = folder / body.told.capture
    file.write_bytes(body.content)
    return body._replace(content=file)


def _remove_file(feed: Feed) -> None:
    """Remove the file of a payload that was played."""
    if feed.source.file is not None:
        feed.source.file.unlink(missing_ok=True)
