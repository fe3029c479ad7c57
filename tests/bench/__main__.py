"""``python -m tests.bench [--only PART ...] [--quick] [--json FILE]``: the table of targets."""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from rich.console import Console

from optionstream.deploy.namespaces.catalogue import drop_namespace
from optionstream.deploy.stack import Addresses, Stack
from optionstream.schemas.settings import Settings
from optionstream.schemas.topics import Namespace
from tests.bench import audit, pricing
from tests.bench.growth import curves as curve_plot
from tests.bench.growth import footprint, memory, restart, scaling, startup
from tests.bench.history import raw_insert_rate
from tests.bench.inputs import publish_ticks
from tests.bench.latency import Latency
from tests.bench.latency_figures import BARE_KAFKA, Late, latency_table
from tests.bench.latest import latest_rates
from tests.bench.live import CHAINS_A_SECOND, LEGS, TICKS_A_SECOND, Load, live_load
from tests.bench.peers import plot
from tests.bench.peers.contest import PEERS
from tests.bench.peers.throughput import BARE, OURS, Plan, Rates, Throughput
from tests.bench.producers import files_sent, memory_growth
from tests.bench.report import Report, Result, machine, ratio, table
from tests.bench.sinks_live import sinks_live
from tests.bench.worker import watch
from tests.harness.servers import own_settings

PRICING_ROUNDS = 30
LIVE_S = 30.0
CORE_SHARE = 0.5
RESTARTS = 5
WARM_SERVERS_S = 60.0
LATENCY_S = 60.0
LATENCY_TARGETS = {TICKS_A_SECOND: {"p50": 10.0, "p99": 8.0}, 5_000: {"p99": 15.0}}
"""By ticks a second: at most so many times the bare Kafka round trip."""
MEMORY_LIMIT = 250_000_000
FRAMES_TARGETS = {BARE: 0.4, "bytewax": 8.0, "quix": 40.0, "faust": 300.0}
SINGLE_TARGETS = {BARE: 0.6, "bytewax": 0.6, "faust": 25.0}
"""At least so many times the contestant's ticks a second."""
HISTORY_ROWS = 'optionstream_sink_rows_total{group="history",kind="tick'

console = Console(width=110)


def main() -> int:
    """Run the parts asked for; 1 when a target is missed."""
    options = _options()
    report = Report([])
    with tempfile.TemporaryDirectory(prefix="optionstream-bench-") as folder:
        chosen = os.environ.get("OPTIONSTREAM_STACK", "auto")
        settings = own_settings(Path(folder), stack=chosen)
        stack = Stack(settings)
        try:
            with console.status("starting servers"):
                addresses = stack.up()
            bench = Bench(addresses, settings, Path(folder))
            for name in options.only:
                PARTS[name](bench, options, report)
                _write(report, options)  # what is measured stays, whatever becomes of the rest
        finally:
            stack.down()
    console.print(table(report.results))
    return 0 if all(result.held for result in report.results) else 1


def _write(report: Report, options: argparse.Namespace) -> None:
    if options.json:
        options.json.write_text(json.dumps(report.document(), indent=1))
    if options.plot and report.rates:
        options.plot.write_text(plot.svg(report.rates, machine()))


class Bench:
    """Servers, and the measurements that use them."""

    def __init__(self, addresses: Addresses, settings: Settings, folder: Path) -> None:
        self.addresses = addresses
        self.settings = settings
        self.folder = folder

    def throughput(self, plan: Plan) -> Rates:
        """Ticks a second of every contestant."""
        return Throughput(self.addresses, self.settings, self.folder, plan).measure()

    def history(self, ticks: int, rounds: int) -> tuple[list[float], list[float]]:
        """Documents a second of raw inserts, and of the sink."""
        bare, ours = [], []
        for turn in range(rounds):
            namespace = Namespace.parse(f"bench-history-{turn}")
            publish_ticks(self.addresses.kafka, namespace, self.settings, ticks, 1_000)
            bare.append(raw_insert_rate(self.addresses.mongo, namespace, self.settings, ticks))
            log = self.folder / f"{namespace.name}.log"
            place = namespace, self.addresses, self.settings
            ours.append(watch("history", *place, HISTORY_ROWS, ticks, log).rate)
            drop_namespace(self.addresses, namespace.name, self.settings)
        return bare, ours

    def latest(self, chains: int, rounds: int) -> tuple[list[float], list[float]]:
        """Values a second of a raw pipeline, and of the sink."""
        return latest_rates(self.addresses, self.settings, self.folder, chains, rounds)

    def latency(self, seconds: float) -> Latency:
        """The latency of the live path, each run measured for so long."""
        return Latency(self.addresses, self.settings, self.folder, seconds)

    def memory(self, ticks: int) -> tuple[list[memory.Process], footprint.Footprint]:
        """The processes of a replay, and its traces in Kafka."""
        namespace = Namespace.parse("bench-memory")
        place = self.addresses, namespace, self.settings
        processes = memory.replay_watched(*place, self.folder, ticks)
        left = footprint.footprint(self.addresses.kafka, namespace)
        drop_namespace(self.addresses, namespace.name, self.settings)
        return processes, left

    def scaling(self, amounts: scaling.Amounts, rounds: int) -> list[scaling.Curve]:
        """Cost a tick along every axis."""
        place = self.addresses, self.settings, self.folder
        return scaling.Scaling(*place, amounts, rounds).measure()

    def live(self, seconds: float) -> Load:
        """What the analytics worker needs for a live load at its own pace."""
        namespace = Namespace.parse("bench-live")
        log = self.folder / "bench-live.log"
        load = live_load(self.addresses, namespace, self.settings, seconds, log)
        drop_namespace(self.addresses, namespace.name, self.settings)
        return load


def _peers(bench: Bench, options: argparse.Namespace, report: Report) -> None:
    """Bars from ticks, against the bare loop and the peers."""
    plan = Plan(options.ticks, options.seconds, options.rounds, tuple(options.peers))
    with console.status(f"throughput, {plan.ticks:,} ticks, {plan.seconds:g} s a peer"):
        rates = bench.throughput(plan)
    report.rates = rates
    beside = {BARE: rates.frames[BARE]} | {name: rates.single[name] for name in plan.peers}
    targets = {name: at for name, at in FRAMES_TARGETS.items() if name in beside}
    report.results += [
        ratio(f"frames of 1,000, {_beside(name)}", rates.frames[OURS], beside[name], target)
        for name, target in targets.items()
    ]
    report.results += [
        ratio(f"one tick a record, {_beside(name)}", rates.single[OURS], rates.single[name], at)
        for name, at in SINGLE_TARGETS.items()
        if name in rates.single
    ]
    resident, name = rates.resident_bytes, f"resident after {plan.ticks:,} ticks"
    held = resident < MEMORY_LIMIT
    report.results.append(Result(name, "bytes", resident, MEMORY_LIMIT, 1.0, held))


def _history(bench: Bench, options: argparse.Namespace, report: Report) -> None:
    """The history sink against raw inserts."""
    with console.status("history sink"):
        bare, ours = bench.history(250_000 if options.quick else 500_000, options.rounds)
    report.results.append(ratio("history sink, raw insert_many", ours, bare, 0.8))


def _latest(bench: Bench, options: argparse.Namespace, report: Report) -> None:
    """The latest sink against raw pipelined writes."""
    chains = 1_500 if options.quick else 3_000
    with console.status("latest sink"):
        bare, ours = bench.latest(chains, options.rounds)
    report.results.append(ratio("latest sink, raw pipelined SET", ours, bare, 0.5, "values/s"))


def _sinks(bench: Bench, options: argparse.Namespace, report: Report) -> None:
    """What both sinks need of a core for ticks that come in one by one, and how late they are."""
    seconds = LIVE_S / 2 if options.quick else LIVE_S
    with console.status("sinks at a live pace"):
        report.results += sinks_live(bench.addresses, bench.settings, bench.folder, seconds)


def _producers(bench: Bench, options: argparse.Namespace, report: Report) -> None:
    """Files into Kafka: beside a bare loop, beside the worker behind it, and in what memory."""
    ticks = 4_000_000 if options.quick else 8_000_000
    place = bench.addresses, bench.settings, bench.folder
    with console.status("files into Kafka"):
        report.results += files_sent(*place, ticks, options.rounds)
        report.results += memory_growth(bench.folder, options.rounds)


def _volatilities(bench: Bench, options: argparse.Namespace, report: Report) -> None:
    """Volatilities and Greeks against QuantLib; needs no server."""
    with console.status("volatilities and Greeks"):
        contests = pricing.measure(PRICING_ROUNDS)
    report.results += [_pricing(one, one.target) for one in contests if one.target is not None]


def _live(bench: Bench, options: argparse.Namespace, report: Report) -> None:
    """What a live load needs of a core."""
    name = f"analytics at {TICKS_A_SECOND:,} ticks/s and {CHAINS_A_SECOND} chains/s of {LEGS} legs"
    with console.status(name):
        load = bench.live(LIVE_S / 2 if options.quick else LIVE_S)
    kept_up = load.share <= CORE_SHARE and load.behind < TICKS_A_SECOND
    result = Result(f"{name}, of a core", "cores", load.share, 1.0, CORE_SHARE, kept_up)
    report.results.append(result)


def _latency(bench: Bench, options: argparse.Namespace, report: Report) -> None:
    """How soon a tick is where its readers look, against bare round trips."""
    seconds = LATENCY_S / 3 if options.quick else LATENCY_S
    latency = bench.latency(seconds)
    with console.status(f"the same load for {WARM_SERVERS_S:g} s, unmeasured"):
        latency.warm_servers(max(LATENCY_TARGETS), WARM_SERVERS_S)
    for rate, targets in LATENCY_TARGETS.items():
        with console.status(f"latency at {rate:,} ticks/s"):
            found = latency.measure(rate, with_stages=rate == TICKS_A_SECOND)
        report.details.setdefault("latencies", []).append(asdict(found))
        console.print(latency_table(found))
        bare = found.late[BARE_KAFKA]
        report.results += [
            _late(f"{what}, {rate:,} ticks/s, {name}", late, bare, name, target)
            for what, late in found.ours.items()
            for name, target in targets.items()
        ]


def _late(title: str, ours: Late, bare: Late, name: str, target: float) -> Result:
    mine, beside = getattr(ours, name), getattr(bare, name)
    return Result(title, "ms", mine, beside, target, mine <= target * beside)


def _memory(bench: Bench, options: argparse.Namespace, report: Report) -> None:
    """Every process of a replay, and what the replay left in Kafka."""
    ticks = options.ticks
    with console.status(f"memory over a replay of {ticks:,} ticks"):
        processes, left = bench.memory(ticks)
    report.results += memory.results(processes, ticks) + footprint.results(left)
    for name in memory.too_quick(processes):
        console.print(f"{name} was too quick to see whether it grew: give the replay more --ticks")
    report.details["memory"] = memory.document(processes)
    report.details["footprint"] = asdict(left)


def _scaling(bench: Bench, options: argparse.Namespace, report: Report) -> None:
    """Cost a tick over products, days and workers."""
    with console.status("cost a tick over products, days, partitions and workers"):
        curves = bench.scaling(scaling.QUICK if options.quick else scaling.FULL, options.rounds)
    report.results += [curve.result for curve in curves]
    report.details["scaling"] = [asdict(curve) for curve in curves]
    if options.curves:
        options.curves.write_text(curve_plot.svg(curves, machine()))


def _startup(bench: Bench, options: argparse.Namespace, report: Report) -> None:
    """Until the command line helps, and until workers have their partitions."""
    with console.status("start-up"):
        found = startup.start_up(bench.addresses, bench.settings, bench.folder, options.rounds)
    report.results += startup.results(found)
    report.details["startup"] = asdict(found)


def _restart(bench: Bench, options: argparse.Namespace, report: Report) -> None:
    """Until a killed worker works again, with a day of ticks behind it."""
    ticks, rounds = options.ticks, 3 if options.quick else RESTARTS
    place = bench.addresses, bench.settings, bench.folder
    with console.status(f"restarts with {ticks:,} ticks behind them"):
        found = restart.restarts(*place, ticks, rounds)
    report.results += restart.results(found)
    report.details["restart"] = asdict(found)


def _audit(bench: Bench, options: argparse.Namespace, report: Report) -> None:
    """The audit archive looked through, and a flipped byte in it found; needs no server."""
    megabytes = 100 if options.quick else 1_000
    with console.status(f"audit verify of {megabytes:,} MB"):
        found = audit.audit(bench.folder, megabytes, options.rounds)
    console.print(audit.told(found))
    report.results += audit.results(found)
    report.details["audit"] = asdict(found)


PARTS: dict[str, Callable[[Bench, argparse.Namespace, Report], None]] = {
    "peers": _peers,
    "history": _history,
    "latest": _latest,
    "sinks": _sinks,
    "producers": _producers,
    "pricing": _volatilities,
    "live": _live,
    "latency": _latency,
    "memory": _memory,
    "scaling": _scaling,
    "startup": _startup,
    "restart": _restart,
    "audit": _audit,
}


def _beside(contestant: str) -> str:
    return "bare loop" if contestant == BARE else PEERS[contestant].title


def _pricing(contest: pricing.Contest, target: float) -> Result:
    name = f"volatilities and Greeks, {contest.legs} legs, against QuantLib"
    return Result(name, "µs", contest.ours, contest.bare, target, contest.held)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS), metavar="PART")
    parser.add_argument("--quick", action="store_true", help="half of the input, 15 s a peer")
    parser.add_argument("--rounds", type=int, default=3, help="medians over so many rounds")
    parser.add_argument("--peers", nargs="*", choices=PEERS, default=list(PEERS), metavar="PEER")
    parser.add_argument("--seconds", type=float, help="steady state of each peer (60)")
    parser.add_argument(
        "--ticks", type=int, help="of the replay, and behind a restart (10 million)"
    )
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    parser.add_argument("--plot", type=Path, help="draw the throughput into this SVG file")
    parser.add_argument("--curves", type=Path, help="draw the cost a tick into this SVG file")
    options = parser.parse_args()
    options.seconds = options.seconds or (15.0 if options.quick else 60.0)
    options.ticks = options.ticks or (5_000_000 if options.quick else 10_000_000)
    return options


if __name__ == "__main__":
    sys.exit(main())
