"""What happened to one product, as polars frames."""

from __future__ import annotations

from dataclasses import dataclass, replace

import polars as pl

from optionstream.deploy.verify.ticks.journal import Feed


@dataclass(frozen=True, slots=True)
class Timeline:
    """Whole sessions of one product. ``at`` counts what happened to the product; see Journal.

    events: in the order of ``at``: at, session, ts and last_ts (the same for a tick), open, high,
        low, close, first_key and last_key (of the least in a window is the open, of the greatest
        the close; the same for a tick), volume (the day's; null where none), feed and number (of
        a tick that goes by its number), length (of a candle) and traded (of one that told it)
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
        return self.events["length"].null_count() < self.events.height

    def placed(self, length_ms: int) -> pl.DataFrame:
        """The events with their window (start, end), in the order of windows, then of arrival."""
        opened, start = pl.col("session_open"), pl.col("start")
        since = pl.col("ts") - opened
        return (
            self.events.join(self.sessions.drop("name"), on="session", how="left")
            .with_columns(start=opened + since // length_ms * length_ms)
            .with_columns(end=pl.min_horizontal(start + length_ms, "session_close"))
            .sort("start", "at")
        )

    def closed_at(self, windows: pl.DataFrame) -> pl.DataFrame:
        """``windows`` (end, session_closed_at and more) with ``closed_at`` (null: open)."""
        reached = self.watermark.rename({"at": "reached_at"})
        return (
            windows.sort("end")
            .join_asof(reached, left_on="end", right_on="wm", strategy="forward")
            .with_columns(closed_at=pl.min_horizontal("reached_at", "session_closed_at"))
            .drop("reached_at", "wm", "session_closed_at", strict=False)
        )

    def newest_session(self) -> Timeline:
        """The last of the sessions alone."""
        newest = pl.col("session") == self.sessions["session"].max()
        return replace(
            self, events=self.events.filter(newest), sessions=self.sessions.filter(newest)
        )
