"""``python -m tests.chaos [--faults N] [--replays N] [--seed N] [--json FILE]``: faults on real
servers, and whether anything was lost or counted twice. 1 when something was."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from tests.chaos.outcome import Outcome
from tests.chaos.run import Plan, run
from tests.chaos.schedule import Step
from tests.harness.seeds import again, choose_seed
from tests.harness.servers import own_stack

_COLUMNS = (
    "faults",
    "revived",
    "records",
    "events",
    "accepted",
    "duplicates",
    "rejects",
    "lost",
    "repeated",
    "wrong",
    "surplus",
)

console = Console(width=120)


def main() -> int:
    options = _options()
    plan = Plan(options.seed, options.faults, options.replays, options.ticks, options.chains)
    console.print(again(plan.seed))
    began_s = time.monotonic()
    outcomes = _outcomes(plan)
    _show(outcomes, time.monotonic() - began_s)
    if options.json:
        rows = [asdict(one) for one in outcomes]
        options.json.write_text(json.dumps({**asdict(plan), "replays_done": rows}, indent=1))
    return 0 if len(outcomes) == plan.replays and all(one.ok for one in outcomes) else 1


def _outcomes(plan: Plan) -> list[Outcome]:
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn()
    with (
        own_stack("chaos") as (
            stack,
            settings,
            folder,
        ),
        Progress(*columns, TimeElapsedColumn(), console=console) as progress,
    ):
        task = progress.add_task("starting servers", total=plan.faults)

        def on_step(number: int, step: Step) -> None:
            told = f"replay {number + 1} of {plan.replays}: {step.fault}"
            progress.update(task, description=f"{told:<40}", advance=1)

        return list(run(plan, stack, settings, folder, on_step))


def _show(outcomes: list[Outcome], seconds: float) -> None:
    table = Table(title=f"{len(outcomes)} replays in {seconds:,.0f} s")
    table.add_column("replay", justify="right")
    for name in _COLUMNS:
        table.add_column(name, justify="right")
    for one in outcomes:
        table.add_row(str(one.number + 1), *(f"{getattr(one, name):,}" for name in _COLUMNS))
    if outcomes:
        sums = [sum(getattr(one, name) for one in outcomes) for name in _COLUMNS]
        table.add_row("all", *(f"{total:,}" for total in sums), style="bold")
    console.print(table)
    for one in outcomes:
        for difference in one.differences:
            console.print(f"replay {one.number + 1}: {difference}", markup=False)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--faults", type=int, default=200)
    parser.add_argument("--replays", type=int, default=10)
    parser.add_argument("--seed", type=int, default=choose_seed(os.environ))
    parser.add_argument("--ticks", type=int, default=100_000, help="of each replay")
    parser.add_argument("--chains", type=int, default=600, help="of each replay")
    parser.add_argument("--json", type=Path, help="write the outcomes to this file")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
