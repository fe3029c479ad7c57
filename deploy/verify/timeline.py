"""One product's journal as polars frames."""

from __future__ import annotations

from array import array
from dataclasses import dataclass

import numpy as np
import polars as pl

from optionstream.deploy.verify.journal import Journal

_SESSIONS = {
    "session": pl.Int64,
    "name": pl.String,
    "session_open": pl.Int64,
    "session_close": pl.Int64,
    "session_closed_at": pl.Int64,
}


@dataclass(frozen=True, slots=True)
class Timeline:
    """``at`` counts what happened to the product; see Journal.

    ticks: at, session, ts, order, price, volume (null where none), key (rises with (ts, order))
    watermark: wm, at: the first ``at`` by which the watermark had reached ``wm``; wm rises
    sessions: session, name, session_open, session_close, session_closed_at (null: still current)
    """

    product: str
    ticks: pl.DataFrame
    watermark: pl.DataFrame
    sessions: pl.DataFrame


def timeline_of(product: str, journal: Journal, lateness_ms: int) -> Timeline:
    """Frames of all that the journal holds."""
    ticks = _ticks(journal)
    return Timeline(product, ticks, _watermark(journal, ticks, lateness_ms), _sessions(journal))


def column(values: array[int] | array[float]) -> pl.Series:
    """The array as a series."""
    return pl.Series(np.array(values))


def _ticks(journal: Journal) -> pl.DataFrame:
    frame = pl.DataFrame(
        {
            "at": column(journal.tick_at),
            "session": column(journal.tick_session),
            "ts": column(journal.ts),
            "order": column(journal.order),
            "price": column(journal.price),
            "volume": column(journal.volume),
            "has_volume": column(journal.has_volume).cast(pl.Boolean),
        }
    )
    changed = (pl.col("ts") != pl.col("ts").shift(1)) | (
        pl.col("order") != pl.col("order").shift(1)
    )
    return (
        frame.with_columns(volume=pl.when("has_volume").then("volume"))
        .drop("has_volume")
        .sort("ts", "order")
        .with_columns(key=changed.fill_null(True).cum_sum().cast(pl.Int64))
        .sort("at")
    )


def _watermark(journal: Journal, ticks: pl.DataFrame, lateness_ms: int) -> pl.DataFrame:
    beats = pl.DataFrame({"at": column(journal.mark_at), "ts": column(journal.mark_ts)})
    return (
        pl.concat([ticks.select("at", "ts"), beats])
        .sort("at")
        .select("at", wm=(pl.col("ts") - lateness_ms).cum_max())
        .group_by("wm")
        .agg(pl.col("at").min())
        .sort("wm")
    )


def _sessions(journal: Journal) -> pl.DataFrame:
    rows = [
        (index, session.key, session.open_ms, session.close_ms, closed_at)
        for index, (session, closed_at) in enumerate(
            zip(journal.sessions, journal.session_closed_at, strict=True)
        )
    ]
    return pl.DataFrame(rows, schema=_SESSIONS, orient="row")
