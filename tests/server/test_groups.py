"""Groups set back, and stalled ones, on real servers."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from optionstream.deploy.groups.lag import GroupAtWork
from optionstream.deploy.groups.reset import EARLIEST, GroupReset, Target
from optionstream.deploy.namespaces.topics import delete_topics, ensure_topics
from optionstream.deploy.stack import Addresses
from optionstream.deploy.stack.processes import PidFile
from optionstream.schemas import topics
from optionstream.schemas.documents import TICKS
from optionstream.schemas.settings import Settings
from optionstream.streams.analytics.state import KafkaState
from optionstream.streams.kafka.topic_reader import TopicReader
from optionstream.streams.sinks.history.tick_reading import raw_surplus
from tests.harness.running import Running, running
from tests.harness.seeded import messy_input, open_ms

pytestmark = [pytest.mark.server, pytest.mark.timeout(600)]

INPUT = messy_input(4, ticks=4_000, chains=80)


@pytest.fixture
def world(addresses: Addresses, stack_settings: Settings, tmp_path: Path) -> Iterator[Running]:
    with running(addresses, stack_settings, tmp_path) as made:
        yield made


def resets(world: Running) -> GroupReset:
    return GroupReset(
        world.addresses, world.namespace, replace(world.settings, data_dir=world.folder / "data")
    )


def reset(world: Running, group: str, target: Target, **options: bool) -> None:
    made = resets(world)
    made.apply(made.plan(group, target), lambda text: None, **options)


def generations(world: Running) -> set[int]:
    state = KafkaState(world.addresses.kafka, world.namespace)
    try:
        return {snapshot.generation for snapshot in state.snapshots().values()}
    finally:
        state.close()


def publish(world: Running) -> None:
    world.publish(INPUT)
    world.flush()


def test_after_a_reset_everything_is_computed_and_stored_again_and_counts_once(
    world: Running,
) -> None:
    publish(world)
    world.start_all()
    world.wait_until_done()
    world.verify()
    rows = world.db[TICKS].count_documents({})

    refused = world.cli("groups", "reset", "latest", "--to", "earliest")
    assert refused.code == 2
    (line,) = [one for one in refused.err.splitlines() if one.startswith("error")]
    assert "has members" in line and "optionstream down --workers" in line
    assert generations(world) == {1}

    world.stop()
    world.redis.set(world.namespace.redis("latest:underlying:NIFTY"), b"{}")
    world.redis.set(world.namespace.redis("latest:underlying:NIFTY:version"), f"{10**15:016d}:9")
    for group in topics.GROUPS:
        done = world.cli("groups", "reset", group, "--to", "earliest", "--json")
        assert done.code == 0, done.err
        told = [json.loads(one) for one in done.out.splitlines()]
        assert {row["to"] for row in told} == {0} and any(row["before"] for row in told)
    assert generations(world) == {2}
    assert list(world.redis.scan_iter(world.namespace.redis("latest:*"))) == []
    world.start_all()
    world.wait_until_done()
    world.verify()
    assert world.db[TICKS].count_documents({}) == 2 * rows
    assert raw_surplus(world.db) == rows

    # The topic is deleted and made anew, with the same input: all follows, from its beginning.
    world.stop()
    delete_topics(world.admin, [world.namespace.topic(topics.UNDERLYING)])
    ensure_topics(world.addresses.kafka, world.namespace, world.settings)
    reset(world, "analytics", Target(offset=0))
    reset(world, "history", Target(end=EARLIEST), forget_former=True)
    reset(world, "latest", Target(end=EARLIEST))
    world.publish(one for one in INPUT if one.base == topics.UNDERLYING)
    world.flush()
    world.start_all()
    world.wait_until_done()
    world.verify()
    world.stop()


def test_a_time_is_the_first_record_received_then_or_later(world: Running) -> None:
    publish(world)
    moment = open_ms("2026-01-07")
    plan = resets(world).plan("analytics", Target(time_ms=moment))
    assert sum(row.skipped for row in plan.rows) > 0
    assert {row.topic for row in plan.rows} == set(map(world.namespace.topic, topics.MARKET_TOPICS))
    with TopicReader(world.addresses.kafka, world.namespace) as reader:
        for base in topics.MARKET_TOPICS:
            to = {row.partition: row.to for row in plan.rows if row.topic.endswith(base)}
            for batch in reader.read(base, reader.bounds(base)):
                for one in batch:
                    if one.offset == to[one.partition]:
                        assert one.timestamp >= moment
                    if one.offset < to[one.partition]:
                        assert one.timestamp < moment
    state = {row.before for row in plan.rows}
    assert state == {None}
    assert generations(world) == set()


def supervised(world: Running, group: str) -> int | None:
    """The process of a supervised worker."""
    folder = replace(world.settings, data_dir=world.folder / "data").worker_folder(
        world.namespace.name
    )
    found = PidFile(folder / f"{group}.pid").read()
    return None if found is None else found.pid


def test_a_frozen_worker_is_noticed_and_another_takes_its_place(world: Running) -> None:
    log = world.folder / "supervisor.log"
    argv = [sys.executable, "-m", "optionstream", "supervise", "latest"]
    argv += ["--namespace", world.namespace.name]
    env = world.env | {"OPTIONSTREAM_STALL_MS": "4000"}
    with log.open("wb") as out:
        supervisor = subprocess.Popen(argv, env=env, stdout=out, stderr=subprocess.STDOUT)
    try:
        world.publish(INPUT[:200])
        world.flush()
        world.wait_for(lambda: world.progress("latest") > 0, "latest to read")
        world.wait_for(lambda: world.lag("latest") == 0, "latest to be through")
        frozen = supervised(world, "latest")
        assert frozen is not None
        os.kill(frozen, signal.SIGSTOP)
        world.publish(INPUT[200:400])
        world.flush()
        world.wait_for(lambda: supervised(world, "latest") not in (frozen, None), "a successor")
        world.wait_for(lambda: world.lag("latest") == 0, "the successor to be through")
    finally:
        supervisor.terminate()
        supervisor.wait(30)
    said = log.read_text()
    assert "latest: stalled: it committed offset" in said, said
    assert "killed, will be restarted" in said
    assert said.count("stalled") == 1


def test_the_table_of_groups_has_every_partition_with_lag_rate_and_member(world: Running) -> None:
    world.publish(INPUT[:300])
    world.flush()
    world.start("latest")
    world.wait_for(lambda: world.lag("latest") == 0, "latest to be through")
    shown = world.cli("groups", "--json", "--over", "0.2")
    assert shown.code == 0, shown.err
    rows = [json.loads(one) for one in shown.out.splitlines()]
    read = sum(len(topics.GROUP_TOPICS[group]) for group in topics.GROUPS)
    assert len(rows) == world.settings.partitions * read  # an audit that never ran is left out
    by_group = {group: [row for row in rows if row["group"] == group] for group in topics.GROUPS}
    ticks = [row for row in by_group["latest"] if row["topic"].endswith(topics.UNDERLYING)]
    assert all("latest-1" in row["member"] and row["rate"] == 0 for row in ticks)
    assert sum(row["committed"] or 0 for row in ticks) == sum(row["end"] for row in ticks) > 0
    assert {row["member"] for row in by_group["analytics"]} == {None}
    assert sum(row["lag"] for row in by_group["analytics"]) == 300
    assert {row["committed"] for row in by_group["analytics"]} == {None}
    place = (world.namespace.topic(topics.OHLC), 0)
    with pytest.raises(GroupAtWork):  # the broker itself refuses, whatever was looked at before
        world.offsets.set_committed("latest", {place: 0}, world.offsets.topic_ids([topics.OHLC]))
    unknown = world.cli("groups", "reset", "nobody", "--to", "earliest")
    assert (unknown.code, "cannot be reset" in unknown.err) == (2, True)
