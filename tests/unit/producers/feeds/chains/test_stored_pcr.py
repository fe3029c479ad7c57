"""What somebody else stored about the chains of 2018–19 agrees with what the feeds read."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterator
from functools import cache
from math import fsum
from pathlib import Path

import pytest

from optionstream.producers.feeds import FeedHints, open_feed
from optionstream.schemas.events import ChainSnapshot, Legs
from tests.harness.feed_files import at

SharedData = Callable[[str], Path]

ANY_EXPIRY = FeedHints(expiry="2019-12-26")
"""The half-hourly files do not say theirs; the ratio does not depend on it."""

OVERWRITTEN = {
    f"{product}_19-06-2019_{time}.csv"
    for product in ("NIFTY", "BANKNIFTY")
    for time in ("09:30", "09:45", "10:03", "10:30")
}
"""Their source files were stored again with other content after the ratio was computed."""


def _stored(folder: Path, product: str) -> Iterator[dict[str, str]]:
    with (folder / "analysis" / f"PCR_Analysis_{product}.csv").open(newline="") as file:
        yield from csv.DictReader(file)


def _time(name: str) -> int:
    """``NIFTY_14-10-2018_22:03.csv`` → epoch ms."""
    found = re.search(r"_(\d\d)-(\d\d)-(\d{4})_(\d\d:\d\d)\.csv$", name)
    assert found is not None, name
    day, month, year, time = found.groups()
    return at(f"{year}-{month}-{day} {time}:00")


@cache
def _chains(folder: Path, product: str) -> dict[int, ChainSnapshot]:
    """Every chain of the half-hourly archives by time; none of their files may be unreadable."""
    chains: dict[int, ChainSnapshot] = {}
    for path in sorted((folder / "halfhourly").glob(f"{product}_*.tar.gz")):
        feed = open_feed(path, ANY_EXPIRY)
        for event in feed.events():
            assert isinstance(event, ChainSnapshot)
            assert (event.product, event.oi_unit) == (product, "shares")
            chains[event.ts_event] = event
        assert feed.problems == []
    return chains


def _rows(folder: Path, product: str) -> list[tuple[dict[str, str], ChainSnapshot]]:
    """The stored rows whose file is present, each with the chain of that file."""
    chains = _chains(folder, product)
    stored = [(row, chains.get(_time(row["name"]))) for row in _stored(folder, product)]
    return [(row, chain) for row, chain in stored if chain is not None]


def _oi(legs: Legs) -> list[float]:
    return [value or 0.0 for value in legs.oi]


def _pcr(chain: ChainSnapshot) -> float:
    return fsum(_oi(chain.puts)) / fsum(_oi(chain.calls))


def _overwritten(product: str) -> set[str]:
    return {name for name in OVERWRITTEN if name.startswith(f"{product}_")}


@pytest.mark.parametrize(("product", "count"), [("NIFTY", 2223), ("BANKNIFTY", 2273)])
def test_the_stored_ratio_is_ours_for_every_row_whose_file_is_present(
    shared_data: SharedData, product: str, count: int
) -> None:
    rows = _rows(shared_data("nse-oc-2018-2019"), product)
    assert len(rows) >= count
    off = {row["name"] for row, chain in rows if abs(_pcr(chain) - float(row["pcr"])) > 1e-6}
    assert off == _overwritten(product)


@pytest.mark.parametrize("product", ["NIFTY", "BANKNIFTY"])
def test_the_stored_levels_are_the_four_strikes_of_most_open_interest_beyond_the_spot(
    shared_data: SharedData, product: str
) -> None:
    off = set()
    for row, chain in _rows(shared_data("nse-oc-2018-2019"), product):
        spot = float(row["curprice"])
        calls = dict(zip(chain.strikes, _oi(chain.calls), strict=True))
        puts = dict(zip(chain.strikes, _oi(chain.puts), strict=True))
        above = {strike: oi for strike, oi in calls.items() if strike > spot}
        below = {strike: oi for strike, oi in puts.items() if strike < spot}
        if not (_most(row["resistance"], above) and _most(row["support"], below)):
            off.add(row["name"])
    assert off == _overwritten(product)


def _most(levels: str, oi: dict[float, float]) -> bool:
    """Whether ``11000.0,10800.0,…,`` are the strikes of most open interest, the largest first.
    Of equal ones either may come first: not the strikes but their open interest is compared."""
    told = [oi.get(float(strike)) for strike in levels.split(",") if strike]
    return told == sorted(oi.values(), reverse=True)[:4]


@pytest.mark.parametrize("product", ["NIFTY", "BANKNIFTY"])
def test_the_stored_underlying_price_is_ours(shared_data: SharedData, product: str) -> None:
    rows = _rows(shared_data("nse-oc-2018-2019"), product)
    off = {row["name"] for row, chain in rows if chain.underlying_price != float(row["curprice"])}
    assert off == _overwritten(product)
