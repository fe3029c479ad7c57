"""Time until the command line helps, and until a worker has its partitions."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median

from optionstream.deploy.namespaces.catalogue import drop_namespace
from optionstream.deploy.namespaces.topics import ensure_topics
from optionstream.deploy.stack import Addresses
from optionstream.deploy.workers.launch import worker_env
from optionstream.schemas.settings import Settings
from optionstream.schemas.topics import GROUPS, UNDERLYING, Namespace
from optionstream.streams.kafka.admin import admin_client
from tests.bench.growth.membership import await_assigned
from tests.bench.peers.environment import ROOT
from tests.bench.peers.order import VARIABLE, Order
from tests.bench.report import Result, at_most

BARE_IMPORT = "bare import"
BARE_FAUST = "bare Faust"
HELP = "help"
WITHIN = 2.0
_HELP_TURNS = 11
_BARE_APP = "tests.bench.growth.bare_faust"


@dataclass(slots=True)
class StartUp:
    """Seconds by contestant, one figure a turn."""

    commands: dict[str, list[float]] = field(default_factory=dict)
    workers: dict[str, list[float]] = field(default_factory=dict)


def start_up(addresses: Addresses, settings: Settings, folder: Path, rounds: int) -> StartUp:
    """Measure all contestants in turns."""
    found = StartUp()
    _commands(found)
    for turn in range(rounds):
        _workers(found, turn, addresses, settings, folder)
    return found


def results(found: StartUp) -> list[Result]:
    """One line for the command line and one for each worker."""
    helped, imported = (1e3 * median(found.commands[name]) for name in (HELP, BARE_IMPORT))
    faust = 1e3 * median(found.workers[BARE_FAUST])
    lines = [at_most("optionstream --help, import typer, rich", "ms", helped, imported, WITHIN)]
    for group in GROUPS:
        took = 1e3 * median(found.workers[group])
        name = f"{group} has its partitions, bare Faust worker"
        lines.append(at_most(name, "ms", took, faust, WITHIN))
    return lines


def _commands(found: StartUp) -> None:
    """The first turn fills the file cache and does not count."""
    program = str(Path(sys.executable).with_name("optionstream"))
    contest = {
        BARE_IMPORT: [sys.executable, "-c", "import typer, rich"],
        HELP: [program, "--help"],
    }
    for turn in range(_HELP_TURNS + 1):
        for name, argv in contest.items():
            started = time.perf_counter()
            subprocess.run(argv, check=True, stdout=subprocess.DEVNULL)
            if turn:
                found.commands.setdefault(name, []).append(time.perf_counter() - started)


def _workers(
    found: StartUp, turn: int, addresses: Addresses, settings: Settings, folder: Path
) -> None:
    """A new namespace, so that nobody is a member yet; its topics are there."""
    namespace = Namespace.parse(f"bench-start-{turn}")
    ensure_topics(addresses.kafka, namespace, settings)
    log = folder / f"{namespace.name}.log"
    bare, topic = f"{namespace.name}-faust", namespace.topic(UNDERLYING)
    order = Order(
        bare, addresses.kafka, topic, "", settings.partitions, 0, 0, 0, str(folder / bare), ""
    )
    env = worker_env(addresses, settings)
    app = [sys.executable, "-m", "faust", "-A", _BARE_APP, "worker", "--without-web"]
    faust_env = env | {VARIABLE: json.dumps(asdict(order))}
    took = _until_assigned(addresses.kafka, app, faust_env, bare, log)
    found.workers.setdefault(BARE_FAUST, []).append(took)
    for group in GROUPS:
        argv = [sys.executable, "-m", "optionstream", "worker", group]
        argv += ["--namespace", namespace.name]
        took = _until_assigned(addresses.kafka, argv, env, namespace.group(group), log)
        found.workers.setdefault(group, []).append(took)
    drop_namespace(addresses, namespace.name, settings)


def _until_assigned(
    kafka: str, argv: Sequence[str], env: dict[str, str], group: str, log: Path
) -> float:
    """Seconds from the start of a process until its group has partitions; it is stopped then."""
    admin = admin_client(kafka)
    admin.list_topics(timeout=30)  # connected before the clock starts
    with log.open("ab") as out:
        started = time.perf_counter()
        process = subprocess.Popen(argv, cwd=ROOT, env=env, stdout=out, stderr=out)
        try:
            await_assigned(admin, group, 1)
            return time.perf_counter() - started
        finally:
            process.terminate()
            process.wait(30)
