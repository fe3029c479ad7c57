"""`bars`: offline bars of tick files."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.cli.running import run
from tests.unit.producers.builders import tick_lines, written

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


@pytest.mark.parametrize(
    ("interval", "count", "size"), [("1m", 30, 60), ("5m", 6, 300), ("15m", 2, 900)]
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


def test_a_sundays_ticks_make_no_bar(tmp_path: Path) -> None:
    path = written(tmp_path / "nifty.csv", tick_lines([("2026-01-04 10:00:00", 1.0)] * 3))
    ran = run("bars", path, "--json")
    assert (ran.code, ran.out) == (0, "")


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


def test_a_chain_file_has_no_ticks(tmp_path: Path) -> None:
    from tests.unit.producers.builders import body, row

    path = written(tmp_path / "chain.json", body([row(26000)]))
    ran = run("bars", path)
    assert ran.code == 2
    assert "holds no ticks" in ran.complaint
