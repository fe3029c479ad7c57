"""The exchange's own totals agree with ours, on every real body there is."""

from __future__ import annotations

import csv
import gzip
import json
from collections.abc import Callable, Iterator
from math import fsum
from pathlib import Path
from typing import Any

import pytest

from optionstream.producers.feeds import expand_paths
from optionstream.schemas.events import ChainSnapshot
from tests.harness.feed_files import at, chains_of

SharedData = Callable[[str], Path]


def _total(column: list[float | None]) -> float:
    return fsum(value for value in column if value is not None)


def _totals(chain: ChainSnapshot) -> dict[str, float]:
    return {
        "ce_totOI": _total(chain.calls.oi),
        "pe_totOI": _total(chain.puts.oi),
        "ce_totVol": _total(chain.calls.volume),
        "pe_totVol": _total(chain.puts.volume),
    }


def _bodies(folder: Path) -> Iterator[Path]:
    return (path for path in expand_paths([str(folder)]) if path.suffix == ".gz")


def test_the_nearest_expiry_of_the_intraday_set_has_the_totals_of_its_manifest(
    shared_data: SharedData,
) -> None:
    folder = shared_data("nse-json-intraday-nifty-2025")
    with (folder / "manifest.csv").open() as file:
        rows = {row["file"]: row for row in csv.DictReader(file)}
    bodies = list(_bodies(folder / "json"))
    assert len(bodies) == 381
    for path in bodies:
        chain, row = chains_of(path)[0], rows[path.name]
        truth = {name: float(row[name]) for name in _totals(chain)}
        assert _totals(chain) == pytest.approx(truth, rel=1e-9), path.name
        assert chain.underlying_price == float(row["underlyingValue"])


@pytest.mark.parametrize("name", ["nse-json-misc", "nse-json-v3-2026-06-19"])
def test_filtered_totals_of_other_bodies_agree(shared_data: SharedData, name: str) -> None:
    checked = 0
    for path in _bodies(shared_data(name)):
        chain = chains_of(path)[0]
        served: dict[str, Any] = json.loads(gzip.decompress(path.read_bytes()))
        filtered = served.get("data", served).get("filtered")
        assert path.name.startswith(chain.product)
        if filtered:
            truth = {
                f"{side.lower()}_{total}": filtered[side][total]
                for side in ("CE", "PE")
                for total in ("totOI", "totVol")
            }
            assert _totals(chain) == pytest.approx(truth, rel=1e-9), path.name
            checked += 1
    assert checked


def test_the_new_endpoint_has_prices(shared_data: SharedData) -> None:
    (path,) = _bodies(shared_data("nse-json-v3-2026-06-19"))
    (chain,) = chains_of(path)
    assert (chain.expiry, chain.ts_event) == ("2026-06-23", at("2026-06-19 15:30:00"))
    assert sum(price is not None for price in chain.calls.bid) > 90
    assert sum(price is not None for price in chain.puts.ask) > 90
