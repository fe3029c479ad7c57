"""Timelines made of a journal, some sessions at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from optionstream.streams.verify.ticks.journal import UNNUMBERED, Feed, Journal, Table


@dataclass(frozen=True, slots=True)
class Timeline:
    """Whole sessions of one product; ``at`` as in Journal, everything else as columns of frames.

    events: in the order of ``at``: at, session, ts and last_ts (the same for a tick), open, high,
        low, close, first_key and last_key (of the least in a window is the open, of the greatest
        the close; the same for a tick), volume (the day's; null where none), feed and number (of
        a tick with a number), length (of a candle) and traded (of one that has it)
    watermark: wm, at: the first ``at`` by which the watermark had reached ``wm``; wm rises
    sessions: session, name, session_open, session_close, session_closed_at (null: still current)
    feeds: by ``feed``
    """

    product: str
    events: pl.DataFrame
    watermark: pl.DataFrame
    sessions: pl.DataFrame
    feeds: list[Feed]

    @property
    def has_candles(self) -> bool:
        """True if any event is a candle."""
        return self.events["length"].null_count() < self.events.height

    def placed(self, length_ms: int) -> pl.DataFrame:
        """Return the events with their window (start, end), by window, then by arrival."""
        opened, start = pl.col("session_open"), pl.col("start")
        since = pl.col("ts") - opened
        return (
            self.events.join(self.sessions.drop("name"), on="session", how="left")
            .with_columns(start=opened + since // length_ms * length_ms)
            .with_columns(end=pl.min_horizontal(start + length_ms, "session_close"))
            .sort("start", "at")
        )

    def reached(self, frame: pl.DataFrame, time: str, name: str) -> pl.DataFrame:
        """Return the frame with the moment ``name`` at which the watermark reached ``time``.

        At ``session_closed_at`` at the latest; null while neither has come. Sorted by ``time``.
        """
        watermark = self.watermark.rename({"at": name})
        return (
            frame.sort(time)
            .join_asof(watermark, left_on=time, right_on="wm", strategy="forward")
            .with_columns(pl.min_horizontal(name, "session_closed_at").alias(name))
            .drop("wm", strict=False)
        )

    def newest_session(self) -> Timeline:
        """Return the last of the sessions alone."""
        newest = pl.col("session") == self.sessions["session"].max()
        return replace(
            self, events=self.events.filter(newest), sessions=self.sessions.filter(newest)
        )


EVENTS_A_PART = 1_000_000
"""A part ends with the session that brings it there: memory grows with a part, not the whole."""

_SESSIONS = {
    "session": pl.Int64,
    "name": pl.String,
    "session_open": pl.Int64,
    "session_close": pl.Int64,
    "session_closed_at": pl.Int64,
}
_MINUTE_MS = 60_000
_PRICES = ("open", "high", "low", "close")


def timelines_of(
    product: str, journal: Journal, lateness_ms: int, events_a_part: int
) -> Iterator[Timeline]:
    """Yield all that the journal holds, in parts of whole sessions, in order."""
    first = 0
    for end in _part_ends(journal, events_a_part):
        part = _Part(journal, first, end)
        events = part.events()
        watermark = part.watermark(events, lateness_ms)
        yield Timeline(product, events, watermark, part.sessions(), list(journal.feeds))
        first = end


def _part_ends(journal: Journal, events_a_part: int) -> Iterator[int]:
    """Yield the number of the first session of each part but the first, and of the end."""
    before = 0
    for number, log in enumerate(journal.sessions):
        if log.ticks + log.candles - before >= events_a_part:
            before = log.ticks + log.candles
            yield number
    if journal.sessions:
        yield len(journal.sessions)


class _Part:
    """The sessions from number ``first`` up to, not including, ``end``."""

    def __init__(self, journal: Journal, first: int, end: int) -> None:
        self._journal = journal
        self._first = first
        self._logs = journal.sessions[first:end]
        start = self._logs[0]
        after = journal.sessions[end] if end < len(journal.sessions) else None
        self._ended_at = after and after.at
        self._tick_rows = slice(start.ticks, after and after.ticks)
        self._candle_rows = slice(start.candles, after and after.candles)
        self._mark_rows = slice(start.marks, after and after.marks)

    def sessions(self) -> pl.DataFrame:
        """Return `Timeline.sessions`."""
        ends = [*(log.at for log in self._logs[1:]), self._ended_at]
        rows = [
            (self._first + index, log.session.key, log.session.open_ms, log.session.close_ms, end)
            for index, (log, end) in enumerate(zip(self._logs, ends, strict=True))
        ]
        return pl.DataFrame(rows, schema=_SESSIONS, orient="row")

    def watermark(self, events: pl.DataFrame, lateness_ms: int) -> pl.DataFrame:
        """Return `Timeline.watermark`."""
        before = pl.DataFrame({"at": [self._logs[0].at], "ts": [self._logs[0].ts_ms]})
        marks = _frame(self._journal.marks, self._mark_rows)
        reached = events.select("at", ts="last_ts")
        return (
            pl.concat([before, reached, marks])
            .sort("at")
            .select("at", wm=(pl.col("ts") - lateness_ms).cum_max())
            .filter(pl.col("wm").ne_missing(pl.col("wm").shift(1)))
        )

    def events(self) -> pl.DataFrame:
        """Return `Timeline.events`."""
        ticks = _frame(self._journal.ticks, self._tick_rows, "volume")
        candles = _frame(self._journal.candles, self._candle_rows, "traded")
        none = pl.lit(0, dtype=pl.Int64)
        points = pl.concat(
            [
                ticks.select("ts", "order", minute=_minute()),
                candles.select("ts", order=none, minute=_minute()),
                candles.select(ts="last_ts", order=none, minute=_minute()),
            ]
        )
        keys, count = _keys(points), candles.height
        ticks = ticks.with_columns(first_key=keys.head(ticks.height))
        candles = candles.with_columns(
            first_key=keys.slice(ticks.height, count), last_key=keys.tail(count)
        )
        numbered = pl.col("feed") != UNNUMBERED
        ticks = ticks.select(
            pl.exclude("order", "price", "feed"),
            last_ts="ts",
            last_key="first_key",
            feed=pl.when(numbered).then("feed"),
            number=pl.when(numbered).then("order"),
            **dict.fromkeys(_PRICES, pl.col("price")),
        )
        events = pl.concat([ticks, candles], how="diagonal").sort("at")
        starts = [(log.at, self._first + index) for index, log in enumerate(self._logs)]
        schema = {"at": pl.Int64, "session": pl.Int64}
        return events.join_asof(
            pl.DataFrame(starts, schema=schema, orient="row"), on="at", strategy="backward"
        )


def _frame(table: Table, rows: slice, optional: str | None = None) -> pl.DataFrame:
    """Return those rows of a table; the column ``optional`` is null where none was given."""
    frame = pl.DataFrame({name: np.asarray(values)[rows] for name, values in table.items()})
    if optional is None:
        return frame
    given = pl.col("given").cast(pl.Boolean)
    return frame.with_columns(pl.when(given).then(optional).alias(optional)).drop("given")


def _minute() -> pl.Expr:
    return pl.col("ts") // _MINUTE_MS


def _keys(points: pl.DataFrame) -> pl.Series:
    """Return numbers that rise with (ts, order), of equals as ``minute`` falls, by ``points``.

    They are equal where all three are.
    """
    place = ["ts", "order", "minute"]
    changed = pl.any_horizontal(pl.col(name) != pl.col(name).shift(1) for name in place)
    return (
        points.with_row_index("row")
        .sort(place, descending=[False, False, True])
        .with_columns(key=changed.fill_null(True).cum_sum().cast(pl.Int64))
        .sort("row")["key"]
    )
