"""Commands on real servers: inside the test, or as processes where signals matter."""

from __future__ import annotations

import subprocess
import sys
import time
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import psutil
import pymongo
import redis as redis_client

from optionstream.deploy.groups.lag import GroupOffsets
from optionstream.deploy.namespaces.topics import topics_of
from optionstream.deploy.stack import Addresses
from optionstream.producers.feeds.session_file import header_for, write_session
from optionstream.producers.simulated import SimulatedMarket, SimulationConfig
from optionstream.schemas.times import to_ms
from optionstream.schemas.topics import GROUPS, Namespace
from optionstream.streams.kafka.admin import admin_client, partition_counts
from tests.harness.cli import Ran, run

DAY = "2026-01-06"


@dataclass(frozen=True)
class Cli:
    """Runs commands inside the test, or as a process where signals matter."""

    addresses: Addresses
    data_dir: Path

    def __call__(self, *args: object) -> Ran:
        return run(*args)

    def good(self, *args: object) -> list[dict[str, Any]]:
        """The JSON lines of a command that must succeed."""
        ran = run(*args, "--json")
        assert ran.code == 0, ran.err
        return ran.rows

    def start(self, *args: object) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "optionstream", *map(str, args)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )


def session_of(path: Path, seed: int = 1, minutes: int = 10) -> Path:
    """A few simulated minutes of NIFTY from the open on."""
    open_ms = to_ms(datetime.fromisoformat(f"{DAY}T09:15:00+05:30"))
    config = SimulationConfig(
        seed=seed,
        date=DAY,
        products=("NIFTY",),
        open_ms=open_ms,
        close_ms=open_ms + minutes * 60_000,
        session_label=f"{DAY}-{seed}",
    )
    header = header_for(config.products, config.described())
    write_session(path, header, SimulatedMarket(config).events())
    return path


def workers_of(name: str) -> list[int]:
    """Process ids of the workers of a namespace."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        words = process.info["cmdline"] or []
        if "worker" in words and name in words:
            found.append(process.pid)
    return found


def leftovers(cli: Cli, namespace: Namespace) -> dict[str, Any]:
    """What a namespace has anywhere."""
    admin = admin_client(cli.addresses.kafka)
    mine = topics_of(namespace, partition_counts(admin))
    groups = [
        group.group_id
        for group in admin.list_consumer_groups().result().valid
        if group.group_id in [namespace.group(part) for part in GROUPS]
    ]
    with (
        pymongo.MongoClient[dict[str, Any]](cli.addresses.mongo) as mongo,
        redis_client.Redis.from_url(cli.addresses.redis) as redis,
    ):
        found = {
            "topics": mine,
            "groups": groups,
            "databases": [d for d in mongo.list_database_names() if d == namespace.mongo_db],
            "keys": list(redis.scan_iter(match=namespace.redis("*"))),
            "registry": list(mongo["optionstream"]["namespaces"].find({"_id": namespace.name})),
            "logs": list(cli.data_dir.glob(f"workers/{namespace.name}")),
        }
    return {where: what for where, what in found.items() if what}


def records_in(cli: Cli, name: str) -> int:
    ends = GroupOffsets(cli.addresses.kafka, Namespace(name)).ends(
        ("market.underlying", "market.option_chain")
    )
    return sum(ends.values())


def wait_for(done: Any, what: str, patience_s: float = 120.0) -> None:
    deadline_s = time.monotonic() + patience_s
    while not done():
        assert time.monotonic() < deadline_s, f"no {what} within {patience_s} s"
        time.sleep(0.2)
