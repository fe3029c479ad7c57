"""Real sessions at each speed, frame and number of workers, under kills: one result.

``python -m tests.sessions [--all] [--only NAME] [--share N/M] [--at-once N] [--seed N] [--json
FILE]``. Exit code 1 when results differ, 2 where the data is missing.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.conftest import SHARED
from tests.harness.seeds import again, choose_seed
from tests.harness.servers import own_stack
from tests.sessions.cases import CHAINS, TICKS, Session, every, pairs, share
from tests.sessions.matrix import Place, session_outcomes
from tests.sessions.run import Outcome

SESSIONS = {session.name: session for session in (TICKS, CHAINS)}

console = Console(width=130)


def main() -> int:
    options = _options()
    sessions = [SESSIONS[name] for name in options.only]
    if missing := [one.folder for one in sessions if not (SHARED / one.folder).is_dir()]:
        print(f"real data missing: {SHARED}/{{{','.join(missing)}}}", file=sys.stderr)
        return 2
    console.print(again(options.seed))
    began_s = time.monotonic()
    outcomes = _outcomes(sessions, options)
    _show(outcomes, time.monotonic() - began_s)
    if options.json:
        options.json.write_text(json.dumps([asdict(one) for one in outcomes], indent=1))
    return 0 if all(one.ok for one in outcomes) else 1


def _outcomes(sessions: list[Session], options: argparse.Namespace) -> list[Outcome]:
    with own_stack("sessions") as (
        stack,
        settings,
        folder,
    ):
        place = Place(stack.up(), settings, SHARED, folder, options.seed, options.at_once)
        others = every if options.all else pairs
        return [
            outcome
            for session in sessions
            for outcome in session_outcomes(
                session, share(others(session), options.share), place, _tell
            )
        ]


def _tell(outcome: Outcome) -> None:
    result = outcome.row["result"]
    console.print(f"{outcome.case.told}: {result}, {outcome.seconds:,.0f} s", markup=False)
    for line in outcome.wrong:
        console.print(line, markup=False)


def _show(outcomes: list[Outcome], seconds: float) -> None:
    table = Table(title=f"{len(outcomes)} replays of real sessions in {seconds:,.0f} s")
    for name in outcomes[0].row:
        table.add_column(name, justify="left" if name in ("session", "result") else "right")
    for one in outcomes:
        table.add_row(*one.row.values())
    console.print(table)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.sessions", description=__doc__)
    parser.add_argument("--only", nargs="+", choices=SESSIONS, default=list(SESSIONS))
    parser.add_argument("--all", action="store_true", help="all combinations, not all pairs")
    parser.add_argument(
        "--share", default="1/1", metavar="N/M", help="every M-th case, from the N-th"
    )
    parser.add_argument("--at-once", type=int, default=2, help="replays side by side")
    parser.add_argument("--seed", type=int, default=choose_seed(os.environ))
    parser.add_argument("--json", type=Path, help="write the outcomes to this file")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
