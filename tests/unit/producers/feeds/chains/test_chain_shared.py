"""The quirks of the real chain files, and what two sources of one thing agree on."""

from __future__ import annotations

import csv
import gzip
import json
from collections import defaultdict
from collections.abc import Callable, Iterable
from math import fsum
from pathlib import Path

import polars as pl
import pytest

from optionstream.producers.feeds import FeedHints, open_feed
from optionstream.schemas.events import LEG_COLUMNS, ChainSnapshot, Legs
from tests.harness.feed_files import NO_HINTS, at, chains_of

SharedData = Callable[[str], Path]


def _read(path: Path, hints: FeedHints = NO_HINTS) -> tuple[list[ChainSnapshot], list[str]]:
    feed = open_feed(path, hints)
    chains = [event for event in feed.events() if isinstance(event, ChainSnapshot)]
    return chains, feed.problems


def _column(chains: Iterable[ChainSnapshot], name: str) -> list[float]:
    """What the legs tell of one column, without the missing."""
    sides = [legs for chain in chains for legs in (chain.calls, chain.puts)]
    return [value for legs in sides for value in getattr(legs, name) if value is not None]


def _told(legs: Legs) -> int:
    """How many legs have any figure."""
    columns = [getattr(legs, name) for name in LEG_COLUMNS]
    return sum(any(value is not None for value in leg) for leg in zip(*columns, strict=True))


def test_the_flat_csv_and_the_json_of_one_capture_agree(shared_data: SharedData) -> None:
    folder = shared_data("nse-json-intraday-nifty-2025")
    flat, problems = _read(folder / "csv_by_day" / "2025-10-14.tar.xz")
    assert problems == []
    (path,) = (folder / "json").glob("010_nse20251014T102617_fetched20251014T045703Z*")
    body = chains_of(path)
    capture = {chain.expiry: chain for chain in flat if chain.ts_event == at("2025-10-14 10:27:03")}
    assert sorted(capture) == [chain.expiry for chain in body]
    for chain in body:
        other = capture[chain.expiry]
        assert other.strikes == chain.strikes
        assert (other.oi_unit, other.underlying_price) == (chain.oi_unit, chain.underlying_price)
        for ours, theirs in ((other.calls, chain.calls), (other.puts, chain.puts)):
            for name in set(LEG_COLUMNS) - {"volume"}:
                assert getattr(ours, name) == getattr(theirs, name), (chain.expiry, name)
            assert set(ours.volume) == {None}


def test_captures_without_a_single_figure_are_told(shared_data: SharedData) -> None:
    folder = shared_data("nse-json-intraday-nifty-2025")
    chains, problems = _read(folder / "csv_by_day" / "2025-10-13.tar.xz")
    assert len(chains) == 108
    assert len(problems) == 95
    assert all("empty_chain" in text or "no usable expiry" in text for text in problems)


@pytest.mark.parametrize(("number", "mixed"), [("010", 0), ("103", 18), ("299", 1)])
def test_legs_of_one_expiry_with_different_underlyings_are_mixed(
    shared_data: SharedData, number: str, mixed: int
) -> None:
    (path,) = shared_data("nse-json-intraday-nifty-2025/json").glob(f"{number}_*")
    told: dict[str, set[float]] = defaultdict(set)
    served = json.loads(gzip.decompress(path.read_bytes()))["records"]
    for row in served["data"]:
        legs = [row[side]["underlyingValue"] for side in ("CE", "PE") if side in row]
        told[row["expiryDate"]].update(value for value in legs if value)
    assert sum(len(values) > 1 for values in told.values()) == mixed
    chains = chains_of(path)
    assert sum(chain.mixed_underlying for chain in chains) == mixed
    assert {chain.underlying_price for chain in chains} == {served["underlyingValue"]}


def test_exports_of_the_website_are_read_whole(shared_data: SharedData) -> None:
    paths = sorted(shared_data("nse-csv-export").glob("*option-chain*.csv"))
    assert len(paths) >= 13
    for path in paths:
        (chain,) = chains_of(path)
        with path.open(newline="") as file:
            rows = list(csv.reader(file))[2:]
        plain = [[cell.replace(",", "").replace("-", "") or "0" for cell in row] for row in rows]
        assert chain.strikes == [float(row[11]) for row in plain], path
        assert fsum(_column([chain], "oi")) == fsum(
            float(row[at_]) for row in plain for at_ in (1, 21)
        )
        assert f"{chain.product}-" in path.name
        assert chain.ts_event < at(f"{chain.expiry} 15:30:00")


@pytest.mark.parametrize("product", ["NIFTY", "BANKNIFTY"])
def test_pages_of_several_expiries_tell_header_only_files(
    shared_data: SharedData, product: str
) -> None:
    path = shared_data(f"nse-oc-2018-2019/per_expiry_days/{product}_2019-05-17.tar.gz")
    chains, problems = _read(path)
    assert (len(chains), len(problems)) == (115, 30)
    assert all(text.endswith("a header and no rows") for text in problems)
    assert {chain.expiry for chain in chains} == {
        "2019-05-23",
        "2019-05-30",
        "2019-06-06",
        "2019-06-13",
    }
    lot = 75 if product == "NIFTY" else 20
    assert {value % lot for value in _column(chains, "oi")} == {0}


def test_the_minute_parquet_has_a_snapshot_a_minute_in_lots(shared_data: SharedData) -> None:
    path = shared_data("oc-minute-parquet-2026-08/oc_20260819.parquet")
    chains = chains_of(path)
    times = sorted({chain.ts_event for chain in chains})
    assert times == list(range(at("2026-08-19 11:27:00"), at("2026-08-19 13:09:00"), 60_000))
    assert len(chains) == 4 * len(times)
    assert {(chain.product, chain.oi_unit) for chain in chains} == {("NIFTY", "lots")}
    assert sum(_told(chain.calls) + _told(chain.puts) for chain in chains) == 46_502
    raw = pl.read_parquet(path)
    floor = raw.filter(pl.col("iv") <= 0.1).height
    assert floor == 2837
    assert len(_column(chains, "iv")) == raw.height - floor
    # As shares these would be whole lots of 65; one in fifty is, as it happens by chance.
    assert sum(value % 65 == 0 for value in _column(chains, "oi")) < raw.height / 25


def test_the_five_minute_lists_are_in_shares_of_whole_lots(shared_data: SharedData) -> None:
    path = shared_data("oc-ltp-oi-2022/2022-03-28.json.gz")
    chains = chains_of(path, FeedHints(expiry="2022-03-31"))
    assert len(chains) == 77
    assert (chains[0].ts_event, chains[-1].ts_event) == (
        at("2022-03-28 09:10:01"),
        at("2022-03-28 15:30:02"),
    )
    assert {chain.product for chain in chains} == {"BANKNIFTY"}
    assert {value % 25 for value in _column(chains, "oi")} == {0}


def test_the_end_of_day_csv_and_parquet_agree(shared_data: SharedData) -> None:
    folder = shared_data("bhavcopy-2025-08-14")
    table = chains_of(folder / "converted_bhavcopy_NIFTY_20250814.csv")
    with (folder / "converted_bhavcopy_NIFTY_20250814.csv").open() as file:
        assert sum(_told(c.calls) + _told(c.puts) for c in table) == len(list(csv.DictReader(file)))
    by_expiry = {chain.expiry: chain for chain in table}
    assert len(by_expiry) == 18
    parquet = chains_of(folder / "chain_NIFTY_20250814.parquet")
    compared = 0
    for chain in parquet:
        other = by_expiry[chain.expiry]
        assert (chain.ts_event, chain.underlying_price) == (other.ts_event, other.underlying_price)
        where = [other.strikes.index(strike) for strike in chain.strikes]
        for ours, theirs in ((chain.calls, other.calls), (chain.puts, other.puts)):
            for name in ("oi", "oi_change", "volume"):
                for value, place in zip(getattr(ours, name), where, strict=True):
                    if value is not None:
                        assert value == getattr(theirs, name)[place]
                        compared += 1
    assert compared == 3 * 1373


def test_a_fifth_of_the_volatility_surface_is_blank(shared_data: SharedData) -> None:
    chains = chains_of(shared_data("iv-surface-2026-01/dataset.csv"))
    assert len(chains) == 975
    assert {len(chain.strikes) for chain in chains} == {28}
    assert {(chain.product, chain.expiry) for chain in chains} == {("NIFTY", "2026-01-27")}
    told = _column(chains, "iv")
    assert len(told) == 975 * 28 * 8 // 10
    assert 8 < sorted(told)[len(told) // 2] < 40


def test_the_angel_fixture_is_two_chains_in_shares(shared_data: SharedData) -> None:
    path = shared_data("broker-chain-greeks/angel_like_chain_fixture.json")
    near, far = chains_of(path, FeedHints(timestamp_ms=at("2023-11-20 11:00:00")))
    assert (near.expiry, far.expiry) == ("2023-11-23", "2023-11-30")
    assert near.strikes == far.strikes == [47000, 47500, 48000, 48500, 49000]
    assert near.calls.oi[0] == 42400
