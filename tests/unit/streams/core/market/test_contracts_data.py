"""Lots and strikes against real open interest: in shares it comes in whole lots."""

from __future__ import annotations

import csv
import gzip
import io
import json
import tarfile
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from optionstream.streams.core.market.contracts import expiries, lot_size, strike_step

SharedData = Callable[[str], Path]


def iso(text: str, form: str = "%d-%b-%Y") -> str:
    return datetime.strptime(text, form).date().isoformat()


def share_of_multiples(values: list[int], lot: int) -> float:
    return sum(value % lot == 0 for value in values) / len(values)


# --- open interest in shares -------------------------------------------------------------------


def last_snapshots(folder: Path, product: str) -> Iterator[tuple[str, list[int], set[float]]]:
    """Date, open interest in shares and strikes of the last page of each day in 2018 and 2019."""
    for file in sorted((folder / "halfhourly").glob(f"{product}_*.tar.gz")):
        with tarfile.open(file) as tar:
            pages = {}
            for member in sorted(tar, key=lambda member: member.name):
                content = tar.extractfile(member)
                assert content is not None
                pages[member.name.split("_")[1]] = content.read()
        for day, page in pages.items():
            rows = list(csv.DictReader(io.StringIO(page.decode("latin-1"))))
            texts = [row[side].replace(",", "") for row in rows for side in ("CallOI", "PutOI")]
            strikes = {float(row["StrikePrice"]) for row in rows}
            yield day, [int(text) for text in texts if text.isdigit() and text != "0"], strikes


@pytest.mark.parametrize(
    ("product", "lots", "odd"),
    [
        # A long-dated contract until then: it holds remainders of 25 from an older lot.
        ("NIFTY", {75}, {"2018-12-27"}),
        ("BANKNIFTY", {40, 20}, set()),
    ],
)
def test_the_shares_of_2018_and_2019_come_in_the_lots_of_their_date(
    shared_data: SharedData, product: str, lots: set[int], odd: set[str]
) -> None:
    seen = set()
    with_remainders = set()
    for day, shares, _ in last_snapshots(shared_data("nse-oc-2018-2019"), product):
        nearest = expiries(product, day)[0].date
        lot = lot_size(product, nearest, day)
        assert lot is not None
        if shares:
            seen.add(lot)
            assert share_of_multiples(shares, lot) > 0.97, day
            if share_of_multiples(shares, lot) < 1:
                with_remainders.add(nearest)
                assert share_of_multiples(shares, 25) == 1, day
    assert seen == lots
    assert with_remainders == odd


def test_banknifty_went_from_40_to_20_on_26_october_2018(shared_data: SharedData) -> None:
    by_day = {
        day: shares
        for day, shares, _ in last_snapshots(shared_data("nse-oc-2018-2019"), "BANKNIFTY")
        if "2018-10-15" <= day <= "2018-10-31" and shares
    }
    for day, shares in by_day.items():
        whole = share_of_multiples(shares, 40)
        assert whole == 1 if day < "2018-10-26" else whole < 0.9, day
    assert {"2018-10-25", "2018-10-26"} <= set(by_day)


def test_the_lot_of_a_brokers_instrument_is_ours(shared_data: SharedData) -> None:
    with (shared_data("kite-packets") / "instruments_all.csv").open(encoding="utf-8") as lines:
        rows = [row for row in csv.DictReader(lines) if row["expiry"] == "2018-01-25"]
    index = {row["lot_size"] for row in rows if row["tradingsymbol"].startswith("BANKNIFTY")}
    assert index == {str(lot_size("BANKNIFTY", "2018-01-25", "2018-01-02"))}


def test_the_shares_of_banknifty_in_spring_2022_come_in_its_lot(shared_data: SharedData) -> None:
    files = sorted(shared_data("oc-ltp-oi-2022").glob("*.json.gz"))
    for file in (files[0], files[-1]):
        rows = json.loads(gzip.decompress(file.read_bytes()))
        shares = [int(row["oi"]) for row in rows if row["Inst"] == "B" and row["oi"]]
        on = file.name[:10]
        lot = lot_size("BANKNIFTY", expiries("BANKNIFTY", on)[0].date, on)
        assert lot == 25
        assert share_of_multiples(shares, lot) == 1
        assert share_of_multiples(shares, 2 * lot) < 0.9


# Contracts listed before the last change of the lot hold what was left of older lots.
OLD_LOTS = {
    "NIFTY": {
        "2025-12-30": 25,
        "2026-06-30": 25,
        "2026-12-29": 25,
        "2027-06-29": 25,
        "2027-12-28": 25,
        "2028-06-27": 25,
        "2028-12-26": 25,
        "2029-06-26": 25,
    },
    "BANKNIFTY": {"2025-09-30": 5, "2025-12-30": 5},
    "FINNIFTY": {},
}


@pytest.mark.parametrize("product", OLD_LOTS)
def test_the_shares_of_the_end_of_day_file_come_in_the_lot_of_each_expiry(
    shared_data: SharedData, product: str
) -> None:
    shares = defaultdict(list)
    name = f"converted_bhavcopy_{product}_20250814.csv"
    with (shared_data("bhavcopy-2025-08-14") / name).open(encoding="utf-8") as lines:
        for row in csv.DictReader(lines):
            if count := int(float(row["OPEN_INT"])):
                shares[iso(row["EXPIRY_DT"], "%d-%m-%Y")].append(count)
    odd = {}
    for expiry, counts in shares.items():
        lot = lot_size(product, expiry, "2025-08-14")
        assert lot is not None
        if share_of_multiples(counts, lot) < 1:
            odd[expiry] = OLD_LOTS[product].get(expiry)
            assert share_of_multiples(counts, OLD_LOTS[product][expiry]) == 1
    assert odd == OLD_LOTS[product]


def test_the_futures_of_december_2025_still_trade_in_lots_of_75(shared_data: SharedData) -> None:
    name = "nifty_futures11_today_all_ticks.csv"
    with (shared_data("ticks-depth-niftyfut-2025-12-29") / name).open(encoding="utf-8") as lines:
        shares = [int(row["oi"]) for row in csv.DictReader(lines) if row["oi"] not in ("", "0")]
    lot = lot_size("NIFTY", "2025-12-30", "2025-12-29")
    assert lot == 75
    assert share_of_multiples(shares, lot) == 1
    assert share_of_multiples(shares, 65) < 0.5


# --- open interest in lots: fractions tell the lot ---------------------------------------------


def lots_by_expiry(file: Path) -> tuple[str, dict[str, list[float]]]:
    records: dict[str, Any] = json.loads(gzip.decompress(file.read_bytes()))["records"]
    found = defaultdict(list)
    for row in records["data"]:
        for side in ("CE", "PE"):
            if side in row:
                found[iso(row["expiryDate"])].append(float(row[side]["openInterest"]))
    return iso(records["timestamp"][:11]), found


def fractional(lots: list[float]) -> list[float]:
    return [count for count in lots if count != int(count)]


@pytest.mark.parametrize(
    ("name", "old_lot", "expected"),
    [
        ("NIFTY_2025_9713306", 25, 8),
        ("BANKNIFTY_2025_de0e2fe", 5, 2),
        ("FINNIFTY_2025_e96cf6f", 1, 0),
    ],
)
def test_fractions_of_a_lot_are_whole_shares_of_older_lots(
    shared_data: SharedData, name: str, old_lot: int, expected: int
) -> None:
    on, by_expiry = lots_by_expiry(shared_data("nse-json-misc") / f"{name}.json.gz")
    with_fractions = 0
    for expiry, lots in by_expiry.items():
        lot = lot_size(name.partition("_")[0], expiry, on)
        assert lot is not None
        with_fractions += bool(fractional(lots))
        for count in fractional(lots):
            assert count * lot / old_lot == pytest.approx(round(count * lot / old_lot), abs=1e-6)
    assert with_fractions == expected


def test_the_fractions_of_autumn_2025_are_lots_of_25_in_lots_of_75(
    shared_data: SharedData,
) -> None:
    file = min((shared_data("nse-json-intraday-nifty-2025") / "json").glob("*.gz"))
    on, by_expiry = lots_by_expiry(file)
    thirds: Counter[str] = Counter()
    for expiry, lots in by_expiry.items():
        assert lot_size("NIFTY", expiry, on) == 75
        for count in fractional(lots):
            assert round(count * 75, 6) % 25 == 0
            thirds[expiry] += 1
    # Only contracts from before the change of November 2024; the nearest of them in December.
    assert min(thirds) == "2025-12-30"
    assert thirds["2025-12-30"] > 20


# --- strikes -----------------------------------------------------------------------------------


@pytest.mark.parametrize("product", ["NIFTY", "BANKNIFTY"])
def test_the_strikes_of_2018_and_2019_lie_a_step_apart(
    shared_data: SharedData, product: str
) -> None:
    gaps: Counter[float] = Counter()
    for day, _, strikes in last_snapshots(shared_data("nse-oc-2018-2019"), product):
        gaps.update(high - low for low, high in pairwise(sorted(strikes)))
        assert strike_step(product, day) is not None
    step = strike_step(product, "2019-01-01")
    assert gaps.most_common(1)[0][0] == step


@pytest.mark.parametrize(
    "name",
    [
        "NIFTY_2025_9713306",
        "BANKNIFTY_2025_de0e2fe",
        "FINNIFTY_2025_e96cf6f",
        "MIDCPNIFTY_2025_966e823",
        "NIFTYNXT50_2025_7aacb5d",
    ],
)
def test_the_strikes_near_the_money_lie_a_step_apart_in_the_nearest_expiry(
    shared_data: SharedData, name: str
) -> None:
    content = gzip.decompress((shared_data("nse-json-misc") / f"{name}.json.gz").read_bytes())
    records = json.loads(content)["records"]
    nearest = records["expiryDates"][0]
    spot = records["underlyingValue"]
    strikes = sorted(row["strikePrice"] for row in records["data"] if row["expiryDate"] == nearest)
    near = [strike for strike in strikes if abs(strike - spot) < 0.02 * spot]
    step = strike_step(name.partition("_")[0], iso(records["timestamp"][:11]))
    assert {high - low for low, high in pairwise(near)} == {step}
