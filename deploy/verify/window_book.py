"""The bars of one product and one interval, recomputed from its accepted ticks.

Instead of following the stream, every prefix of every window is computed at once (the window after
its first tick, after its second …). A bar's revision is then a look-up: the prefix that stood at
the moment it was sent. ``at`` is such a moment, see Journal.
"""

from __future__ import annotations

import polars as pl

from optionstream.deploy.verify.timeline import Timeline
from optionstream.deploy.verify.volumes import Volumes, latest_before

BAR_COLUMNS = {
    "product": pl.String,
    "interval": pl.String,
    "start": pl.Int64,
    "revision": pl.Int64,
    "session": pl.String,
    "end": pl.Int64,
    "open": pl.Float64,
    "high": pl.Float64,
    "low": pl.Float64,
    "close": pl.Float64,
    "volume": pl.Int64,
    "volume_reason": pl.String,
    "ticks": pl.Int64,
    "final": pl.Boolean,
}
"""A bar as it is compared: all but ``known_at``."""

_NEVER = (1 << 63) - 1


class WindowBook:
    """``prefixes``: one row for each tick: start, at, session, end, closed_at, ticks (so far),
    open, high, low, close (so far). ``windows``: one row for each window that has a tick."""

    def __init__(self, timeline: Timeline, interval: str, length_ms: int) -> None:
        self.product, self.interval = timeline.product, interval
        placed = _placed(timeline, length_ms)
        self.windows = _windows(placed, timeline)
        self._names = timeline.sessions.select("session", "name")
        self.prefixes = _prefixes(placed).join(
            self.windows.select("start", "closed_at"), on="start", how="left"
        )
        self.volumes = Volumes(placed)

    def finals(self) -> pl.DataFrame:
        """Every revision of every closed bar, in BAR_COLUMNS."""
        sent = pl.concat([self._closings(), self._late().select("start", "at"), self._knock_ons()])
        sent = sent.sort("start", "at").with_columns(
            revision=pl.int_range(1, pl.len() + 1, dtype=pl.Int64).over("start")
        )
        return self._bars(sent.with_columns(final=pl.lit(value=True)))

    def newest_open(self) -> pl.DataFrame:
        """The partial bar, with all its ticks, of the newest window when that is still open."""
        newest = self.windows.filter(pl.col("start") == pl.col("start").max())
        still_open = newest.filter(pl.col("closed_at").is_null())
        moment = self.prefixes.select(pl.col("at").max()).item()
        return self._bars(
            still_open.select("start", at=pl.lit(moment, dtype=pl.Int64)).with_columns(
                revision=pl.lit(0, dtype=pl.Int64), final=pl.lit(value=False)
            )
        )

    def wrong_partials(self, partials: pl.DataFrame) -> pl.DataFrame:
        """Those of ``partials`` (BAR_COLUMNS) that were true at no moment of the open window."""
        rows = partials.unique().with_row_index("row")
        moments = self._moments(rows)
        doubtful = self._untrue(rows, moments)
        in_doubt = moments.join(doubtful, on="row", how="semi")
        return self._untrue(doubtful, self._later_moments(in_doubt)).drop("row")

    def _untrue(self, rows: pl.DataFrame, moments: pl.DataFrame) -> pl.DataFrame:
        """``rows`` that none of their ``moments`` (row, start, at) bears out."""
        told = moments.select("row", "start", "at").with_columns(
            revision=pl.lit(0, dtype=pl.Int64), final=pl.lit(value=False)
        )
        true = self._bars(told, "row")
        return rows.join(true, on=["row", *BAR_COLUMNS], how="anti", nulls_equal=True)

    def _closings(self) -> pl.DataFrame:
        """Windows closed with at least one tick in them."""
        return self.windows.filter(pl.col("first_at") < pl.col("closed_at")).select(
            "start", at="closed_at"
        )

    def _late(self) -> pl.DataFrame:
        return self.prefixes.filter(pl.col("at") > pl.col("closed_at"))

    def _knock_ons(self) -> pl.DataFrame:
        """Following windows whose volume a late tick changed, and when."""
        moved = self.volumes.moves.join(
            self._late().select("start", "at"), on=["start", "at"], how="semi"
        )
        following = (
            self.volumes.following(moved)
            .join(self.windows.select("start", "closed_at"), on="start", how="left")
            .filter(pl.col("closed_at") <= pl.col("at"))
            .select("session", "start", "at")
        )
        before = self.volumes.at(following.with_columns(pl.col("at") - 1))
        after = self.volumes.at(following)
        changed = before["volume"].ne_missing(after["volume"]) | before["volume_reason"].ne_missing(
            after["volume_reason"]
        )
        return following.filter(changed).select("start", "at")

    def _moments(self, rows: pl.DataFrame) -> pl.DataFrame:
        """When each partial had its ticks (``at``) and until when (``until``, exclusive)."""
        ends = self.prefixes.sort("start", "at").select(
            "session",
            "start",
            "ticks",
            "at",
            "closed_at",
            until=pl.min_horizontal(pl.col("at").shift(-1).over("start"), "closed_at"),
        )
        return (
            rows.select("row", "start", "ticks")
            .join(ends, on=["start", "ticks"])
            .filter(pl.col("closed_at").is_null() | (pl.col("at") < pl.col("closed_at")))
            .sort("row")
        )

    def _later_moments(self, moments: pl.DataFrame) -> pl.DataFrame:
        """Moments within a partial's life at which an earlier window's volume moved."""
        moves = self.volumes.moves.select(moved="at", moved_start="start", moved_in="session")
        return (
            moments.with_columns(pl.col("until").fill_null(pl.lit(_NEVER)))
            .join_where(moves, pl.col("moved") > pl.col("at"), pl.col("moved") < pl.col("until"))
            .filter(pl.col("session") == pl.col("moved_in"))
            .filter(pl.col("moved_start") < pl.col("start"))
            .select("row", "start", at="moved")
        )

    def _bars(self, sent: pl.DataFrame, *extra: str) -> pl.DataFrame:
        """The bars at the moments ``sent`` (start, at, revision, final and ``extra``)."""
        prices = latest_before(sent, self.prefixes.drop("closed_at"))
        full = self.volumes.at(prices).join(self._names, on="session", how="left")
        return full.with_columns(
            product=pl.lit(self.product), interval=pl.lit(self.interval), session=pl.col("name")
        ).select(*extra, *BAR_COLUMNS)


def _placed(timeline: Timeline, length_ms: int) -> pl.DataFrame:
    """The ticks with their windows, in the order of windows, then of arrival."""
    opened, start = pl.col("session_open"), pl.col("start")
    since = pl.col("ts") - opened
    return (
        timeline.ticks.join(timeline.sessions, on="session", how="left")
        .with_columns(start=opened + since // length_ms * length_ms)
        .with_columns(end=pl.min_horizontal(start + length_ms, "session_close"))
        .sort("start", "at")
    )


def _windows(placed: pl.DataFrame, timeline: Timeline) -> pl.DataFrame:
    """start, session, end, first_at, closed_at (null: open)."""
    windows = placed.group_by("start").agg(
        pl.col("session", "end", "session_closed_at").first(), first_at=pl.col("at").min()
    )
    reached = timeline.watermark.rename({"at": "reached_at"}).sort("wm")
    return (
        windows.sort("end")
        .join_asof(reached, left_on="end", right_on="wm", strategy="forward")
        .with_columns(closed_at=pl.min_horizontal("reached_at", "session_closed_at"))
        .select("start", "session", "end", "first_at", "closed_at")
        .sort("start")
    )


def _prefixes(placed: pl.DataFrame) -> pl.DataFrame:
    least, greatest = pl.col("least"), pl.col("greatest")
    first = pl.col("ticks") == 1
    price = pl.col("price")
    return (
        placed.with_columns(
            ticks=pl.int_range(1, pl.len() + 1, dtype=pl.Int64).over("start"),
            high=price.cum_max().over("start"),
            low=price.cum_min().over("start"),
            least=pl.col("key").cum_min().over("start"),
            greatest=pl.col("key").cum_max().over("start"),
        )
        .with_columns(
            open=pl.when(first | (least != least.shift(1))).then(price).forward_fill(),
            close=pl.when(first | (greatest != greatest.shift(1))).then(price).forward_fill(),
        )
        .select("start", "at", "session", "end", "ticks", "open", "high", "low", "close")
    )
