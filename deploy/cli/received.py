"""Files that ``feed file`` publishes as if they came in live."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from optionstream.deploy.cli.output import Failures, note
from optionstream.producers.feeds import Feed, FeedHints, open_feed
from optionstream.producers.feeds.files.content import file_source
from optionstream.producers.raw.writing import RawWriter, TakesRaw
from optionstream.schemas.errors import InputError
from optionstream.schemas.events import MarketEvent
from optionstream.schemas.topics import RAW_FILES


class ReceivedFiles:
    """Files stamped as received now, each once.

    With a ``publisher`` their bytes are published first; the events refer to that receipt.
    """

    def __init__(
        self,
        given: FeedHints,
        failures: Failures,
        now_ms: Callable[[], int],
        publisher: TakesRaw | None,
    ) -> None:
        self._given = given
        self._failures = failures
        self._now_ms = now_ms
        self._writer = RawWriter(publisher, now_ms) if publisher is not None else None

    def events(
        self, paths: Sequence[Path], products: Collection[str] | None
    ) -> Iterator[MarketEvent]:
        """Yield the events of all files, or of ``products`` alone.

        What ends the reading of a file, and rows that cannot be used, are reported.
        """
        for path in paths:
            try:
                feed = self._received(path)
                for event in feed.events():
                    if products is None or event.product in products:
                        yield event
                self._failures.add_problems(str(path), feed.problems)
            except InputError as error:
                self._failures.add_error(error)

    def _received(self, path: Path) -> Feed:
        try:
            feed = open_feed(path, self._given)
        except InputError:
            if self._writer is not None and path.is_file():  # an adapter of tomorrow may know it
                self._writer.keep(RAW_FILES, file_source(path), self._given, stamped=True)
            raise
        if self._writer is None or feed.known.raw is None:
            if self._writer is not None:
                note(f"{path}: not kept as raw: an archive of records, not bytes as received")
            return replace(feed, received_ms=self._now_ms())
        kept = self._writer.keep(feed.known.raw, feed.source, self._given, stamped=True)
        return replace(feed, source=kept.source, received_ms=kept.received_ms)
