"""All bars that must be found, recomputed from one part of a product's timeline after another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import polars as pl

from optionstream.schemas import redis_keys
from optionstream.schemas.derived import INTERVALS, PARTIAL
from optionstream.streams.verify.ticks.journal_frames import Timeline
from optionstream.streams.verify.ticks.window_book import BAR_COLUMNS, WindowBook


@dataclass(frozen=True)
class NewestBar:
    """The newest bar of a product and interval: ``row`` in BAR_COLUMNS, None if it has none.

    While windows are open, what is shown of them may be of any moment.
    """

    row: dict[str, Any] | None
    interval: str
    timeline: Timeline

    def agrees(self, row: dict[str, Any], *, every_partial: bool) -> bool:
        """True if ``row`` may be shown; with ``every_partial`` no event may be lacking in it.

        A partial bar may be of a later window that was spoiled since.
        """
        wanted = self.row
        if row == wanted:
            return True
        if row["revision"] != PARTIAL or (wanted is not None and row["start"] < wanted["start"]):
            return False
        if wanted is not None and row["start"] == wanted["start"]:
            lacking = row["ticks"] != wanted["ticks"]
            if wanted["final"] or (every_partial and lacking):
                return False
        frame = pl.DataFrame([row], schema=BAR_COLUMNS, orient="row", strict=False)
        return WindowBook(self.timeline, self.interval).wrong_partials(frame).is_empty()


class ExpectedBars:
    """Takes every timeline; on the way the partial bars among ``found`` (BAR_COLUMNS) are judged.

    ``newest`` is by Redis key.
    """

    def __init__(self, found: pl.DataFrame) -> None:
        self.newest: dict[str, NewestBar] = {}
        self._finals = [pl.DataFrame(schema=BAR_COLUMNS)]
        self._wrong = [pl.DataFrame(schema=BAR_COLUMNS)]
        partials = found.filter(pl.col("revision") <= PARTIAL)
        self._unjudged = {
            (str(product), str(interval)): frame
            for (product, interval), frame in partials.group_by("product", "interval")
        }

    def take_timeline(self, timeline: Timeline) -> None:
        """Recompute the bars of all intervals."""
        # Only a candle can leave a window of an earlier session in sight.
        shown = timeline if timeline.has_candles else timeline.newest_session()
        for interval in INTERVALS:
            book = WindowBook(timeline, interval)
            self._judge(book, timeline)
            finals = book.finals()
            self._finals.append(finals)
            self._note_newest(book, finals, shown)

    def finals(self) -> pl.DataFrame:
        """Return every revision of every closed bar, in BAR_COLUMNS."""
        return pl.concat(self._finals)

    def wrong_partials(self) -> pl.DataFrame:
        """Return the partial bars that were true at no moment, in BAR_COLUMNS."""
        return pl.concat([*self._wrong, *self._unjudged.values()])

    def _judge(self, book: WindowBook, timeline: Timeline) -> None:
        partials = self._unjudged.get((book.product, book.interval))
        if partials is None:
            return
        sessions = timeline.sessions
        opened, closed = sessions["session_open"].min(), sessions["session_close"].max()
        mine = (pl.col("start") >= opened) & (pl.col("start") < closed)
        self._wrong.append(book.wrong_partials(partials.filter(mine)))
        self._unjudged[book.product, book.interval] = partials.filter(~mine)

    def _note_newest(self, book: WindowBook, finals: pl.DataFrame, shown: Timeline) -> None:
        key = redis_keys.ohlc(book.product, book.interval)
        bars = pl.concat([finals, book.newest_open()]).sort("start", "revision")
        known = self.newest[key].row if key in self.newest else None
        row = bars.row(-1, named=True) if bars.height else known
        self.newest[key] = NewestBar(row, book.interval, shown)
