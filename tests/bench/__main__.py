"""``python -m tests.bench [--quick] [--rounds N] [--json FILE]``: the table of targets."""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

import psutil
from rich.console import Console
from rich.table import Table

from optionstream.deploy.namespaces import drop_namespace
from optionstream.deploy.stack import Addresses, Stack, free_port
from optionstream.schemas.settings import Settings
from optionstream.schemas.topics import UNDERLYING, Namespace
from tests.bench import pricing
from tests.bench.history import raw_insert_rate
from tests.bench.inputs import publish_ticks
from tests.bench.live import CHAINS_A_SECOND, LEGS, TICKS_A_SECOND, Load, live_load
from tests.bench.worker import Run, watch

PRICING_ROUNDS = 30
LIVE_S = 30.0
CORE_SHARE = 0.5
MEMORY_LIMIT = 250_000_000
ANALYTICS_RECORDS = "optionstream_analytics_records_total"
HISTORY_ROWS = 'optionstream_sink_rows_total{group="history",kind="tick'

_LESS_IS_BETTER = ("bytes", "cores", "µs")

console = Console(width=110)


@dataclass(frozen=True, slots=True)
class Result:
    """One target: ours against the bare contestant, medians over the rounds."""

    name: str
    unit: str
    ours: float
    bare: float
    target: float
    held: bool

    @property
    def ratio(self) -> float:
        return self.ours / self.bare


def main() -> int:
    """Run every benchmark; 1 when a target is missed."""
    options = _options()
    with tempfile.TemporaryDirectory(prefix="optionstream-bench-") as folder:
        settings = Settings(
            data_dir=Path(folder),
            kafka_port=free_port(),
            mongo_port=free_port(),
            redis_port=free_port(),
            stack=os.environ.get("OPTIONSTREAM_STACK", "auto"),
        )
        stack = Stack(settings)
        try:
            with console.status("starting servers"):
                addresses = stack.up()
            results = _run_all(Bench(addresses, settings, Path(folder)), options)
        finally:
            stack.down()
    _show(results)
    if options.json:
        rows = [asdict(result) | {"ratio": result.ratio} for result in results]
        options.json.write_text(json.dumps({"machine": _machine(), "results": rows}, indent=1))
    return 0 if all(result.held for result in results) else 1


class Bench:
    """Servers, and the measurements that use them."""

    def __init__(self, addresses: Addresses, settings: Settings, folder: Path) -> None:
        self.addresses = addresses
        self.settings = settings
        self.folder = folder

    def analytics(self, ticks: int, frame_ticks: int, rounds: int) -> tuple[list[float], list[Run]]:
        """Ticks a second of the bare loop, and runs of the worker, by round in turns."""
        bare, ours = [], []
        for turn in range(rounds):
            namespace = Namespace.parse(f"bench-{frame_ticks}-{turn}")
            kafka = self.addresses.kafka
            records = publish_ticks(kafka, namespace, self.settings, ticks, frame_ticks)
            bare.append(self._bare(namespace, records, frame_ticks))
            run = self._watch("analytics", namespace, ANALYTICS_RECORDS, records)
            ours.append(Run(run.units * frame_ticks, run.seconds, run.resident_bytes))
            drop_namespace(self.addresses, namespace.name, self.settings)
        return bare, ours

    def history(self, ticks: int, rounds: int) -> tuple[list[float], list[float]]:
        """Documents a second of raw inserts, and of the sink."""
        bare, ours = [], []
        for turn in range(rounds):
            namespace = Namespace.parse(f"bench-history-{turn}")
            publish_ticks(self.addresses.kafka, namespace, self.settings, ticks, 1_000)
            bare.append(raw_insert_rate(self.addresses.mongo, namespace, self.settings, ticks))
            ours.append(self._watch("history", namespace, HISTORY_ROWS, ticks).rate)
            drop_namespace(self.addresses, namespace.name, self.settings)
        return bare, ours

    def live(self, seconds: float) -> Load:
        """What the analytics worker needs for a live load at its own pace."""
        namespace = Namespace.parse("bench-live")
        log = self.folder / "bench-live.log"
        load = live_load(self.addresses, namespace, self.settings, seconds, log)
        drop_namespace(self.addresses, namespace.name, self.settings)
        return load

    def _bare(self, namespace: Namespace, records: int, frame_ticks: int) -> float:
        kind = "ticks" if frame_ticks == 1 else "frames"
        argv = [sys.executable, "-m", "tests.bench.bare", self.addresses.kafka]
        argv += [namespace.topic(UNDERLYING), str(records), kind]
        told = json.loads(subprocess.run(argv, check=True, capture_output=True).stdout)
        return float(told["ticks"] / told["seconds"])

    def _watch(self, group: str, namespace: Namespace, counter: str, until: float) -> Run:
        log = self.folder / f"{namespace.name}-{group}.log"
        return watch(group, namespace, self.addresses, self.settings, counter, until, log)


def _run_all(bench: Bench, options: argparse.Namespace) -> list[Result]:
    scale = 2 if options.quick else 1
    results = []
    with console.status("analytics, frames of 1,000 ticks"):
        bare, runs = bench.analytics(5_000_000 // scale, 1_000, options.rounds)
    results.append(_ratio("analytics, frames of 1,000", "ticks/s", runs, bare, 0.25))
    resident = max(run.resident_bytes for run in runs)
    results.append(
        Result(
            f"analytics, resident after {5_000_000 // scale:,} ticks",
            "bytes",
            resident,
            MEMORY_LIMIT,
            1.0,
            resident < MEMORY_LIMIT,
        )
    )
    with console.status("analytics, one tick a record"):
        bare, runs = bench.analytics(1_000_000 // scale, 1, options.rounds)
    results.append(_ratio("analytics, one tick a record", "ticks/s", runs, bare, 0.4))
    with console.status("history sink"):
        bare, ours = bench.history(500_000 // scale, options.rounds)
    mid, raw = median(ours), median(bare)
    results.append(
        Result("history sink against insert_many", "ticks/s", mid, raw, 0.6, mid >= 0.6 * raw)
    )
    with console.status("volatilities and Greeks"):
        contests = pricing.measure(PRICING_ROUNDS)
    results += [_pricing(one, one.target) for one in contests if one.target is not None]
    name = f"analytics at {TICKS_A_SECOND:,} ticks/s and {CHAINS_A_SECOND} chains/s of {LEGS} legs"
    with console.status(name):
        load = bench.live(LIVE_S / scale)
    kept_up = load.share <= CORE_SHARE and load.behind < TICKS_A_SECOND
    results.append(Result(f"{name}, of a core", "cores", load.share, 1.0, CORE_SHARE, kept_up))
    return results


def _pricing(contest: pricing.Contest, target: float) -> Result:
    name = f"volatilities and Greeks, {contest.legs} legs, against QuantLib"
    return Result(name, "µs", contest.ours, contest.bare, target, contest.held)


def _ratio(name: str, unit: str, runs: list[Run], bare: list[float], target: float) -> Result:
    ours, other = median(run.rate for run in runs), median(bare)
    return Result(name, unit, ours, other, target, ours >= target * other)


def _show(results: list[Result]) -> None:
    table = Table(title=f"optionstream against bare clients, {_machine()}")
    for heading in ("", "optionstream", "bare (or limit)", "ratio", "target", ""):
        table.add_column(heading, justify="left" if not heading else "right")
    for result in results:
        bound = "at most" if result.unit in _LESS_IS_BETTER else "at least"
        table.add_row(
            result.name,
            _figure(result.ours, result.unit),
            _figure(result.bare, result.unit),
            f"{result.ratio:.2f}",
            f"{bound} {result.target:g}",
            "held" if result.held else "MISSED",
        )
    console.print(table)


def _figure(value: float, unit: str) -> str:
    return f"{value:.2f} {unit}" if unit == "cores" else f"{value:,.0f} {unit}"


def _machine() -> str:
    memory = round(psutil.virtual_memory().total / 2**30)
    return f"{os.cpu_count()} cores, {memory} GiB, Python {platform.python_version()}"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="half of the input")
    parser.add_argument("--rounds", type=int, default=3, help="medians over so many rounds")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
