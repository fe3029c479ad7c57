"""Workers killed, joining, leaving and frozen in mid-stream: the results are those of a quiet run.

Every test publishes a seeded input while things happen to the workers, lets them finish, and has
everything computed again and compared (``streams.verify``). Inputs, signals and their order follow
from the printed seed; the moments are real time.
"""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from optionstream.deploy.stack import Addresses
from optionstream.schemas import topics
from optionstream.schemas.documents import BARS, CHAINS, REJECTS
from optionstream.schemas.settings import Settings
from optionstream.streams.analytics.counts import Counts, read_counts
from optionstream.streams.analytics.state import KafkaState
from optionstream.streams.process import EXIT_RESTART
from optionstream.streams.sinks.history.tick_reading import raw_surplus
from tests.harness.input import Stream, pause
from tests.harness.running import SINKS, Running, running
from tests.harness.seeded import messy_input
from tests.harness.seeds import amount, new_seed
from tests.harness.workers import STOPPED, Worker

pytestmark = [pytest.mark.server, pytest.mark.timeout(600)]

KILLS = amount(20, 8)
"""Stops and kills of the random test."""
TICKS, CHAINS_SENT = amount((100_000, 600), (40_000, 240))
SESSION_S = 6.0
FROZEN_S = SESSION_S + 3.0
_AT_WORK_S = 30.0


@pytest.fixture
def world(addresses: Addresses, patient_settings: Settings, tmp_path: Path) -> Iterator[Running]:
    with running(addresses, patient_settings, tmp_path) as made:
        yield made


@pytest.fixture
def rng() -> random.Random:
    return random.Random(new_seed())


def counts(world: Running) -> Counts:
    return read_counts(world.addresses.kafka, world.namespace)


def wait_until_at_work(world: Running, group: str, timeout_s: float = _AT_WORK_S) -> None:
    """Until the group has got on since now, or has nothing left to read."""
    before = world.progress(group)
    world.wait_for(
        lambda: world.progress(group) > before or world.lag(group) == 0,
        f"{group} to get on",
        timeout_s,
    )


def signals(rng: random.Random) -> list[tuple[str, signal.Signals]]:
    """All in a random order: SIGTERM once for each worker, the rest SIGKILL."""
    asked = [(group, signal.SIGTERM) for group in topics.GROUPS]
    killed = [(topics.GROUPS[at % 3], signal.SIGKILL) for at in range(KILLS - len(asked))]
    return rng.sample(asked + killed, KILLS)


def test_random_stops_and_kills_lose_nothing_and_repeat_nothing(
    world: Running, rng: random.Random
) -> None:
    records = messy_input(rng.randrange(1 << 30), ticks=KILLS * 15_000, chains=KILLS * 75)
    assert sum(record.events for record in records) > KILLS * 15_000
    world.start_all()
    with Stream(world, records, over_s=KILLS * 2.5) as stream:
        for number, (group, how) in enumerate(signals(rng)):
            stream.allow((number + 1) / (KILLS + 1))
            if rng.random() < 0.5:  # else wherever it is, be it in its start
                wait_until_at_work(world, group)
            pause(rng, 0.0, 1.5)
            code = world.kill(world.workers[f"{group}-1"], how)
            assert code in (STOPPED if how is signal.SIGTERM else (-how,)), world.logs()
            world.start(group)
    world.wait_until_done()
    report = world.verify()
    assert report.counts.source == sum(record.events for record in records)
    assert report.counts.duplicates > 0
    assert report.counts.rejects
    world.stop()


def test_analytics_workers_that_join_and_leave_in_mid_stream_change_nothing(
    world: Running, rng: random.Random
) -> None:
    records = messy_input(rng.randrange(1 << 30), ticks=TICKS, chains=CHAINS_SENT)
    world.start_all()
    with Stream(world, records, over_s=25) as stream:
        stream.allow(0.2)
        wait_until_at_work(world, "analytics")
        for step, (instance, how) in enumerate(
            (("2", None), ("3", None), ("1", signal.SIGTERM), ("2", signal.SIGKILL), ("1", None))
        ):
            if how is None:
                world.start("analytics", instance)
            else:
                world.kill(world.workers[f"analytics-{instance}"], how)
                world.workers.pop(f"analytics-{instance}")
            stream.allow(0.2 + 0.15 * (step + 1))
            pause(rng, 2.0, 6.0)
    world.wait_until_done()
    world.verify()
    world.stop()


def freeze(world: Running, worker: Worker) -> None:
    assert world.owned_by(worker.group, worker.instance) > 0
    worker.send(signal.SIGSTOP)


def thaw(world: Running, worker: Worker) -> int | None:
    """Its exit code, or None when it goes on; it is started again if it ended."""
    worker.send(signal.SIGCONT)
    until_s = time.monotonic() + 5.0
    while worker.process.poll() is None and time.monotonic() < until_s:
        time.sleep(0.05)
    code = worker.process.poll()
    if code is not None:
        world.revive()
    return code


def test_an_analytics_worker_thawed_after_its_session_ended_writes_nothing_wrong(
    world: Running, rng: random.Random
) -> None:
    frozen = rng.choice("12")
    records = messy_input(rng.randrange(1 << 30), ticks=TICKS, chains=CHAINS_SENT)
    world.start_all()
    world.start("analytics", "2")
    with Stream(world, records, over_s=20) as stream:
        stream.allow(0.3)
        world.wait_for(
            lambda: all(world.owned_by("analytics", one) for one in "12"), "both to own partitions"
        )
        stream.allow(0.8)
        wait_until_at_work(world, "analytics")
        pause(rng, 0.0, 1.5)
        worker = world.workers[f"analytics-{frozen}"]
        freeze(world, worker)
        since_s = time.monotonic()
        world.wait_for(lambda: not world.owned_by("analytics", frozen), "the session's end", 180)
        world.flush()
        world.wait_until_analysed()  # all of it, by the one that is left
        time.sleep(max(0.0, since_s + FROZEN_S - time.monotonic()))
        code = thaw(world, worker)
        assert code in (EXIT_RESTART, None), worker.said()
    world.wait_until_done()
    world.verify()


def test_sinks_thawed_after_their_sessions_ended_write_nothing_twice(
    world: Running, rng: random.Random
) -> None:
    records = messy_input(rng.randrange(1 << 30), ticks=TICKS, chains=CHAINS_SENT)
    world.start_all()
    for group in SINKS:
        world.start(group, "2")
    with Stream(world, records, over_s=20) as stream:
        stream.allow(0.3)
        for group in SINKS:
            world.wait_for(
                lambda group=group: all(world.owned_by(group, one) for one in "12"),
                f"both of {group} to own partitions",
            )
        stream.allow(0.8)
        for group in SINKS:
            wait_until_at_work(world, group)
        pause(rng, 0.0, 1.5)
        frozen = [world.workers[f"{group}-{rng.choice('12')}"] for group in SINKS]
        for worker in frozen:
            freeze(world, worker)
        since_s = time.monotonic()
        for worker in frozen:
            world.wait_for(
                lambda worker=worker: not world.owned_by(worker.group, worker.instance),
                f"the end of {worker.name}'s session",
                60,
            )
        time.sleep(max(0.0, since_s + FROZEN_S - time.monotonic()))
        codes = {worker.name: thaw(world, worker) for worker in frozen}
        print(f"thawed: {codes}")
    world.wait_until_done()
    world.verify()


def stored(world: Running) -> dict[str, Any]:
    """What the stores hold, as far as it does not depend on when it was written."""
    found: dict[str, Any] = {
        name: {row["_id"]: row for row in world.db[name].find()} for name in (BARS, CHAINS, REJECTS)
    }
    keys = world.redis.scan_iter(world.namespace.redis("*"), count=1000)
    found["redis"] = sorted(keys)
    return found


def test_everything_computed_anew_from_the_beginning_is_the_same(
    world: Running, rng: random.Random
) -> None:
    ticks, chains = amount((60_000, 400), (20_000, 150))
    records = messy_input(rng.randrange(1 << 30), ticks, chains)
    world.publish(records)
    world.flush()
    world.start_all()
    world.wait_until_done()
    world.verify()
    first, counted = stored(world), counts(world)
    outputs = sum(world.offsets.ends(topics.OUTPUT_TOPICS).values())

    world.stop("analytics")
    world.wait_until_left("analytics")
    anew = world.start("analytics", "1", "--from-beginning")
    world.wait_for(lambda: generations(world) == {2}, "a new generation")
    world.wait_until_done()
    again = sum(world.offsets.ends(topics.OUTPUT_TOPICS).values())
    assert again - outputs > outputs / 2, anew.said()
    assert counts(world) == counted
    world.verify()
    assert stored(world) == first

    world.stop()
    world.wait_until_left(*SINKS)
    world.drop_stores()
    for group in SINKS:
        world.start(group)
    world.wait_until_sunk()
    world.verify()
    assert stored(world) == first
    assert raw_surplus(world.db) == 0
    world.stop()


def generations(world: Running) -> set[int]:
    """Of the partitions that have been read."""
    state = KafkaState(world.addresses.kafka, world.namespace)
    try:
        return {one.generation for one in state.snapshots().values() if one.offset >= 0}
    finally:
        state.close()
