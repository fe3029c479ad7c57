"""The raw ticks that the sinks must keep: every well-formed one, and each product's latest."""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from optionstream.schemas import rejects
from optionstream.streams.kafka.records import RawRecord
from optionstream.streams.verify.intake import TickRun
from optionstream.streams.verify.rules import EARLIEST_MS, LATEST_MS, Rules

STORED_COLUMNS = {
    "partition": pl.Int64,
    "offset": pl.Int64,
    "index": pl.Int64,
    "product": pl.String,
    "ts": pl.Int64,
    "order": pl.Int64,
    "price": pl.Float64,
    "volume": pl.Int64,
    "refused": pl.String,
}

_RECORDS_A_CHUNK = 50_000
_TICKS_A_CHUNK = 200_000


class LatestTick(NamedTuple):
    """A tick that no other of its product follows in (ts_ms, order)."""

    ts_ms: int
    order: int
    price: float
    volume: int | None


class StoredTicks:
    """The ticks that the history must hold.

    Left out are stamps before 2000 or after 2100 and numbers beyond 64 bits, which MongoDB cannot
    hold. ``refused`` is the rule by which a tick's content is refused all the same. Runs are kept
    aside and turned into columns many records at a time.
    """

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._aside: list[tuple[int, int, bool, TickRun]] = []
        self._ticks_aside = 0
        self._chunks: list[pl.DataFrame] = []

    def add_run(self, record: RawRecord, run: TickRun, *, placed: bool) -> None:
        """Add the ticks of a record; ``placed``: its key and its partition are right."""
        self._aside.append((record.partition, record.offset, placed, run))
        self._ticks_aside += len(run)
        if len(self._aside) >= _RECORDS_A_CHUNK or self._ticks_aside >= _TICKS_A_CHUNK:
            self._lay_down()

    def frame(self) -> pl.DataFrame:
        """Return one row per tick, in STORED_COLUMNS."""
        return self._all().select(*STORED_COLUMNS)

    def latest(self) -> dict[str, set[LatestTick]]:
        """Return by product the tick of the greatest (ts, order); several if equal in both.

        Ticks refused for their content and records in the wrong place do not count.
        """
        taken = self._all().filter(pl.col("refused").is_null() & pl.col("placed"))
        last = taken.filter(pl.col("ts") == pl.col("ts").max().over("product"))
        last = last.filter(pl.col("order") == pl.col("order").max().over("product"))
        found: dict[str, set[LatestTick]] = {}
        for product, *tick in last.select("product", "ts", "order", "price", "volume").rows():
            found.setdefault(product, set()).add(LatestTick(*tick))
        return found

    def _all(self) -> pl.DataFrame:
        self._lay_down()
        schema = {**STORED_COLUMNS, "placed": pl.Boolean}
        return pl.concat([pl.DataFrame(schema=schema), *self._chunks])

    def _lay_down(self) -> None:
        if self._aside:
            self._chunks.append(self._chunk())
        self._aside, self._ticks_aside = [], 0

    def _chunk(self) -> pl.DataFrame:
        runs = [run for *_, run in self._aside]
        partitions, offsets, placed, _ = zip(*self._aside, strict=True)
        lengths = np.array([len(run) for run in runs])
        records = pl.DataFrame(
            {
                "partition": pl.Series(partitions, dtype=pl.Int64),
                "offset": pl.Series(offsets, dtype=pl.Int64),
                "placed": pl.Series(placed, dtype=pl.Boolean),
                "product": pl.Series([run.product for run in runs], dtype=pl.String),
                "ts_recv": pl.Series([run.ts_recv for run in runs], dtype=pl.Int64),
            }
        )
        row = np.repeat(np.arange(len(runs)), lengths)
        firsts = np.repeat(np.cumsum(lengths) - lengths, lengths)
        ticks = records[row].with_columns(
            index=pl.Series(np.arange(len(row)) - firsts),
            ts=_ints(run.ts for run in runs),
            order=_ints(run.order for run in runs),
            price=pl.Series(array("d", chain.from_iterable(run.price for run in runs))),
            volume=_ints(run.volume for run in runs),
            given=pl.Series([v is not None for run in runs for v in run.volume], dtype=pl.Boolean),
            id=_ints(run.order if run.ids is None else run.ids for run in runs),
        )
        return self._storable(ticks)

    def _storable(self, ticks: pl.DataFrame) -> pl.DataFrame:
        held = pl.all_horizontal(pl.col("order", "id", "ts").is_not_null())
        in_time = pl.col("ts").is_between(EARLIEST_MS, LATEST_MS, closed="left")
        return (
            ticks.filter(held & in_time & (pl.col("volume").is_not_null() | ~pl.col("given")))
            .with_columns(refused=self._refused())
            .select(*STORED_COLUMNS, "placed")
        )

    def _refused(self) -> pl.Expr:
        """Return the reason by rules 2 to 4 for ticks (docs/semantics.md)."""
        rules, ts, price = self._rules, pl.col("ts"), pl.col("price")
        ahead = ts > pl.col("ts_recv") + rules.settings.future_limit_ms
        covered = ts.is_between(rules.covered_from, rules.covered_until, closed="left")
        return (
            pl.when(~((price > 0) & price.is_finite()))
            .then(pl.lit(rejects.BAD_PRICE))
            .when(ahead & pl.lit(rules.live))
            .then(pl.lit(rejects.FUTURE_EVENT))
            .when(~covered)
            .then(pl.lit(rejects.NO_CALENDAR))
            .otherwise(pl.lit(None, dtype=pl.String))
        )


def _ints(columns: Iterable[list[Any]]) -> pl.Series:
    """Return one column of all; null for what is null or does not fit 64 bits."""
    values = list(chain.from_iterable(columns))
    try:
        return pl.Series(values, dtype=pl.Int64)
    except (OverflowError, TypeError, pl.exceptions.PolarsError):
        fitting = [v if v is not None and -(1 << 63) <= v < 1 << 63 else None for v in values]
        return pl.Series(fitting, dtype=pl.Int64)
