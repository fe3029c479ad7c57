"""Real captures and real ticks through the whole path: ``replay``, ``verify``, and the facts."""

from __future__ import annotations

import csv
import gzip
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest

from optionstream.deploy.stack import Addresses
from optionstream.schemas import topics
from optionstream.schemas.documents import BARS, CHAINS
from optionstream.schemas.settings import Settings
from optionstream.schemas.times import IST
from optionstream.streams.core.calendar import CASH, nse_calendar
from tests.server.running import Running, running

pytestmark = [pytest.mark.server, pytest.mark.timeout(900)]

BODIES = 381
SNAPSHOTS, REPEATED = 6_858, 312
TICKS = 1_284_560

Shared = Callable[[str], Path]


@pytest.fixture
def world(addresses: Addresses, stack_settings: Settings, tmp_path: Path) -> Iterator[Running]:
    with running(addresses, stack_settings, tmp_path) as made:
        yield made


def replay(world: Running, path: Path) -> dict[str, Any]:
    """``optionstream replay PATH`` with its own workers; the row it prints."""
    argv = [sys.executable, "-m", "optionstream", "replay", str(path)]
    argv += ["--namespace", world.namespace.name, "--json"]
    ran = subprocess.run(argv, env=world.env, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    row: dict[str, Any] = json.loads(ran.stdout)
    return row


def test_captured_chains_are_stored_once_with_the_totals_of_the_exchange(
    world: Running, shared_data: Shared
) -> None:
    folder = shared_data("nse-json-intraday-nifty-2025")
    row = replay(world, folder / "json")
    assert row["files"] == BODIES
    assert row["chains"] == row["read"] == SNAPSHOTS
    assert row["duplicates"] == REPEATED
    assert row["accepted"] == SNAPSHOTS - REPEATED
    assert row["rejects"] == {}
    report = world.verify()
    assert report.counts.duplicates == REPEATED
    assert report.checked["mongo_chains"] == SNAPSHOTS - REPEATED
    assert wrong_totals(world, folder / "manifest.csv") == []


def wrong_totals(world: Running, manifest: Path) -> list[str]:
    """Rows of the manifest whose nearest expiry is stored with none of the exchange's totals.

    The exchange serves one timestamp with several contents after the close: these are several
    stored snapshots, each with a row of its own.
    """
    stored: dict[tuple[str, datetime], Counter[tuple[float, ...]]] = {}
    for chain in world.db[CHAINS].find({}, {"expiry": 1, "timestamp": 1, "metadata": 1}):
        found = tuple(chain["metadata"][name] for name in TOTALS)
        stored.setdefault((chain["expiry"], chain["timestamp"]), Counter())[found] += 1
    with manifest.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == BODIES
    wrong = []
    for row in rows:
        moment = datetime.strptime(row["nse_timestamp_ist"], "%d-%b-%Y %H:%M:%S")
        expiry = datetime.strptime(row["nearest_expiry"], "%d-%b-%Y").date().isoformat()
        told = tuple(float(row[name]) for name in TOTALS.values())
        found = stored.get((expiry, moment.replace(tzinfo=IST)), Counter())
        if told not in found:
            wrong.append(f"{row['file']}: {told}, stored {dict(found)}")
    return wrong


TOTALS = {
    "call_oi": "ce_totOI",
    "put_oi": "pe_totOI",
    "call_volume": "ce_totVol",
    "put_volume": "pe_totVol",
}
"""Names in ``metadata``, and in the manifest."""


def test_real_ticks_make_bars_on_trading_dates_only_and_all_are_counted(
    world: Running, shared_data: Shared
) -> None:
    folder = shared_data("ticks-nifty-1s-2022")
    row = replay(world, folder)
    assert row["ticks"] == row["read"] == TICKS
    assert (
        row["accepted"]
        + row["outside_session"]
        + row["duplicates"]
        + row["held"]
        + sum(row["rejects"].values())
        == TICKS
    )
    report = world.verify()
    assert report.counts.source == TICKS

    closed = rows_on_closed_dates(folder)
    assert len(closed) > 5
    bars = set(world.db[BARS].distinct("session"))
    assert bars
    assert not closed.keys() & bars
    assert row["outside_session"] >= closed.total() > 0
    assert report.counts_by_topic[topics.UNDERLYING].outside_session == row["outside_session"]


def rows_on_closed_dates(folder: Path) -> Counter[str]:
    """Rows by date, for the dates without a session: weekends and holidays."""
    rows: Counter[str] = Counter()
    for path in folder.glob("*.csv.gz"):
        with gzip.open(path, "rt") as file:
            rows.update(line[:10] for line in file if line.strip())
    calendar = nse_calendar()
    return Counter(
        {
            day: count
            for day, count in rows.items()
            if not calendar.is_trading_date(CASH, date.fromisoformat(day))
        }
    )
