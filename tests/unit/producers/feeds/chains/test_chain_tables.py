"""Option chains in Parquet, SQLite and the end-of-day CSV."""

from __future__ import annotations

import io
import sqlite3
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from msgspec.structs import replace

from optionstream.producers.feeds import FeedHints, open_feed
from optionstream.producers.feeds.chains import minute_table
from optionstream.producers.feeds.chains.legs import ChainBook, Times
from optionstream.producers.feeds.files import parquet_table
from optionstream.schemas.errors import InputError
from optionstream.schemas.events import ChainSnapshot, TickFrame
from tests.harness.feed_files import NO_HINTS, at, chains_of, fed, packed, written

MINUTE: dict[str, Any] = {
    "timestamp": "202608191127",
    "symbol": "NIFTY50",
    "expiry": "25-Aug-2026",
    "strike": 24000.0,
    "option_type": "CE",
    "spot": 24052.400391,
    "ltp": 101.5,
    "open": None,
    "volume": 900.0,
    "oi": 120.0,
    "oi_chg": -5.0,
    "iv": 12.5,
}
EOD: dict[str, Any] = {
    "symbol": "NIFTY",
    "expiry_date": datetime(2025, 8, 28),
    "strike": 23150.0,
    "option_type": "PE",
    "premium_t": 8.7,
    "openInterest": 27150,
    "changeinOpenInterest": 4800,
    "totalTradedVolume": 324,
    "date_t": datetime(2025, 8, 14),
    "S_t": 24631.300781,
    "iv_est_t": 0.172,
    "iv_converged": True,
}
COLUMNS = (*minute_table.TEXTS, *minute_table.NUMBERS)
EOD_HEAD = (
    "SYMBOL,EXPIRY_DT,STRIKE_PR,OPTION_TYP,SETTLE_PR,OPEN_INT,CHG_IN_OI,VOLUME,TRADE_DATE,"
    "UNDERLYING_PRICE,HIGH_PRICE,LOW_PRICE,OPEN_PRICE,CLOSE_PRICE,LAST_PRICE\n"
)


def _parquet(rows: list[dict[str, Any]]) -> bytes:
    out = io.BytesIO()
    pl.DataFrame(rows, infer_schema_length=None).write_parquet(out)
    return out.getvalue()


def _sqlite(path: Path, tables: dict[str, list[dict[str, Any]]]) -> Path:
    with sqlite3.connect(path) as database:
        for table, rows in tables.items():
            names = ", ".join(f'"{name}"' for name in rows[0])
            database.execute(f'CREATE TABLE "{table}" ({names})')
            places = ", ".join("?" * len(rows[0]))
            database.executemany(
                f'INSERT INTO "{table}" VALUES ({places})', [tuple(row.values()) for row in rows]
            )
    database.close()
    return path


def _why(path: Path) -> str:
    with pytest.raises(InputError) as raised:
        list(open_feed(path, NO_HINTS).events())
    assert raised.value.source == str(path)
    assert "\n" not in str(raised.value)
    return raised.value.why


def _minutes(path: Path, how: str, rows: list[dict[str, Any]]) -> Path:
    if how == "sqlite":
        return _sqlite(path / "a", {"chain": rows})
    return written(path / "a", _parquet(rows))


@pytest.mark.parametrize("how", ["parquet", "sqlite"])
def test_a_minute_table_gives_a_snapshot_for_each_minute_and_expiry(
    tmp_path: Path, how: str
) -> None:
    rows = [
        MINUTE,
        {**MINUTE, "option_type": "PE", "oi": 7.0},
        {**MINUTE, "strike": 23950.0},
        {**MINUTE, "expiry": "01-Sep-2026"},
        {**MINUTE, "timestamp": "202608191126"},
    ]
    before, near, far = chains_of(_minutes(tmp_path, how, rows))
    assert before.ts_event == before.ts_recv == at("2026-08-19 11:26:00")
    assert (near.product, near.expiry, far.expiry) == ("NIFTY", "2026-08-25", "2026-09-01")
    assert near.capture_id == far.capture_id != before.capture_id
    assert (before.expiries_in_capture, near.expiries_in_capture) == (1, 2)
    assert near.strikes == [23950, 24000]
    assert (near.calls.oi, near.puts.oi) == ([120, 120], [None, 7])
    assert (near.oi_unit, near.source) == ("lots", "nse-minute")
    assert (near.calls.volume, near.calls.last, near.calls.iv) == (
        [900] * 2,
        [101.5] * 2,
        [12.5] * 2,
    )
    assert near.calls.bid == near.calls.ask == [None, None]


def test_a_minute_tables_spot_loses_the_noise_of_four_byte_floats(tmp_path: Path) -> None:
    (chain,) = chains_of(written(tmp_path / "a", _parquet([MINUTE])))
    assert chain.underlying_price == 24052.4


@pytest.mark.parametrize("iv", [0.1, 0.0, None, float("nan")])
def test_the_floor_of_the_solver_is_no_implied_volatility(tmp_path: Path, iv: float | None) -> None:
    (chain,) = chains_of(written(tmp_path / "a", _parquet([{**MINUTE, "iv": iv}])))
    assert chain.calls.iv == [None]
    assert chain.calls.oi == [120]


@pytest.mark.parametrize("how", ["plain", "gzip", "zstd"])
def test_a_parquet_file_may_be_packed_and_called_anything(tmp_path: Path, how: str) -> None:
    path = written(tmp_path / "a.json", packed(_parquet([MINUTE]), how))
    assert open_feed(path, NO_HINTS).format == "parquet"
    assert len(chains_of(path)) == 1


def test_rows_of_a_table_that_cannot_be_read_are_told(tmp_path: Path) -> None:
    rows = [
        MINUTE,
        {**MINUTE, "oi": 5.0},
        {**MINUTE, "timestamp": "soon"},
        {**MINUTE, "expiry": None},
        {**MINUTE, "option_type": "XX"},
        {**MINUTE, "strike": None},
        {**MINUTE, "symbol": "?"},
    ]
    feed = open_feed(written(tmp_path / "a", _parquet(rows)), NO_HINTS)
    (chain,) = feed.events()
    assert isinstance(chain, ChainSnapshot)
    assert chain.calls.oi == [120]
    assert feed.problems == [
        "row 2: 24000 CE of 2026-08-25 again; the first one counts",
        "row 3: 'soon' is not a time (yyyymmddHHMM)",
        "row 4: None is not a text",
        "row 5: 'XX' is neither CE nor PE",
        "row 6: strike is missing",
        "row 7: '?' is not a product name: use letters and digits",
    ]


def test_a_value_of_another_type_in_sqlite_is_told(tmp_path: Path) -> None:
    rows = [MINUTE, {**MINUTE, "strike": 1.0, "oi": "many"}]
    feed = open_feed(_minutes(tmp_path, "sqlite", rows), NO_HINTS)
    assert len(list(feed.events())) == 1
    assert feed.problems == ["row 2: 'many' is not a number"]


def test_a_snapshot_that_breaks_the_rules_is_told_with_its_time(tmp_path: Path) -> None:
    rows = [MINUTE, {**MINUTE, "timestamp": "202608191128", "oi": -1.0}]
    feed = open_feed(written(tmp_path / "a", _parquet(rows)), NO_HINTS)
    assert len(list(feed.events())) == 1
    (problem,) = feed.problems
    assert problem.startswith("expiry 2026-08-25 at 2026-08-19T11:28:00+05:30: invalid")


def test_a_column_of_another_type_is_an_error(tmp_path: Path) -> None:
    path = written(tmp_path / "a", _parquet([{**MINUTE, "strike": "high"}]))
    assert "wrong column" in _why(path)


def test_other_tables_are_named_by_what_they_hold(tmp_path: Path) -> None:
    prices = _parquet([{"timestamp": 1, "price": 2.0}])
    assert _why(written(tmp_path / "a", prices)) == (
        "Parquet, but no option chain: its columns are timestamp, price"
    )
    database = _sqlite(tmp_path / "b", {"trades": [{"price": 1}]})
    assert _why(database) == "SQLite, but no table with option chains: trades"
    twice = _sqlite(tmp_path / "c", {"one": [MINUTE], "two": [MINUTE]})
    assert _why(twice) == "SQLite, but several tables with option chains: one, two"


def test_damaged_tables_are_told(tmp_path: Path) -> None:
    whole = _parquet([MINUTE])
    for cut in (4, 12, len(whole) // 2, len(whole) - 1):
        assert "damaged Parquet" in _why(written(tmp_path / "a", whole[:cut]))
    database = _sqlite(tmp_path / "b", {"chain": [MINUTE]}).read_bytes()
    for cut in (16, 200, len(database) - 100):
        assert "damaged SQLite" in _why(written(tmp_path / "c", database[:cut]))


def test_an_end_of_day_parquet_is_stamped_at_the_close(tmp_path: Path) -> None:
    rows = [EOD, {**EOD, "option_type": "CE", "iv_converged": False}]
    (chain,) = chains_of(written(tmp_path / "a", _parquet(rows)))
    assert (chain.product, chain.expiry) == ("NIFTY", "2025-08-28")
    assert chain.ts_event == chain.ts_recv == at("2025-08-14 15:30:00")
    assert (chain.oi_unit, chain.underlying_price) == ("shares", 24631.3)
    puts = chain.puts
    assert (puts.oi, puts.oi_change, puts.volume, puts.last) == ([27150], [4800], [324], [8.7])
    assert puts.iv == [pytest.approx(17.2)]
    assert chain.calls.iv == [None]


def test_an_end_of_day_parquet_tells_what_it_lacks(tmp_path: Path) -> None:
    rows = [EOD, {**EOD, "expiry_date": None}]
    feed = open_feed(written(tmp_path / "a", _parquet(rows)), NO_HINTS)
    assert len(list(feed.events())) == 1
    assert feed.problems == ["row 2: no symbol, option type, day or expiry"]


def test_an_end_of_day_csv_is_stamped_at_the_close(tmp_path: Path) -> None:
    text = EOD_HEAD + (
        "BANKNIFTY,30-09-2025,47500.0,PE,8.05,525,0,0,14-08-2025,55341.85,0.0,0.0,0.0,22.5,22.5\n"
        "BANKNIFTY,28-08-2025,51300.0,CE,4169.6,35,-5,9,14-08-2025,55341.85,1,1,1,3917.5,3900.0\n"
        "BANKNIFTY,28-08-2025,51400.0,CE,0.0,0,0,0,14-08-2025,0.0,0.0,0.0,0.0,0.0,0.0\n"
    )
    near, far = chains_of(written(tmp_path / "a.txt", text))
    assert (near.expiry, far.expiry) == ("2025-08-28", "2025-09-30")
    assert near.ts_event == near.ts_recv == at("2025-08-14 15:30:00")
    assert (near.product, near.oi_unit, near.source) == ("BANKNIFTY", "shares", "nse-eod")
    assert near.underlying_price == 55341.85
    calls = near.calls
    assert (calls.oi, calls.oi_change, calls.volume) == ([35, 0], [-5, 0], [9, 0])
    assert (calls.last, calls.iv, calls.bid) == ([3900, None], [None, None], [None, None])
    assert (far.puts.last, far.puts.volume) == ([22.5], [0])


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ("NIFTY,28-08-2025,1,XX,1,1,1,1,14-08-2025,1,1,1,1,1,1", "'XX' is neither CE nor PE"),
        ("NIFTY,soon,1,CE,1,1,1,1,14-08-2025,1,1,1,1,1,1", "'soon' is not a date"),
        ("NIFTY,28-08-2025,1,CE,1,many,1,1,14-08-2025,1,1,1,1,1,1", "'many' is not a number"),
        ("NIFTY,28-08-2025,1,CE,1,1,1,1,14-08-1925,1,1,1,1,1,1", "before 1970"),
    ],
)
def test_an_end_of_day_row_that_cannot_be_read_is_told(tmp_path: Path, row: str, why: str) -> None:
    assert why in _why(written(tmp_path / "a", EOD_HEAD + row))


def test_a_parquet_of_trades_is_no_chain_and_needs_a_product(tmp_path: Path) -> None:
    trade = {"timestamp": datetime(2021, 1, 8, 0, 0, 1), "trade_id": 7, "price": 39432.5}
    path = written(tmp_path / "a", _parquet([trade]))
    assert "pass --product" in _why(path)
    (frame,) = open_feed(path, FeedHints(product="BTCUSDT")).events()
    assert isinstance(frame, TickFrame)
    assert (frame.product, frame.price, frame.seq) == ("BTCUSDT", [39432.5], [7])


@pytest.mark.parametrize("shuffled", [False, True])
@pytest.mark.parametrize("slice_rows", [1, 3, 100_000])
def test_snapshots_do_not_tell_where_a_table_was_cut_nor_in_what_order_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, slice_rows: int, shuffled: bool
) -> None:
    rows = [
        {**MINUTE, "timestamp": stamp, "expiry": expiry, "strike": 24000.0 + strike}
        for stamp in ("202608191126", "no time", "202608191127")
        for expiry in ("25-Aug-2026", "01-Sep-2026")
        for strike in (0, 50)
    ]
    whole = list(open_feed(_minutes(tmp_path, "sqlite", rows), NO_HINTS).events())
    if shuffled:
        rows = rows[5:] + rows[:5]
    monkeypatch.setattr(parquet_table, "SLICE_ROWS", slice_rows)
    feed = open_feed(written(tmp_path / "b", _parquet(rows)), NO_HINTS)
    found = list(feed.events())
    bodies = {chain.capture_id.partition("-")[0] for chain in found}
    assert len(bodies) == 1
    assert [replace(one, capture_id="") for one in found] == [
        replace(one, capture_id="") for one in whole
    ]
    assert [one.capture_id.partition("-")[2] for one in found] == [
        str(one.ts_event) for one in found
    ]
    assert len(feed.problems) == 4


def test_rows_in_the_order_of_time_are_not_gathered(tmp_path: Path) -> None:
    """The first snapshot comes before the row is read that ends the reading."""
    rows = [{**MINUTE, "timestamp": f"2026081911{at:02d}"} for at in range(10, 40)]
    read: list[int] = []
    book = ChainBook("nse-minute", "lots", fed())
    told = minute_table.minute_legs((tuple(row[name] for name in COLUMNS) for row in rows), fed())
    legs = (read.append(leg.number) or leg for leg in told)  # type: ignore[func-returns-value]
    chains = book.stream_snapshots(legs, Times(rising=True, several=True), "id")
    assert next(chains).ts_event == at("2026-08-19 11:10:00")
    assert read == [1, 2]
