"""`bars`: offline bars of tick and candle files."""

from __future__ import annotations

from pathlib import Path

import pytest

from optionstream.deploy.cli.bars import BarInterval
from optionstream.schemas.derived import INTERVALS
from tests.harness.cli import run
from tests.harness.feed_files import tick_lines, written

DAY = "2026-01-06"


def second(number: int) -> str:
    """The n-th second of the session."""
    at = 9 * 3600 + 15 * 60 + number
    return f"{DAY} {at // 3600:02d}:{at // 60 % 60:02d}:{at % 60:02d}"


def ticks(start: int, stop: int) -> str:
    return tick_lines([(second(n), 26000.0 + n % 60) for n in range(start, stop)])


def test_a_bar_is_one_json_line_with_the_promised_fields(tmp_path: Path) -> None:
    path = written(tmp_path / "nifty.csv", ticks(0, 60))
    ran = run("bars", path, "--json")
    assert ran.code == 0
    assert ran.rows == [
        {
            "product": "NIFTY",
            "interval": "1m",
            "start": f"{DAY}T09:15:00+05:30",
            "open": 26000.0,
            "high": 26059.0,
            "low": 26000.0,
            "close": 26059.0,
            "volume": None,
            "ticks": 60,
        }
    ]


def test_the_intervals_on_offer_are_those_of_the_bars() -> None:
    assert tuple(interval.value for interval in BarInterval) == INTERVALS


@pytest.mark.parametrize(
    ("interval", "count", "size"),
    [
        ("1m", 30, 60),
        ("3m", 10, 180),
        ("5m", 6, 300),
        ("15m", 2, 900),
        ("30m", 1, 1800),
        ("60m", 1, 1800),
        ("1d", 1, 1800),
    ],
)
def test_each_interval_holds_all_ticks(
    tmp_path: Path, interval: str, count: int, size: int
) -> None:
    path = written(tmp_path / "nifty.csv", ticks(0, 1800))
    rows = run("bars", path, "--interval", interval, "--json").rows
    assert [row["ticks"] for row in rows] == [size] * count


def test_the_files_of_a_product_are_one_stream(tmp_path: Path) -> None:
    first = written(tmp_path / "nifty-1.csv", ticks(0, 90))
    second_ = written(tmp_path / "nifty-2.csv", ticks(90, 180))
    rows = run("bars", first, second_, "--json").rows
    assert [row["ticks"] for row in rows] == [60, 60, 60]


def test_a_late_tick_shows_in_its_bar_and_the_bar_only_once(tmp_path: Path) -> None:
    late = tick_lines([(second(30), 27000.0)])
    path = written(tmp_path / "nifty.csv", ticks(0, 30) + ticks(31, 300) + late)
    rows = run("bars", path, "--json").rows
    assert [row["ticks"] for row in rows] == [60] * 5
    assert rows[0]["high"] == 27000.0


def test_a_sundays_ticks_make_no_bar_and_are_reported_in_one_line(tmp_path: Path) -> None:
    path = written(tmp_path / "nifty.csv", tick_lines([("2026-01-04 10:00:00", 1.0)] * 3))
    ran = run("bars", path, "--json")
    assert (ran.code, ran.out) == (0, "")
    assert ran.complaint == ("note: NIFTY: skipped 3 ticks or candles outside the session (closed)")


def candle_lines(minutes: list[int], length: int = 1) -> str:
    """Candles of ``length`` minutes that start so many minutes after the open."""
    rows = [
        f"{second(60 * n)}+05:30,{100 + n},{102 + n},{99 + n},{101 + n},{10 * length}"
        for n in minutes
    ]
    return "\n".join(["date,open,high,low,close,volume", *rows]) + "\n"


@pytest.mark.parametrize(
    ("interval", "count", "size"),
    [("1m", 75, 1), ("5m", 15, 5), ("15m", 5, 15), ("60m", 2, 60), ("1d", 1, 75)],
)
def test_candles_are_rolled_up(tmp_path: Path, interval: str, count: int, size: int) -> None:
    path = written(tmp_path / "nifty_1min.csv", candle_lines(list(range(75))))
    ran = run("bars", path, "--interval", interval, "--json")
    assert (ran.code, ran.err) == (0, "")
    assert len(ran.rows) == count
    first = ran.rows[0]
    assert (first["open"], first["high"], first["low"]) == (100.0, 101.0 + size, 99.0)
    assert (first["ticks"], first["volume"]) == (size, 10 * size)
    assert sum(row["volume"] for row in ran.rows) == 750


def test_candles_longer_than_a_bar_are_counted_in_one_line(tmp_path: Path) -> None:
    path = written(tmp_path / "nifty_15min.csv", candle_lines([0, 15, 30], length=15))
    ran = run("bars", path, "--interval", "5m", "--json")
    assert (ran.code, ran.out) == (0, "")
    assert ran.complaint == "note: NIFTY: skipped 3 candles that do not fit into 5m bars"


def test_misaligned_candles_are_counted_in_one_line(tmp_path: Path) -> None:
    path = written(tmp_path / "nifty_15min.csv", candle_lines([0, 15, 31, 45, 60], length=15))
    ran = run("bars", path, "--interval", "30m", "--json")
    assert [row["ticks"] for row in ran.rows] == [2, 1, 1]
    assert ran.complaint == "note: NIFTY: skipped 1 rejected (misaligned_candle)"


def test_several_products_are_kept_apart(tmp_path: Path) -> None:
    nifty = written(tmp_path / "nifty.csv", ticks(0, 60))
    bank = written(tmp_path / "banknifty.csv", ticks(0, 120))
    rows = run("bars", nifty, bank, "--json").rows
    assert sorted((row["product"], row["ticks"]) for row in rows) == [
        ("BANKNIFTY", 60),
        ("BANKNIFTY", 60),
        ("NIFTY", 60),
    ]
    rows = run("bars", nifty, bank, "--products", "BANKNIFTY", "--json").rows
    assert {row["product"] for row in rows} == {"BANKNIFTY"}


def test_a_product_that_the_file_does_not_say_comes_from_the_option(tmp_path: Path) -> None:
    path = written(tmp_path / "ticks.csv", ticks(0, 60))
    without = run("bars", path, "--json")
    assert without.code == 2
    assert "--product" in without.complaint
    rows = run("bars", path, "--product", "finnifty", "--json").rows
    assert {row["product"] for row in rows} == {"FINNIFTY"}


def test_a_bad_file_does_not_hide_the_good_ones(tmp_path: Path) -> None:
    good = written(tmp_path / "nifty.csv", ticks(0, 60))
    bad = written(tmp_path / "nifty-2.csv", b"\x00\x01\x02")
    ran = run("bars", bad, good, "--json")
    assert ran.code == 2
    assert [row["ticks"] for row in ran.rows] == [60]
    assert ran.complaint.startswith(f"error: {bad}: ")


def test_a_chain_file_has_no_ticks_and_no_candles(tmp_path: Path) -> None:
    from tests.harness.feed_files import body, row

    path = written(tmp_path / "chain.json", body([row(26000)]))
    ran = run("bars", path)
    assert ran.code == 2
    assert "holds no ticks and no candles" in ran.complaint


def test_the_tables_are_one_for_each_product_and_fit_80_columns(tmp_path: Path) -> None:
    lines = [(second(n), 126000.05 + n) for n in range(90)]
    nifty = written(tmp_path / "nifty.csv", tick_lines(lines))
    bank = written(tmp_path / "banknifty.csv", tick_lines(lines))
    shown = run("bars", nifty, bank).out.splitlines()
    assert [line.rstrip() for line in shown if line.startswith(("NIFTY", "BANK"))] == [
        f"NIFTY, 1m bars, date {DAY}",
        f"BANKNIFTY, 1m bars, date {DAY}",
    ]
    assert [line.split()[:2] for line in shown if line.startswith("09:")] == [
        ["09:15", "126,000.05"],
        ["09:16", "126,060.05"],
    ] * 2
    assert max(map(len, shown)) <= 80


def test_a_table_of_several_days_has_a_column_of_dates(tmp_path: Path) -> None:
    prices = {"2026-01-06": 100.0, "2026-01-07": 200.0}
    days = tick_lines([(f"{day} 09:20:0{n}", prices[day]) for day in prices for n in range(5)])
    shown = run("bars", written(tmp_path / "nifty.csv", days), "--interval", "1d").out
    assert shown.startswith("NIFTY, 1d bars\n")
    assert [line.split()[:3] for line in shown.splitlines() if line.startswith("2026")] == [
        ["2026-01-06", "09:15", "100"],
        ["2026-01-07", "09:15", "200"],
    ]
