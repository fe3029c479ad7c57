"""Expiries against every list of expiries in the real data; what differs is listed with why."""

from __future__ import annotations

import csv
import gzip
import tarfile
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import msgspec
import polars as pl
import pytest

from optionstream.streams.core.market.expiries import expiries, is_expiry, kind_of

SharedData = Callable[[str], Path]


class Records(msgspec.Struct):
    timestamp: str
    expiry_dates: list[str] = msgspec.field(name="expiryDates")


class Body(msgspec.Struct):
    records: Records


class Wrapped(msgspec.Struct):
    data: Body


def iso(text: str, form: str = "%d-%b-%Y") -> str:
    return datetime.strptime(text, form).date().isoformat()


def listed(product: str, on: str) -> list[str]:
    return [expiry.date for expiry in expiries(product, on)]


def body_of(file: Path) -> Body:
    raw = gzip.decompress(file.read_bytes())
    try:
        return msgspec.json.decode(raw, type=Body)
    except msgspec.ValidationError:
        return msgspec.json.decode(raw, type=Wrapped).data


def shown_in(file: Path) -> tuple[str, list[str]]:
    """The date of a body of the exchange's endpoint and the expiries that it lists."""
    records = body_of(file).records
    return iso(records.timestamp[:11]), [iso(text) for text in records.expiry_dates]


def test_every_body_of_autumn_2025_lists_the_eighteen_expiries_of_its_date(
    shared_data: SharedData,
) -> None:
    files = sorted((shared_data("nse-json-intraday-nifty-2025") / "json").glob("*.gz"))
    seen = dict(map(shown_in, files))
    assert len(seen) >= 20
    assert {on: dates for on, dates in seen.items() if dates != listed("NIFTY", on)} == {}
    assert {len(dates) for dates in seen.values()} == {18}


# Expiries that the exchange listed and the body does not name.
ENDS_IN_2023 = ["2023-12-28", "2024-06-27", "2024-12-26", "2025-06-26"]
FIRST_FIVE = slice(5, None)
MISSING: dict[str, list[str] | slice] = {
    # The endpoint of 2020 went three years ahead, before that to five expiries.
    "NIFTY_20200807_1530": ENDS_IN_2023,
    "NIFTY_php_344ecaa": FIRST_FIVE,
    "NIFTY_php_8900274": FIRST_FIVE,
    "BANKNIFTY_php_344ecaa": FIRST_FIVE,
    "BANKNIFTY_php_8900274": FIRST_FIVE,
    # Expiries in which nothing was quoted yet.
    "MIDCPNIFTY_2025_966e823": ["2025-09-30"],
    "NIFTYNXT50_2025_7aacb5d": ["2025-08-28", "2025-09-30"],
}
MISC = [
    "BANKNIFTY_20200807_1530",
    "BANKNIFTY_2025_de0e2fe",
    "BANKNIFTY_php_344ecaa",
    "BANKNIFTY_php_8900274",
    "FINNIFTY_2025_e96cf6f",
    "MIDCPNIFTY_2025_966e823",
    "NIFTYNXT50_2025_7aacb5d",
    "NIFTY_20200807_1530",
    "NIFTY_2025_9713306",
    "NIFTY_php_344ecaa",
    "NIFTY_php_8900274",
]


@pytest.mark.parametrize("name", MISC)
def test_single_bodies_of_five_indices_list_the_expiries_of_their_date(
    shared_data: SharedData, name: str
) -> None:
    on, shown = shown_in(shared_data("nse-json-misc") / f"{name}.json.gz")
    ours = listed(name.partition("_")[0], on)
    missing = MISSING.get(name, [])
    expected = ours[missing] if isinstance(missing, slice) else missing
    assert [day for day in shown if day not in ours] == []
    assert [day for day in ours if day not in shown] == expected


def test_a_share_has_the_monthlies_of_the_index(shared_data: SharedData) -> None:
    on, shown = shown_in(shared_data("nse-json-misc") / "RELIANCE_20200807_1530.json.gz")
    assert shown == [e.date for e in expiries("NIFTY", on) if e.kind == "monthly"]


def test_the_new_endpoint_of_2026_lists_the_expiries_of_its_date(shared_data: SharedData) -> None:
    (file,) = shared_data("nse-json-v3-2026-06-19").glob("*.gz")
    on, shown = shown_in(file)
    assert on == "2026-06-19"
    assert shown == listed("NIFTY", on)


@pytest.mark.parametrize("product", ["NIFTY", "BANKNIFTY", "FINNIFTY"])
def test_the_end_of_day_file_of_august_2025_lists_the_expiries_of_its_date(
    shared_data: SharedData, product: str
) -> None:
    name = f"converted_bhavcopy_{product}_20250814.csv"
    with (shared_data("bhavcopy-2025-08-14") / name).open(encoding="utf-8") as lines:
        shown = {iso(row["EXPIRY_DT"], "%d-%m-%Y") for row in csv.DictReader(lines)}
    assert sorted(shown) == listed(product, "2025-08-14")


CAPTURED = {"2026-Feb7": "2026-02-07", "2026-Feb14": "2026-02-14"}


def test_the_exports_of_the_website_in_2026_are_of_listed_expiries(
    shared_data: SharedData,
) -> None:
    files = sorted(shared_data("nse-csv-export").glob("*option-chain-ED-NIFTY-*.csv"))
    assert len(files) >= 10
    for file in files:
        captured, rest = file.name.split(".", 1)
        expiry = iso(rest.removeprefix("option-chain-ED-NIFTY-")[:11])
        assert expiry in listed("NIFTY", CAPTURED.get(captured, captured)), file.name


def test_the_folders_of_2019_are_the_nearest_five_expiries_or_one_that_has_just_passed(
    shared_data: SharedData,
) -> None:
    past = []
    files = sorted((shared_data("nse-oc-2018-2019") / "per_expiry_days").glob("*.tar.gz"))
    assert len(files) >= 8
    for file in files:
        product, on = file.name.removesuffix(".tar.gz").split("_")
        with tarfile.open(file) as tar:
            folders = {name.split("/")[-2] for name in tar.getnames() if "/" in name}
        shown = {iso(folder, "%d%b%Y") for folder in folders}
        past += [(on, day) for day in sorted(shown) if day < on]
        ahead = sorted(day for day in shown if day >= on)
        assert ahead == listed(product, on)[: len(ahead)], file.name
        assert len(ahead) >= 4
        assert all(is_expiry(product, day) for day in shown)
    # Empty files of the day after.
    assert set(past) == {("2019-05-17", "2019-05-16"), ("2019-05-24", "2019-05-23")}


def test_the_minute_chains_of_august_2026_are_of_the_nearest_four_expiries(
    shared_data: SharedData,
) -> None:
    file = shared_data("oc-minute-parquet-2026-08") / "oc_20260819.parquet"
    shown = pl.read_parquet(file, columns=["expiry"])["expiry"].unique().to_list()
    assert sorted(map(iso, shown)) == listed("NIFTY", "2026-08-19")[:4]


def test_the_brokers_instruments_of_january_2018_expire_with_the_month(
    shared_data: SharedData,
) -> None:
    with (shared_data("kite-packets") / "instruments_all.csv").open(encoding="utf-8") as lines:
        rows = [row for row in csv.DictReader(lines) if "BANKNIFTY18JAN" in row["tradingsymbol"]]
    assert {row["expiry"] for row in rows} == {"2018-01-25"}
    assert kind_of("BANKNIFTY", "2018-01-25", "2018-01-02") == "monthly"


def test_the_surface_of_january_2026_is_of_the_monthly_expiry(shared_data: SharedData) -> None:
    header = (shared_data("iv-surface-2026-01") / "dataset.csv").open(encoding="utf-8").readline()
    names = {name[:12] for name in header.strip().split(",") if name.startswith("NIFTY")}
    assert names == {"NIFTY27JAN26"}
    assert kind_of("NIFTY", "2026-01-27", "2026-01-07") == "monthly"


def test_a_made_up_fixture_of_a_broker_expires_on_no_expiry(shared_data: SharedData) -> None:
    file = shared_data("broker-chain-greeks") / "angel_like_chain_fixture.json"
    assert "BANKNIFTY23NOV47000CE" in file.read_text(encoding="utf-8")
    assert not is_expiry("BANKNIFTY", "2023-11-23")
    assert is_expiry("BANKNIFTY", "2023-11-22")
