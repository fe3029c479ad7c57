"""Every file of the shared data is read, or told in one line why it cannot be."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

from optionstream.producers.feeds import FeedHints, open_feed
from optionstream.producers.feeds.frames import check_event
from optionstream.schemas.errors import InputError
from optionstream.schemas.events import ChainSnapshot
from tests.harness.feed_files import NO_HINTS, at

SharedData = Callable[[str], Path]

SAMPLED_ABOVE = 15
"""Of a folder with more files every tenth is read."""
SAMPLED_EVERY = 10


@dataclass(frozen=True)
class Expected:
    """What the files that fit ``pattern`` become: snapshots, their open interest in one unit."""

    pattern: str
    format: str
    oi_unit: str
    hints: FeedHints = NO_HINTS


CHAINS = (
    Expected("nse-json-intraday-nifty-2025/json/*", "nse-option-chain-json", "lots"),
    Expected("nse-json-intraday-nifty-2025/csv_by_day/*", "tar", "lots"),
    Expected("nse-json-misc/*NIFTY*.gz", "nse-option-chain-json", "lots"),
    Expected("nse-json-misc/RELIANCE*.gz", "nse-option-chain-json", "lots"),
    Expected("nse-json-v3-2026-06-19/*.gz", "nse-option-chain-json", "lots"),
    Expected("nse-csv-export/*option-chain*", "nse-option-chain-csv", "lots"),
    Expected("nse-oc-2018-2019/halfhourly/*", "tar", "shares", FeedHints(expiry="2019-12-26")),
    Expected("nse-oc-2018-2019/per_expiry_days/*", "tar", "shares"),
    Expected("oc-minute-parquet-2026-08/*.parquet", "parquet", "lots"),
    Expected("oc-ltp-oi-2022/*.gz", "ltp-oi-json", "shares", FeedHints(expiry="2022-04-28")),
    Expected("bhavcopy-2025-08-14/*.csv", "nse-end-of-day-csv", "shares"),
    Expected("bhavcopy-2025-08-14/*.parquet", "parquet", "shares"),
    Expected(
        "broker-chain-greeks/angel_like*",
        "angel-option-chain-json",
        "shares",
        FeedHints(timestamp_ms=at("2023-11-20 11:00:00")),
    ),
    Expected("iv-surface-2026-01/dataset.csv", "iv-surface-csv", "lots"),
)
"""Every kind of file with option chains. What fits no pattern may be read or refused."""

ROOT_NAME = "README.md"


def _files(root: Path) -> list[Path]:
    by_folder = defaultdict(list)
    for path in sorted(root.rglob("*")):
        if path.is_file():
            by_folder[path.parent].append(path)
    chosen: list[Path] = []
    for paths in by_folder.values():
        chosen += paths[::SAMPLED_EVERY] if len(paths) > SAMPLED_ABOVE else paths
    return chosen


def _expected(name: str) -> Expected | None:
    return next((one for one in CHAINS if fnmatch(name, one.pattern)), None)


@dataclass(frozen=True)
class Outcome:
    """What became of a file: ``refused`` has the one line, or there are events, all checked."""

    format: str = ""
    chains: tuple[ChainSnapshot, ...] = ()
    events: int = 0
    problems: tuple[str, ...] = ()
    refused: str | None = None


def _read(path: Path, hints: FeedHints) -> Outcome:
    try:
        feed = open_feed(path, hints)
        events = [check_event(event) for event in feed.events()]
    except InputError as error:
        return Outcome(refused=str(error))
    chains = tuple(event for event in events if isinstance(event, ChainSnapshot))
    return Outcome(feed.format, chains, len(events), tuple(feed.problems))


def test_every_file_gives_checked_events_or_one_line(shared_data: SharedData) -> None:
    root = shared_data(ROOT_NAME).parent
    met = set()
    for path in _files(root):
        expected = _expected(str(path.relative_to(root)))
        outcome = _read(path, expected.hints if expected else NO_HINTS)
        assert all("\n" not in problem for problem in outcome.problems), path
        if outcome.refused is not None:
            assert outcome.refused.startswith(f"{path}: "), path
            assert "\n" not in outcome.refused, path
            assert expected is None, outcome.refused
            continue
        assert outcome.events, path
        if expected is not None:
            assert outcome.format == expected.format, path
            assert len(outcome.chains) == outcome.events, path
            assert {chain.oi_unit for chain in outcome.chains} == {expected.oi_unit}, path
            met.add(expected.pattern)
    assert met == {expected.pattern for expected in CHAINS}
