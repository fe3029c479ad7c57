"""Volume of windows from the cumulative day volume, as it stood at any moment."""

from __future__ import annotations

import polars as pl


class Volumes:
    """Volumes of the windows of one product and interval.

    ``placed`` are its events, see `Timeline.placed`; only those with a cumulative volume matter.
    """

    def __init__(self, placed: pl.DataFrame) -> None:
        ticks = _prefixes(placed.filter(pl.col("volume").is_not_null()))
        self._figures = ticks.select("start", "at", "first_volume", "last_volume")
        self.moves = ticks.filter("moved").select("session", "start", "at")
        """When the last cumulative volume of a window came to be of another tick."""
        self._windows = _windows(ticks)

    def with_volumes(self, moments: pl.DataFrame) -> pl.DataFrame:
        """Return ``moments`` (session, start, at, …) with ``volume`` and ``volume_reason``."""
        rows = moments.with_row_index("moment")
        own = latest_before(rows.select("moment", "start", "at"), self._figures)
        known = (
            rows.join(own.select("moment", "first_volume", "last_volume"), on="moment", how="left")
            .join(self._bases(rows), on="moment", how="left")
            .sort("moment")
        )
        traded = pl.col("last_volume") - pl.coalesce("base", "first_volume")
        return (
            known.with_columns(volume=pl.when(traded >= 0).then(traded))
            .with_columns(
                volume_reason=pl.when(pl.col("last_volume").is_null())
                .then(pl.lit("no_volume"))
                .when(traded < 0)
                .then(pl.lit("volume_decreased"))
                .otherwise(pl.lit(None, dtype=pl.String))
            )
            .drop("moment", "first_volume", "last_volume", "base")
        )

    def following(self, moments: pl.DataFrame) -> pl.DataFrame:
        """Return as ``start`` the nearest later window that had a volume by each moment.

        Moments (session, start, at) without such a window are left out.
        """
        found = []
        pending = moments.join(self._windows, on=["session", "start"]).select(
            "session", "at", candidate="next"
        )
        while not (pending := pending.filter(pl.col("candidate").is_not_null())).is_empty():
            looked = pending.join(
                self._windows, left_on=["session", "candidate"], right_on=["session", "start"]
            )
            there = pl.col("first_at") <= pl.col("at")
            found.append(looked.filter(there).select("session", "at", start="candidate"))
            pending = looked.filter(~there).select("session", "at", candidate="next")
        empty = moments.select("session", "at", "start").clear()
        return pl.concat([empty, *found])

    def _bases(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Return moment and base: the last volume of the nearest earlier window with one."""
        found = []
        earlier = self._windows.select("session", candidate="start").sort("candidate")
        pending = (
            rows.select("moment", "session", "start", "at")
            .sort("start")
            .join_asof(
                earlier,
                left_on="start",
                right_on="candidate",
                by="session",
                strategy="backward",
                allow_exact_matches=False,
                check_sortedness=False,
            )
            .select("moment", "session", "candidate", "at")
        )
        while not (pending := pending.filter(pl.col("candidate").is_not_null())).is_empty():
            looked = latest_before(pending.rename({"candidate": "start"}), self._figures)
            there = pl.col("last_volume").is_not_null()
            found.append(looked.filter(there).select("moment", base="last_volume"))
            pending = (
                looked.filter(~there)
                .join(self._windows, on=["session", "start"])
                .select("moment", "session", "at", candidate="previous")
            )
        schema = {"moment": pl.get_index_type(), "base": pl.Int64}
        return pl.concat([pl.DataFrame(schema=schema), *found])


def latest_before(moments: pl.DataFrame, states: pl.DataFrame) -> pl.DataFrame:
    """Return each moment (start, at) with its window's latest of ``states`` (start, at) so far."""
    return moments.sort("at").join_asof(
        states.sort("at"), on="at", by="start", strategy="backward", check_sortedness=False
    )


def _prefixes(ticks: pl.DataFrame) -> pl.DataFrame:
    """Return session, start, at, first_volume and last_volume so far, moved."""
    least, greatest = pl.col("least"), pl.col("greatest")
    first = pl.int_range(pl.len()).over("start") == 0
    volume = pl.col("volume")
    return (
        ticks.with_columns(
            first=first,
            least=pl.col("first_key").cum_min().over("start"),
            greatest=pl.col("last_key").cum_max().over("start"),
        )
        .with_columns(moved=pl.col("first") | (greatest != greatest.shift(1)))
        .with_columns(
            first_volume=pl.when(pl.col("first") | (least != least.shift(1)))
            .then(volume)
            .forward_fill(),
            last_volume=pl.when("moved").then(volume).forward_fill(),
        )
        .select("session", "start", "at", "first_volume", "last_volume", "moved")
    )


def _windows(ticks: pl.DataFrame) -> pl.DataFrame:
    """Return the windows that ever had a volume: session, start, first_at, previous, next."""
    return (
        ticks.group_by("session", "start")
        .agg(first_at=pl.col("at").min())
        .sort("session", "start")
        .with_columns(
            previous=pl.col("start").shift(1).over("session"),
            next=pl.col("start").shift(-1).over("session"),
        )
    )
