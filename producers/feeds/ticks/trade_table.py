"""Trades as Parquet, one a row: ``timestamp``, ``trade_id``, ``price``. Pure.

As exchanges of crypto-currencies hand them out: each trade has its number; ``quantity`` is that of
the trade, not the volume of the day.
"""

from __future__ import annotations

import io
from collections.abc import Collection, Iterator
from functools import partial
from math import isfinite
from typing import TYPE_CHECKING, Any, Final

from optionstream.producers.feeds.dated import at_least_one, dated_frames
from optionstream.producers.feeds.files.csv_table import as_whole
from optionstream.producers.feeds.instants import LATEST_MS
from optionstream.producers.feeds.ticks.tick_rows import TickRow, tick_frame
from optionstream.schemas.errors import InputError
from optionstream.schemas.events import TickFrame
from optionstream.schemas.times import ist_date

if TYPE_CHECKING:
    import polars as pl

SOURCE: Final = "trades"
_COLUMNS: Final = ("timestamp", "trade_id", "price")


def holds_trades(columns: Collection[str]) -> bool:
    """Whether a table with these columns is one of trades."""
    return set(columns).issuperset(_COLUMNS)


def trade_events(
    body: bytes, name: str, product: str, frame_ticks: int, problems: list[str]
) -> Iterator[TickFrame]:
    """Frames of one IST date each, without heartbeats: such markets never close.

    Times without a zone are UTC. Raises InputError naming ``name``: damaged Parquet, a column of
    another type, no trade left.
    """
    rows: list[TickRow] = []
    for number, (ts_ms, trade_id, price) in enumerate(_plain(body, name).iter_rows(), 1):
        try:
            rows.append(_row(ts_ms, trade_id, price))
        except ValueError as error:
            problems.append(f"row {number}: {error}")
    at_least_one(rows, name, problems)
    yield from dated_frames(rows, frame_ticks, partial(tick_frame, product, SOURCE))


def _plain(body: bytes, name: str) -> pl.DataFrame:
    """Epoch milliseconds (a Python datetime ends with the year 9999), whole numbers, floats."""
    import polars as pl

    try:
        table = pl.read_parquet(io.BytesIO(body), columns=list(_COLUMNS))
        if not isinstance(kind := table.schema["timestamp"], pl.Datetime):
            raise InputError(name, f"Parquet that holds no readable trades: timestamp is {kind}")
        return table.select(
            pl.col("timestamp").dt.epoch("ms"),
            pl.col("trade_id").cast(pl.Int64),
            pl.col("price").cast(pl.Float64),
        )
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
        why = str(error).partition("\n")[0]
        raise InputError(name, f"Parquet that holds no readable trades: {why}") from None


def _row(ts_ms: Any, trade_id: Any, price: Any) -> TickRow:
    if ts_ms is None or not 0 <= ts_ms < LATEST_MS:
        raise ValueError("no time")
    if trade_id is None or price is None or not isfinite(price):
        raise ValueError(f"trade {trade_id} with the price {price}")
    seq = as_whole(trade_id)
    return TickRow(ist_date(ts_ms), ts_ms, ts_ms, price, volume=None, seq=seq, id=None)
