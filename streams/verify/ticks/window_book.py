"""The bars of one product and one interval, recomputed from its accepted ticks and candles.

Instead of following the stream, every prefix of every window is computed at once (the window after
its first event, after its second …). A bar's revision is then a look-up: the prefix that stood at
the moment it was sent. ``at`` is such a moment, see Journal.
"""

from __future__ import annotations

import polars as pl

from optionstream.schemas.derived import INTERVAL_MS
from optionstream.streams.verify.ticks.journal_frames import Timeline
from optionstream.streams.verify.ticks.volumes import Volumes, latest_before

MAX_VOLUME = (1 << 53) - 1
"""The greatest volume of candles that a bar can have."""

_WHOLE_SESSION = "1d"


def fits(interval: str, length_ms: int) -> pl.Expr:
    """Return whether an event can be part of a window.

    A tick always can, a candle only if candles of its length fill the window.
    """
    if interval == _WHOLE_SESSION:
        return pl.lit(value=True)
    return (length_ms % pl.col("length") == 0).fill_null(value=True)


def windows_of(placed: pl.DataFrame, timeline: Timeline) -> pl.DataFrame:
    """Return one row for each window of ``placed`` (`Timeline.placed` and ``fits``).

    Columns start, session, end, first_at, spoiled_at (null: never), closed_at (null: open).
    """
    windows = placed.group_by("start").agg(
        pl.col("session", "end", "session_closed_at").first(),
        first_at=pl.col("at").min(),
        spoiled_at=pl.col("at").filter(~pl.col("fits")).min(),
    )
    return timeline.reached(windows, "end", "closed_at").sort("start")


def prefixes_of(placed: pl.DataFrame, *, has_candles: bool) -> pl.DataFrame:
    """Return one row for each event, with its window so far.

    Columns start, at, session, end, ticks (how many events), open, high, low, close and rolled (the
    volume of its candles).
    """
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
    """Return the volume of the window's candles so far; null without candles or if one has none.

    One beyond MAX_VOLUME is one more than that, whatever it is.
    """
    candle, traded = pl.col("length").is_not_null(), pl.col("traded")
    count = candle.cum_sum().over("start")
    given = traded.is_not_null().cum_sum().over("start")
    # Up to 2^53 a sum of floats is exact, and it never falls: nothing that an integer can overflow.
    total = traded.fill_null(0).cast(pl.Float64).cum_sum().over("start")
    total = total.clip(upper_bound=MAX_VOLUME + 1).cast(pl.Int64)
    return pl.when((count > 0) & (given == count)).then(total)


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
    """``prefixes``: one row for each event: start, at, session, end, ticks (events so far), open,
    high, low, close, rolled (volume of the candles) so far, closed_at and spoiled_at of its window.
    ``windows``: one row for each window that has an event; ``spoiled_at`` is when a candle came
    that does not fit into the interval."""

    def __init__(self, timeline: Timeline, interval: str, length_ms: int | None = None) -> None:
        self.product, self.interval = timeline.product, interval
        length_ms = length_ms or INTERVAL_MS[interval]
        placed = timeline.placed(length_ms).with_columns(fits=fits(interval, length_ms))
        self.windows = windows_of(placed, timeline)
        self._names = timeline.sessions.select("session", "name")
        self.prefixes = prefixes_of(placed, has_candles=timeline.has_candles).join(
            self.windows.select("start", "closed_at", "spoiled_at"), on="start", how="left"
        )
        self.volumes = Volumes(placed)

    def finals(self) -> pl.DataFrame:
        """Return every revision of every closed bar, in BAR_COLUMNS."""
        late = self._late().filter(_not_spoiled()).select("start", "at")
        sent = pl.concat([self._closings(), late, self._knock_ons()])
        sent = sent.sort("start", "at").with_columns(
            revision=pl.int_range(1, pl.len() + 1, dtype=pl.Int64).over("start")
        )
        return self._bars(sent.with_columns(final=pl.lit(value=True)))

    def newest_open(self) -> pl.DataFrame:
        """Return the partial bar of the newest window that is open and makes one."""
        newest = self.windows.filter(
            pl.col("closed_at").is_null() & pl.col("spoiled_at").is_null()
        ).filter(pl.col("start") == pl.col("start").max())
        moment = self.prefixes.select(pl.col("at").max()).item()
        return self._bars(
            newest.select("start", at=pl.lit(moment, dtype=pl.Int64)).with_columns(
                revision=pl.lit(0, dtype=pl.Int64), final=pl.lit(value=False)
            )
        )

    def wrong_partials(self, partials: pl.DataFrame) -> pl.DataFrame:
        """Return those of ``partials`` (BAR_COLUMNS) that were true at no moment."""
        if partials.is_empty():
            return partials
        rows = partials.unique().with_row_index("row")
        moments = self._moments(rows)
        doubtful = self._untrue(rows, moments)
        in_doubt = moments.join(doubtful, on="row", how="semi")
        return self._untrue(doubtful, self._later_moments(in_doubt)).drop("row")

    def _untrue(self, rows: pl.DataFrame, moments: pl.DataFrame) -> pl.DataFrame:
        """Return the ``rows`` that were true at none of their ``moments`` (row, start, at)."""
        sent = moments.select("row", "start", "at").with_columns(
            revision=pl.lit(0, dtype=pl.Int64), final=pl.lit(value=False)
        )
        true = self._bars(sent, "row")
        return rows.join(true, on=["row", *BAR_COLUMNS], how="anti", nulls_equal=True)

    def _closings(self) -> pl.DataFrame:
        """Return the windows that closed with at least one event in them."""
        closed = self.windows.filter(pl.col("first_at") < pl.col("closed_at"))
        return (
            closed.select("start", "spoiled_at", at="closed_at")
            .filter(_not_spoiled())
            .drop("spoiled_at")
        )

    def _late(self) -> pl.DataFrame:
        return self.prefixes.filter(pl.col("at") > pl.col("closed_at"))

    def _knock_ons(self) -> pl.DataFrame:
        """Return following windows whose volume a late tick changed, and when."""
        moved = self.volumes.moves.join(
            self._late().select("start", "at"), on=["start", "at"], how="semi"
        )
        following = (
            self.volumes.following(moved)
            .join(self.windows.select("start", "closed_at", "spoiled_at"), on="start", how="left")
            .filter((pl.col("closed_at") <= pl.col("at")) & _not_spoiled())
            .select("session", "start", "at")
        )
        before = self.volumes.with_volumes(following.with_columns(pl.col("at") - 1))
        after = self.volumes.with_volumes(following)
        changed = before["volume"].ne_missing(after["volume"]) | before["volume_reason"].ne_missing(
            after["volume_reason"]
        )
        return following.filter(changed).select("start", "at")

    def _moments(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Return when each partial had its events (``at``) and until when (exclusive)."""
        named = rows.select("start").unique()
        ends = (
            self.prefixes.join(named, on="start", how="semi")
            .sort("start", "at")
            .select(
                "session",
                "start",
                "ticks",
                "at",
                until=pl.min_horizontal(
                    pl.col("at").shift(-1).over("start"), "closed_at", "spoiled_at"
                ).fill_null(pl.lit(_NEVER)),
            )
        )
        return (
            rows.select("row", "start", "ticks")
            .join(ends, on=["start", "ticks"])
            .filter(pl.col("at") < pl.col("until"))
            .sort("row")
        )

    def _later_moments(self, moments: pl.DataFrame) -> pl.DataFrame:
        """Return moments within a partial's life at which an earlier window's volume moved."""
        moves = self.volumes.moves.select(moved="at", moved_start="start", moved_in="session")
        return (
            moments.join_where(
                moves, pl.col("moved") > pl.col("at"), pl.col("moved") < pl.col("until")
            )
            .filter(pl.col("session") == pl.col("moved_in"))
            .filter(pl.col("moved_start") < pl.col("start"))
            .select("row", "start", at="moved")
        )

    def _bars(self, sent: pl.DataFrame, *extra: str) -> pl.DataFrame:
        """Return the bars at the moments ``sent`` (start, at, revision, final and ``extra``)."""
        prices = latest_before(sent, self.prefixes.drop("closed_at", "spoiled_at"))
        full = self.volumes.with_volumes(prices).join(self._names, on="session", how="left")
        return full.with_columns(
            product=pl.lit(self.product),
            interval=pl.lit(self.interval),
            session=pl.col("name"),
            **_with_rolled(),
        ).select(*extra, *BAR_COLUMNS)


def _with_rolled() -> dict[str, pl.Expr]:
    """Return volume and volume_reason: of ticks where they have one, else of candles."""
    reason, rolled = pl.col("volume_reason"), pl.col("rolled")
    counts = reason.eq_missing("no_volume") & rolled.is_not_null()
    fitting = counts & (rolled <= MAX_VOLUME)
    return {
        "volume": pl.when(fitting).then(rolled).otherwise("volume"),
        "volume_reason": pl.when(~counts)
        .then(reason)
        .when(~fitting)
        .then(pl.lit("volume_too_large")),
    }


def _not_spoiled() -> pl.Expr:
    """Return whether no candle that does not fit had come to the window by ``at``."""
    return pl.col("spoiled_at").is_null() | (pl.col("at") < pl.col("spoiled_at"))
