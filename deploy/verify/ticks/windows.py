"""Events in windows: when each window closed, and what it held after each of its events."""

from __future__ import annotations

import polars as pl

from optionstream.deploy.verify.ticks.timeline import Timeline

MAX_VOLUME = (1 << 53) - 1
"""The greatest volume of candles that a bar tells."""

_WHOLE_SESSION = "1d"


def fits(interval: str, length_ms: int) -> pl.Expr:
    """Whether an event can be part of a window: a tick always, a candle only of such a length
    that its like fill the window."""
    if interval == _WHOLE_SESSION:
        return pl.lit(value=True)
    return (length_ms % pl.col("length") == 0).fill_null(value=True)


def windows_of(placed: pl.DataFrame, timeline: Timeline) -> pl.DataFrame:
    """One row for each window of ``placed`` (`Timeline.placed` and ``fits``): start, session, end,
    first_at, spoiled_at (null: never), closed_at (null: open)."""
    windows = placed.group_by("start").agg(
        pl.col("session", "end", "session_closed_at").first(),
        first_at=pl.col("at").min(),
        spoiled_at=pl.col("at").filter(~pl.col("fits")).min(),
    )
    return timeline.closed_at(windows).sort("start")


def prefixes_of(placed: pl.DataFrame, *, has_candles: bool) -> pl.DataFrame:
    """One row for each event: start, at, session, end and, of the window so far, ticks (how many
    events), open, high, low, close and rolled (the volume of its candles)."""
    least, greatest = pl.col("least"), pl.col("greatest")
    first = pl.col("ticks") == 1
    return (
        placed.with_columns(
            ticks=pl.int_range(1, pl.len() + 1, dtype=pl.Int64).over("start"),
            high=pl.col("high").cum_max().over("start"),
            low=pl.col("low").cum_min().over("start"),
            least=pl.col("first_key").cum_min().over("start"),
            greatest=pl.col("last_key").cum_max().over("start"),
            rolled=_rolled() if has_candles else pl.lit(None, dtype=pl.Int64),
        )
        .with_columns(
            open=pl.when(first | (least != least.shift(1))).then("open").forward_fill(),
            close=pl.when(first | (greatest != greatest.shift(1))).then("close").forward_fill(),
        )
        .select("start", "at", "session", "end", "ticks", "open", "high", "low", "close", "rolled")
    )


def _rolled() -> pl.Expr:
    """Volume of the window's candles so far; null without candles or when one told none. One
    beyond MAX_VOLUME is one more than that, whatever it is."""
    candle, traded = pl.col("length").is_not_null(), pl.col("traded")
    count = candle.cum_sum().over("start")
    told = traded.is_not_null().cum_sum().over("start")
    # Up to 2^53 a sum of floats is exact, and it never falls: nothing that an integer can overflow.
    total = traded.fill_null(0).cast(pl.Float64).cum_sum().over("start")
    total = total.clip(upper_bound=MAX_VOLUME + 1).cast(pl.Int64)
    return pl.when((count > 0) & (told == count)).then(total)
