"""Truth: a share's 1-minute candles rolled up are the exchange's own longer candles, exactly."""

from __future__ import annotations

import csv
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import polars as pl
import pytest

from optionstream.schemas.derived import INTERVAL_MS, Interval
from optionstream.schemas.times import DAY_MS, IST_OFFSET_MS, ist_date, to_ms
from optionstream.streams.core.intake import Output
from tests.unit.streams.core.ticks.helpers import Candle, beat, candles, finals, gaps, play

ONE_MINUTE = "candles-multi-tf/reliance_1min_60days.csv"
FIFTEEN_MINUTES = "candles-multi-tf/reliance_15min_200days.csv"
SESSIONS, BARS_15M = 41, 1_025


def read(path: Path) -> list[Candle]:
    with path.open(newline="") as file:
        return [
            (
                to_ms(datetime.fromisoformat(row["date"])),
                float(row["open"]),
                float(row["high"]),
                float(row["low"]),
                float(row["close"]),
                int(row["volume"]),
            )
            for row in csv.DictReader(file)
        ]


@pytest.fixture(scope="module")
def minutes(shared_data: Callable[[str], Path]) -> list[Candle]:
    return read(shared_data(ONE_MINUTE))


@pytest.fixture(scope="module")
def rolled_up(minutes: list[Candle]) -> list[Output]:
    frames = [candles(1, *minutes[at : at + 1_000]) for at in range(0, len(minutes), 1_000)]
    part, outputs = play(*frames, beat(minutes[-1][0] + 3_600_000))
    counts = part.products["NIFTY"].counts
    assert (counts.accepted, counts.rejects) == (len(minutes), {})
    return outputs


def of_interval(outputs: list[Output], interval: Interval) -> list[Candle]:
    found = [bar for bar in finals(outputs) if bar.interval == interval]
    assert {bar.revision for bar in found} == {1}
    return [(bar.start, bar.open, bar.high, bar.low, bar.close, bar.volume) for bar in found]


def resampled(rows: list[Candle], interval: Interval) -> list[Candle]:
    """The candles of a longer interval by polars: windows of the IST date, counted from 09:15."""
    names = ["start", "open", "high", "low", "close", "volume"]
    midnight = (pl.col("start") + IST_OFFSET_MS) // DAY_MS * DAY_MS - IST_OFFSET_MS
    opening, length = midnight + 555 * 60_000, INTERVAL_MS[interval]
    window = opening + (pl.col("start") - opening) // length * length
    by_window = pl.DataFrame(rows, schema=names, orient="row").sort("start").group_by(window)
    return (
        by_window.agg(
            pl.col("open").first(),
            pl.col("high").max(),
            pl.col("low").min(),
            pl.col("close").last(),
            pl.col("volume").sum(),
        )
        .sort("start")
        .rows()
    )


def test_one_minute_candles_are_the_exchanges_fifteen_minute_candles(
    minutes: list[Candle], rolled_up: list[Output], shared_data: Callable[[str], Path]
) -> None:
    dates = {ist_date(row[0]) for row in minutes}
    expected = [row for row in read(shared_data(FIFTEEN_MINUTES)) if ist_date(row[0]) in dates]
    assert (len(dates), len(expected)) == (SESSIONS, BARS_15M)
    assert of_interval(rolled_up, "15m") == expected


@pytest.mark.parametrize(
    ("interval", "count"), [("3m", 5_124), ("5m", 3_075), ("30m", 533), ("60m", 287), ("1d", 41)]
)
def test_longer_candles_are_those_of_an_independent_resample(
    minutes: list[Candle], rolled_up: list[Output], interval: Interval, count: int
) -> None:
    found = of_interval(rolled_up, interval)
    assert len(found) == count
    assert found == resampled(minutes, interval)


def test_the_one_stretch_without_candles_is_told_as_a_silence(rolled_up: list[Output]) -> None:
    assert [(gap.kind, gap.session) for gap in gaps(rolled_up)] == [("silence", "2025-12-15")]
