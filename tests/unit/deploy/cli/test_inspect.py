"""`inspect`: what the files say, row by row."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.harness.cli import run
from tests.harness.feed_files import body, leg, row, written

FIELDS = [
    "product",
    "expiry",
    "timestamp",
    "underlying_price",
    "pcr_oi",
    "pcr_volume",
    "call_oi",
    "put_oi",
    "call_volume",
    "put_volume",
    "oi_unit",
    "max_pain",
    "forward",
    "atm_strike",
    "atm_iv",
    "gex_total",
    "strikes",
    "missing_legs",
    "legs_with_iv",
    "iv_null_reasons",
    "null_reasons",
    "flags",
    "source",
]


def chain(*expiries: str, stamp: str = "06-Jan-2026 10:31:07") -> dict[str, Any]:
    """Two strikes in each expiry: calls 100 + 300, puts 200 + 400."""
    rows = [
        row(strike, expiry, CE=leg(openInterest=calls), PE=leg(openInterest=puts))
        for expiry in expiries
        for strike, calls, puts in ((26000, 100, 200), (26100, 300, 400))
    ]
    return body(
        [{**r, **{k: {**r[k], "expiryDate": r["expiryDate"]} for k in ("CE", "PE")}} for r in rows],
        timestamp=stamp,
    )


def test_a_snapshot_is_one_json_line_with_the_promised_fields(tmp_path: Path) -> None:
    path = written(tmp_path / "chain.json", chain("13-Jan-2026"))
    ran = run("inspect", path, "--json")
    assert ran.code == 0
    (found,) = ran.rows
    assert list(found) == FIELDS
    shares = 65
    expected = {
        "product": "NIFTY",
        "expiry": "2026-01-13",
        "timestamp": "2026-01-06T10:31:07+05:30",
        "underlying_price": 26000.4,
        "pcr_oi": 1.5,
        "pcr_volume": 1.0,
        "call_oi": 400.0 * shares,
        "put_oi": 600.0 * shares,
        "call_volume": 1800.0,
        "put_volume": 1800.0,
        "oi_unit": "shares",
        "max_pain": 26100.0,
        "strikes": 2,
        "missing_legs": 0,
        "source": str(path),
    }
    assert {name: found[name] for name in expected} == expected
    assert found["legs_with_iv"] + sum(found["iv_null_reasons"].values()) == 4


@pytest.mark.parametrize(
    ("stamp", "nearest"),
    [
        ("05-Jan-2026 10:00:00", "2026-01-06"),
        ("06-Jan-2026 15:30:00", "2026-01-06"),
        ("07-Jan-2026 09:15:00", "2026-01-13"),
        ("02-Feb-2026 09:15:00", "2026-01-06"),
    ],
)
def test_the_nearest_expiry_is_the_first_not_before_the_snapshots_date(
    tmp_path: Path, stamp: str, nearest: str
) -> None:
    expiries = ("20-Jan-2026", "06-Jan-2026", "13-Jan-2026")
    path = written(tmp_path / "chain.json", chain(*expiries, stamp=stamp))
    assert [found["expiry"] for found in run("inspect", path, "--json").rows] == [nearest]


def test_all_expiries_or_one_can_be_asked_for(tmp_path: Path) -> None:
    path = written(tmp_path / "chain.json", chain("13-Jan-2026", "20-Jan-2026"))
    rows = run("inspect", path, "--expiry", "all", "--json").rows
    assert [found["expiry"] for found in rows] == ["2026-01-13", "2026-01-20"]
    rows = run("inspect", path, "--expiry", "2026-01-20", "--json").rows
    assert [found["expiry"] for found in rows] == ["2026-01-20"]


def test_an_expiry_that_no_chain_has_is_reported(tmp_path: Path) -> None:
    path = written(tmp_path / "chain.json", chain("13-Jan-2026"))
    ran = run("inspect", path, "--expiry", "2026-02-24", "--json")
    assert ran.code == 2
    assert str(path) in ran.complaint
    assert "2026-02-24" in ran.complaint


def test_output_follows_the_order_of_the_input(tmp_path: Path) -> None:
    for number in (10, 9, 1):
        written(tmp_path / f"nifty-{number}.json", chain("13-Jan-2026"))
    rows = run("inspect", tmp_path / "nifty-9.json", tmp_path, "--json").rows
    names = [Path(found["source"]).stem for found in rows]
    assert names == ["nifty-9", "nifty-1", "nifty-9", "nifty-10"]


def test_bad_files_do_not_hide_the_good_ones(tmp_path: Path) -> None:
    good = written(tmp_path / "b.json", chain("13-Jan-2026"))
    empty = written(tmp_path / "a.json", b"")
    page = written(tmp_path / "c.csv", "<html>busy</html>")
    cut = written(tmp_path / "d.json", json.dumps(chain("13-Jan-2026"))[:-40])
    missing = tmp_path / "nothing.json"
    ran = run("inspect", empty, good, missing, page, cut, "--json")
    assert ran.code == 2
    assert [found["source"] for found in ran.rows] == [str(good)]
    reported = ran.err.splitlines()
    assert len(reported) == 4
    for path in (empty, missing, page, cut):
        assert sum(line.startswith(f"error: {path}: ") for line in reported) == 1


def test_a_tick_file_is_no_chain(tmp_path: Path) -> None:
    path = written(tmp_path / "nifty.csv", "2026-01-06 09:15:00,26000\n")
    ran = run("inspect", path)
    assert ran.code == 2
    assert ran.complaint == f"error: {path}: holds no option chain"


def test_without_json_it_is_a_table(tmp_path: Path) -> None:
    path = written(tmp_path / "chain.json", chain("13-Jan-2026"))
    shown = run("inspect", path).out
    title, *lines = shown.splitlines()
    assert title == f"NIFTY, date 2026-01-06, OI unit shares, source {path}"
    assert lines[0].split()[:3] == ["time", "under-", "max"]
    assert lines[3].split()[:3] == ["2026-01-13", "10:31:07", "26,000.4"]
    assert max(map(len, lines)) <= 80


def test_the_tables_are_one_for_each_product(tmp_path: Path) -> None:
    for name in ("nifty-1", "banknifty-1", "nifty-2"):
        written(tmp_path / f"{name}.json", chain("13-Jan-2026"))
    shown = run("inspect", tmp_path, "--product", "NIFTY").out.splitlines()
    assert [line.split(",")[0] for line in shown if "OI unit" in line] == ["NIFTY"]
    assert [line.split()[-1] for line in shown if line.startswith("2026")] == [
        str(tmp_path / f"{name}.json") for name in ("banknifty-1", "nifty-1", "nifty-2")
    ]


def test_a_ratio_that_cannot_be_is_null(tmp_path: Path) -> None:
    rows = [row(26000, CE=leg(openInterest=0, totalTradedVolume=0), PE=leg())]
    path = written(tmp_path / "chain.json", body(rows))
    (found,) = run("inspect", path, "--json").rows
    assert found["pcr_oi"] is None
    assert found["pcr_volume"] is None
