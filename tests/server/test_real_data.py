"""Real captures and real ticks through the whole path: ``replay``, ``verify``, and the facts.

A slice of the days and of the other sessions; ``make soak PART=real-sessions`` takes all of them.
"""

from __future__ import annotations

import csv
import gzip
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest

from optionstream.deploy.stack import Addresses
from optionstream.schemas import topics
from optionstream.schemas.documents import BARS, CHAINS
from optionstream.schemas.settings import Settings
from optionstream.schemas.times import IST
from optionstream.streams.core.market.calendar import CASH, nse_calendar
from tests.harness.running import Running, running
from tests.harness.seeds import is_whole, slice_of

pytestmark = [pytest.mark.server, pytest.mark.timeout(900)]

BODIES = 381
SNAPSHOTS, REPEATED = 6_858, 312
TICKS = 1_284_560
CAPTURED_DAYS, OPEN_DATES, CLOSED_DATES, OTHER_SESSIONS = 4, 4, 2, 3
"""How much a slice has."""

Shared = Callable[[str], Path]


@pytest.fixture
def world(addresses: Addresses, stack_settings: Settings, tmp_path: Path) -> Iterator[Running]:
    with running(addresses, stack_settings, tmp_path) as made:
        yield made


def replay(
    world: Running, *paths_and_options: object, codes: Sequence[int] = (0,)
) -> dict[str, Any]:
    """Run ``optionstream replay``, with workers of its own if there are none; return its row.

    Code 2 says that some of the input could not be read, which is then reported.
    """
    argv = [sys.executable, "-m", "optionstream", "replay", *map(str, paths_and_options)]
    argv += ["--namespace", world.namespace.name, "--json"]
    ran = subprocess.run(argv, env=world.env, capture_output=True, text=True, check=False)
    assert ran.returncode in codes, ran.stderr
    assert "Traceback" not in ran.stderr
    assert ran.returncode == 0 or ran.stderr.startswith("error: ")
    row: dict[str, Any] = json.loads(ran.stdout)
    return row


def test_captured_chains_are_stored_once_with_the_totals_of_the_exchange(
    world: Running, shared_data: Shared
) -> None:
    folder = shared_data("nse-json-intraday-nifty-2025")
    days = slice_of(captured_days(folder / "json"), CAPTURED_DAYS, "captured days")
    files = [path for day in days for path in day]
    row = replay(world, *files)
    assert row["files"] == len(files)
    assert row["chains"] == row["read"] > 5 * len(files)
    if is_whole():
        assert (row["files"], row["chains"], row["duplicates"]) == (BODIES, SNAPSHOTS, REPEATED)
    assert row["accepted"] == row["chains"] - row["duplicates"]
    assert row["rejects"] == {}
    report = world.verify()
    assert report.counts.duplicates == row["duplicates"]
    assert report.checked["mongo_chains"] == row["accepted"]
    assert wrong_totals(world, folder / "manifest.csv", {path.name for path in files}) == []


def captured_days(folder: Path) -> list[list[Path]]:
    """Return the captured bodies of each day of the exchange, in their order."""
    days: dict[str, list[Path]] = {}
    for path in sorted(folder.glob("*_nse*")):
        days.setdefault(path.name.partition("_nse")[2][:8], []).append(path)
    return list(days.values())


def wrong_totals(world: Running, manifest: Path, names: Collection[str]) -> list[str]:
    """Return rows of the manifest, of these files, that are stored with none of their totals.

    The totals are those of the exchange for the nearest expiry.

    The exchange serves one timestamp with several contents after the close: these are several
    stored snapshots, each with a row of its own.
    """
    stored: dict[tuple[str, datetime], Counter[tuple[float, ...]]] = {}
    fields = {"expiry": 1, "timestamp": 1, "metadata": 1, "lot_size": 1}
    for chain in world.db[CHAINS].find({}, fields):
        meta, lot = chain["metadata"], chain["lot_size"]
        if meta["call_oi"] is None or meta["put_oi"] is None:
            continue  # a far expiry of which one side tells nothing
        in_lots = (round(meta[name] / lot, 6) for name in ("call_oi", "put_oi"))
        found = (*in_lots, meta["call_volume"], meta["put_volume"])
        stored.setdefault((chain["expiry"], chain["timestamp"]), Counter())[found] += 1
    with manifest.open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["file"] in names]
    assert len(rows) == len(names)
    wrong = []
    for row in rows:
        moment = datetime.strptime(row["nse_timestamp_ist"], "%d-%b-%Y %H:%M:%S")
        expiry = datetime.strptime(row["nearest_expiry"], "%d-%b-%Y").date().isoformat()
        told = tuple(float(row[name]) for name in TOTALS)
        found = stored.get((expiry, moment.replace(tzinfo=IST)), Counter())
        if told not in found:
            wrong.append(f"{row['file']}: {told}, stored {dict(found)}")
    return wrong


TOTALS = ("ce_totOI", "pe_totOI", "ce_totVol", "pe_totVol")
"""Columns of the manifest: open interest in lots, volume in contracts, calls and puts."""


def test_real_ticks_make_bars_on_trading_dates_only_and_all_are_counted(
    world: Running, shared_data: Shared
) -> None:
    folder = shared_data("ticks-nifty-1s-2022")
    files = tick_files(folder)
    rows = rows_by_date(files)
    ticks = rows.total()
    assert ticks == TICKS or not is_whole()
    row = replay(world, *files)
    assert row["ticks"] == row["read"] == ticks
    assert (
        row["accepted"]
        + row["outside_session"]
        + row["duplicates"]
        + row["held"]
        + sum(row["rejects"].values())
        == ticks
    )
    report = world.verify()
    assert report.counts.source == ticks

    closed = Counter({day: count for day, count in rows.items() if not is_trading(day)})
    assert len(closed) >= CLOSED_DATES
    bars = set(world.db[BARS].distinct("session"))
    assert bars
    assert not closed.keys() & bars
    assert row["outside_session"] >= closed.total() > 0
    assert report.counts_by_topic[topics.UNDERLYING].outside_session == row["outside_session"]


SESSIONS = (
    ("nse-oc-2018-2019/halfhourly", ("--expiry-date", "nearest")),
    ("oc-ltp-oi-2022", ("--expiry-date", "nearest")),
    ("ohlc-1min-index/NIFTY_1min_2024.csv.gz", ()),
    ("bhavcopy-2025-08-14", ()),
    ("candles-multi-tf/reliance_1min_60days.csv", ("--product", "RELIANCE")),
    ("ticks-depth-niftyfut-2025-12-29", ("--product", "NIFTYFUT")),
    ("iv-surface-2026-01", ()),
    ("broker-chain-greeks", ("--timestamp", "2023-11-20T10:00:00")),
    ("nse-json-misc", ()),
    ("nse-json-v3-2026-06-19", ()),
    ("oc-minute-parquet-2026-08", ()),
    ("kite-packets", ("--product", "KITE")),
    ("crypto-ws", ("--product", "BTCUSDT")),
)
"""Every other real session, with what its files do not say."""


def test_every_other_real_session_replays_and_verifies_clean(
    world: Running, shared_data: Shared
) -> None:
    total: Counter[str] = Counter()
    world.start_all()  # for all sessions
    for name, options in slice_of(SESSIONS, OTHER_SESSIONS, "other sessions"):
        row = replay(world, shared_data(name), *options, codes=(0, 2))
        sent = {kind: row[kind] for kind in ("ticks", "candles", "quotes", "chains")}
        print(f"{name}: {sent}, {row['rejects']}")
        assert sum(sent.values()) > 0, name
        total.update(sent)
    if is_whole():
        assert min(total["ticks"], total["candles"], total["chains"]) > 5_000
    world.wait_until_done()
    report = world.verify()
    assert report.counts.source == total.total()
    world.stop()


def rows_by_date(files: Iterable[Path]) -> Counter[str]:
    """Count the rows of each date."""
    rows: Counter[str] = Counter()
    for path in files:
        with gzip.open(path, "rt") as file:
            rows.update(line[:10] for line in file if line.strip())
    return rows


def tick_files(folder: Path) -> list[Path]:
    """Return files of trading dates, and of dates without a session."""
    files = sorted(folder.glob("*.csv.gz"))
    trading = [path for path in files if is_trading(path.name[:10])]
    closed = [path for path in files if path not in trading]
    return [
        *slice_of(trading, OPEN_DATES, "trading dates"),
        *slice_of(closed, CLOSED_DATES, "closed dates"),
    ]


def is_trading(day: str) -> bool:
    """Return False for weekends and holidays."""
    return nse_calendar().is_trading_date(CASH, date.fromisoformat(day))
