"""``features export`` and ``features columns``, on files that a writer made."""

from __future__ import annotations

from pathlib import Path

import msgspec
import polars as pl
import pytest

from optionstream.schemas.files.feature_rows import COLUMNS
from optionstream.schemas.topics import CHAIN, OHLC
from optionstream.streams.sinks.features.writer import FeatureWriter
from tests.harness import feature_model as model
from tests.harness import records as support
from tests.harness.cli import Ran, run
from tests.harness.feature_model import NEAR, PRODUCTS, on_day
from tests.unit.streams.sinks.features.opened import IDLE, IDS, RULES, opened

DAY, NEXT_DAY = "2025-10-27", "2025-10-28"


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two products and days; the first bar of NIFTY has a late tick and then a late chain."""
    monkeypatch.setenv("OPTIONSTREAM_DATA_DIR", str(tmp_path))
    monkeypatch.delenv("OPTIONSTREAM_FEATURES_DIR", raising=False)
    store = opened(tmp_path / "features" / "monday")
    writer = FeatureWriter(store, RULES)
    writer.start_partitions(IDS)
    bars = [
        on_day(support.bar(window, interval=interval, product=product), day)  # type: ignore[arg-type]
        for day in (0, 1)
        for product in PRODUCTS
        for interval in ("1m", "5m")
        for window in range(3)
    ]
    for offset, bar in enumerate(bars):
        writer.add_bar(0, offset, bar)
    writer.write_rows(IDLE)
    writer.add_bar(0, 99, support.bar(0, revision=2, close=24_011.0))
    writer.write_rows(IDLE)
    late = msgspec.structs.replace(model.chain(30_000, NEAR), known_at=support.OPEN_MS + 900_000)
    writer.add_chain(0, 0, late)
    writer.write_rows(IDLE)
    store.close()
    assert {topic for topic, _ in IDS} == {OHLC, CHAIN}
    return tmp_path


def export(*args: object, start: str = DAY, end: str = NEXT_DAY) -> Ran:
    where = ("--start", start, "--end", end, "--namespace", "monday")
    return run("features", "export", *where, *args)


def test_every_bar_comes_once_with_its_newest_revision(data: Path) -> None:
    out = data / "all.parquet"
    ran = export("--out", out, "--json")
    assert ran.code == 0, ran.err
    assert ran.rows == [
        {"date": DAY, "product": "BANKNIFTY", "rows": 6, "revised": 0},
        {"date": DAY, "product": "NIFTY", "rows": 6, "revised": 6},
        {"date": NEXT_DAY, "product": "BANKNIFTY", "rows": 6, "revised": 0},
        {"date": NEXT_DAY, "product": "NIFTY", "rows": 6, "revised": 0},
    ]
    frame = pl.read_parquet(out)
    assert frame.columns == [column.name for column in COLUMNS]
    assert len(frame) == len(frame.unique(["product", "interval", "start"])) == 24
    first = frame.filter(product="NIFTY", interval="1m", start=support.OPEN_MS).to_dicts()
    assert [(row["revision"], row["bar_revision"], row["close"]) for row in first] == [
        (3, 2, 24_011.0)
    ]
    assert first[0]["near_expiry"] == NEAR
    assert first[0]["known_at"] == support.OPEN_MS + 900_000


def test_as_known_takes_the_first_revision(data: Path) -> None:
    out = data / "first.parquet"
    assert export("--out", out, "--as-known", "--product", "nifty").code == 0
    frame = pl.read_parquet(out)
    assert set(frame["revision"]) == {1}
    assert set(frame["near_reason"]) == {"no_chain_yet"}
    assert len(frame) == 12


def test_product_interval_and_dates_narrow_it(data: Path) -> None:
    out = data / "some.csv"
    ran = export("--out", out, "--product", "NIFTY", "--interval", "5m", end=DAY)
    assert ran.code == 0
    assert "3 rows in" in ran.err
    frame = pl.read_csv(out)
    assert set(frame["product"]) == {"NIFTY"}
    assert set(frame["interval"]) == {"5m"}
    assert frame["start"].to_list() == sorted(frame["start"].to_list())
    assert len(frame) == 3


def test_a_folder_gets_a_file_a_date_and_product_the_same_bytes_each_time(data: Path) -> None:
    out = data / "out"
    assert export("--out", out).code == 0
    made = {path.relative_to(out): path.read_bytes() for path in out.rglob("*") if path.is_file()}
    assert sorted(map(str, made)) == [
        f"date={day}/{product}.parquet" for day in (DAY, NEXT_DAY) for product in sorted(PRODUCTS)
    ]
    assert export("--out", out).code == 0
    again = {path.relative_to(out): path.read_bytes() for path in out.rglob("*") if path.is_file()}
    assert again == made


def test_no_rows_are_exit_code_1_and_nothing_is_written(data: Path) -> None:
    out = data / "none.parquet"
    ran = export("--out", out, start="2024-01-01", end="2024-01-31")
    assert (ran.code, out.exists()) == (1, False)
    assert "no rows from 2024-01-01" in ran.complaint


def test_an_unknown_namespace_is_exit_code_2_and_says_how_features_come_about(data: Path) -> None:
    out = data / "x.parquet"
    ran = run(
        *("features", "export", "--start", DAY, "--end", DAY, "--out", out),
        *("--namespace", "nobody"),
    )
    assert ran.code == 2
    assert "optionstream worker features" in ran.complaint


def test_a_place_that_cannot_be_written_is_one_line(data: Path) -> None:
    (data / "file").touch()
    ran = export("--out", data / "file" / "x.parquet")
    assert ran.code == 1
    assert "--out" in ran.err.splitlines()[-1]


def test_bars_that_still_wait_are_told(data: Path) -> None:
    store = opened(data / "features" / "monday")
    writer = FeatureWriter(store, RULES)
    writer.start_partitions(IDS)
    writer.add_bar(0, 100, support.bar(7))
    writer.write_rows()
    store.close()
    assert "note: 1 bars have no row yet" in export("--out", data / "x.parquet").err
    assert "no row yet" not in export("--out", data / "x.csv", "--product", "BANKNIFTY").err


def test_columns_lists_every_column_with_unit_and_reason() -> None:
    ran = run("features", "columns", "--json")
    assert [row["name"] for row in ran.rows] == [column.name for column in COLUMNS]
    assert set(ran.rows[0]) == {"name", "kind", "unit", "meaning", "null"}
    assert run("features", "columns").code == 0
