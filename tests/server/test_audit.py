"""The audit archive on real Kafka: every record once, whatever is killed; and played back."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from optionstream.deploy.namespaces.topics import delete_topics
from optionstream.deploy.stack import Addresses
from optionstream.producers.feeds.session_file import header_for, write_session
from optionstream.producers.simulated import SimulatedMarket, SimulationConfig
from optionstream.schemas.documents import BARS, CHAINS, GAPS
from optionstream.schemas.files.audit_manifest import PARTIAL
from optionstream.schemas.settings import Settings
from optionstream.schemas.times import to_ms
from optionstream.schemas.topics import RAW_TOPICS, Namespace
from tests.harness.archived import archive, in_archive, in_kafka, intact, keep_archive
from tests.harness.cli import run
from tests.harness.input import Stream
from tests.harness.running import Running, running
from tests.harness.seeded import messy_input
from tests.harness.seeds import new_seed
from tests.harness.storms import joined_frozen_and_killed, killed_again_and_again

pytestmark = [pytest.mark.server, pytest.mark.timeout(600)]


@pytest.fixture
def world(addresses: Addresses, stack_settings: Settings, tmp_path: Path) -> Iterator[Running]:
    with running(addresses, stack_settings, tmp_path) as made:
        keep_archive(made)
        yield made


def wait_until_archived(world: Running) -> None:
    ends = world.input_ends()

    def done() -> bool:
        committed = world.offsets.committed("audit")
        return all(committed.get(place, 0) >= end for place, end in ends.items() if end)

    world.wait_for(done, "audit to archive everything", 180)


def test_killed_frozen_and_joined_the_archive_holds_each_record_once(world: Running) -> None:
    rng = random.Random(new_seed())
    records = messy_input(rng.randrange(1 << 30), ticks=40_000, chains=200)
    world.start("audit")
    heads = []

    def note_head() -> None:
        heads.append(intact(world).head if archive(world).exists() else None)

    with Stream(world, records, over_s=15) as stream:
        stream.allow(1.0)
        killed_again_and_again(world, "audit", rng, note_head)
        joined_frozen_and_killed(world, "audit", rng)
    wait_until_archived(world)
    world.stop("audit")
    for head in heads:
        intact(world, head)
    assert not list((archive(world) / PARTIAL).iterdir())
    assert in_archive(world) == in_kafka(world)


def test_a_namespace_from_before_there_were_raw_topics_is_archived_as_well(world: Running) -> None:
    delete_topics(world.admin, [*map(world.namespace.topic, RAW_TOPICS)])
    world.publish(messy_input(3, ticks=500, chains=5))
    world.flush()
    world.start("audit")
    wait_until_archived(world)
    world.stop("audit")
    intact(world)
    assert in_archive(world) == in_kafka(world)


def test_a_place_that_cannot_be_written_ends_the_worker_and_loses_nothing(
    world: Running,
) -> None:
    records = messy_input(7, ticks=2_000, chains=20)
    half = len(records) // 2
    world.publish(records[:half])
    world.flush()
    world.start("audit")
    wait_until_archived(world)
    before = intact(world)
    partial = archive(world) / PARTIAL
    partial.rmdir()
    partial.touch()
    committed = world.offsets.committed("audit")
    world.publish(records[half:])
    world.flush()
    worker = world.workers["audit-1"]
    assert worker.wait(30) == 1
    assert f"audit: audit archive {archive(world)}: Not a directory" in worker.said()
    assert world.offsets.committed("audit") == committed
    partial.unlink()
    assert intact(world).head == before.head
    world.start("audit")
    wait_until_archived(world)
    intact(world, before.head)
    assert in_archive(world) == in_kafka(world)


def command(world: Running, *args: object, code: int = 0) -> str:
    """What a command prints on stdout."""
    ran = run(*args, env=world.env)
    assert ran.code == code, ran.err
    return ran.out


def session(path: Path) -> Path:
    open_ms = to_ms(datetime.fromisoformat("2026-01-06T09:15:00+05:30"))
    config = SimulationConfig(
        seed=5, date="2026-01-06", products=("NIFTY",), close_ms=open_ms + 180_000
    )
    write_session(path, header_for(config.products, {}), SimulatedMarket(config).events())
    return path


def results(world: Running, namespace: Namespace) -> dict[str, dict[str, Any]]:
    """What the namespace's history has, but for when it was known."""
    database = world.mongo[namespace.mongo_db]
    return {
        name: {
            row.pop("_id"): {k: v for k, v in row.items() if k != "known_at"}
            for row in database[name].find()
        }
        for name in (BARS, CHAINS, GAPS)
    }


def test_a_replay_from_the_archive_gives_what_the_files_gave(world: Running) -> None:
    name, again = world.namespace.name, f"{world.namespace.name}-a"
    path = session(world.folder / "day.jsonl.zst")
    (first,) = map(
        json.loads, command(world, "replay", path, "--namespace", name, "--json").split("\n")[:-1]
    )
    world.start("audit")
    wait_until_archived(world)
    world.stop("audit")
    told = json.loads(command(world, "audit", "verify", "--namespace", name, "--json"))
    assert (told["ok"], told["records"]) == (True, first["records"])
    try:
        second = json.loads(
            command(world, "replay", archive(world), "--namespace", again, "--json")
        )
        same = ("records", "ticks", "chains", "heartbeats", "read", "accepted", "rejects")
        assert {k: second[k] for k in same} == {k: first[k] for k in same}
        made = results(world, world.namespace)
        assert made[BARS] and made[CHAINS]
        assert results(world, Namespace(again)) == made
    finally:
        command(world, "namespaces", "drop", again)
    assert archive(world).exists()
    command(world, "namespaces", "drop", name)
    assert not archive(world).exists()
