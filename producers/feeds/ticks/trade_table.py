"""Trades as Parquet, one a row: ``timestamp``, ``trade_id``, ``price``. Pure.

The form of crypto-currency exchanges: each trade has its number; ``quantity`` is that of the trade,
not the volume of the day.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from math import isfinite
from typing import TYPE_CHECKING, Final

from optionstream.producers.feeds.files.csv_table import EXACT
from optionstream.producers.feeds.files.parquet_table import ParquetFile
from optionstream.producers.feeds.format import FeedInput
from optionstream.producers.feeds.frames import at_least_one, check_event
from optionstream.producers.feeds.times import LATEST_MS
from optionstream.schemas.events import TickFrame
from optionstream.schemas.times import DAY_MS, IST_OFFSET_MS, ist_date

if TYPE_CHECKING:
    import polars as pl

SOURCE: Final = "trades"
_COLUMNS: Final = ("timestamp", "trade_id", "price")


def holds_trades(columns: Collection[str]) -> bool:
    """True if a table with these columns holds trades."""
    return set(columns).issuperset(_COLUMNS)


def trade_events(file: FeedInput, table: ParquetFile) -> Iterator[TickFrame]:
    """Yield frames of one IST date each, without heartbeats: such markets never close.

    Times without a zone are UTC. Raises InputError: no product, damaged Parquet, a column of
    another type, no trade left.
    """
    product = file.need_product(file.hints.product)
    found = False
    for trades in _whole_frames(_usable(file, table), file.frame_ticks):
        found = True
        ts_ms: list[int] = trades["ts_ms"].to_list()
        frame = TickFrame(
            product=product,
            source=SOURCE,
            session=ist_date(ts_ms[0]),
            ts_recv=max(ts_ms),
            ts_ms=ts_ms,
            price=trades["price"].to_list(),
            seq=trades["trade_id"].to_list(),
        )
        yield check_event(frame)
    if not found:
        at_least_one([], file)


def _usable(file: FeedInput, table: ParquetFile) -> Iterator[pl.DataFrame]:
    """Yield slices of the usable trades: ``ts_ms`` (a Python datetime ends with the year 9999),
    ``trade_id``, ``price``, ``day`` (IST days since 1970). Others are reported as problems."""
    import polars as pl

    if not isinstance(kind := table.columns["timestamp"], pl.Datetime):
        raise file.error(f"Parquet that holds no readable trades: timestamp is {kind}")
    ts_ms = pl.col("timestamp").dt.epoch("ms")
    trade_id, price = pl.col("trade_id").cast(pl.Int64), pl.col("price").cast(pl.Float64)
    usable = (
        ts_ms.is_between(0, LATEST_MS, closed="left")
        & trade_id.is_between(-EXACT, EXACT, closed="none")
        & price.is_finite()
    ).fill_null(False)
    day = (ts_ms + IST_OFFSET_MS) // DAY_MS
    columns = ts_ms.alias("ts_ms"), trade_id, price, day.alias("day"), usable.alias("usable")
    before = 0
    for trades in table.slices(columns):
        if trades["usable"].all():
            yield trades
        else:
            bad = trades.with_row_index("number", before + 1).filter(~pl.col("usable"))
            rows = bad.select("number", "ts_ms", "trade_id", "price").iter_rows()
            file.problems.extend([f"row {number}: {_why_not(*values)}" for number, *values in rows])
            yield trades.filter(pl.col("usable"))
        before += trades.height


def _whole_frames(slices: Iterable[pl.DataFrame], size: int) -> Iterator[pl.DataFrame]:
    """Yield runs of at most ``size`` neighbouring rows of one day, across the cuts of slices."""
    import polars as pl

    rest: pl.DataFrame | None = None
    for trades in slices:
        rows = trades if rest is None else pl.concat((rest, trades))
        cuts = list(_cuts(rows["day"], size))
        for at, count in cuts[:-1]:
            yield rows.slice(at, count)
        rest = rows.slice(cuts[-1][0]) if cuts else None
    if rest is not None:
        yield rest


def _cuts(days: pl.Series, size: int) -> Iterator[tuple[int, int]]:
    """Yield the first row of each frame and its number of rows."""
    at = 0
    for run in days.rle().struct.field("len").to_list():
        for start in range(at, at + run, size):
            yield start, min(size, at + run - start)
        at += run


def _why_not(ts_ms: int | None, trade_id: int | None, price: float | None) -> str:
    if ts_ms is None or not 0 <= ts_ms < LATEST_MS:
        return "no time"
    if trade_id is None or price is None or not isfinite(price):
        return f"trade {trade_id} with the price {price}"
    return f"trade_id {trade_id} is beyond 2^53"
