"""Each step of the checkpoint fails in turn, on a real broker: the process ends, its successor goes
on where the state is, and the results are those of the batch computation.

``faulty_worker`` has the steps and says what happened; here is what must follow.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from confluent_kafka import Consumer

from optionstream.deploy.groups.offsets import Offsets
from optionstream.deploy.stack import Addresses
from optionstream.schemas import topics
from optionstream.schemas.settings import Settings
from optionstream.streams.engine.checkpoint import EXIT_RESTART
from tests.server.faulty_worker import AT_ONCE, SYNCHRONOUS, How, Plan, Step
from tests.server.running import Running, Stream, Worker, new_seed, running
from tests.server.seeded import messy_input

pytestmark = [pytest.mark.server, pytest.mark.timeout(300)]

A_STEP_S = 8.0
"""The input lasts so long for each step; a step takes less."""
TICKS_A_STEP = 3_000
CHAINS_A_STEP = 40
LATEST_TURN = {"apply": 10, "output": 50, "deletion": 4, "commit": 2}
"""A step fails at one of its first times: which is drawn, up to this or 10."""
CRASHED = 1
"""Exit code of a worker that Faust ends: when a commit raises something unknown."""


@pytest.fixture
def world(addresses: Addresses, stack_settings: Settings, tmp_path: Path) -> Iterator[Running]:
    with running(addresses, stack_settings, tmp_path) as made:
        yield made


class Turn:
    """One worker with one fault, and what it told."""

    def __init__(self, world: Running, step: Step, how: How, nth: int, number: int) -> None:
        self._world = world
        self.step, self.how = step, how
        self._file = world.folder / f"fault-{number}"
        self._file.touch()
        plan = msgspec.json.encode(Plan(step, how, nth, str(self._file))).decode()
        program = ["tests.server.faulty_worker", plan]
        self.worker: Worker = world.start("analytics", program=program)

    def told(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self._file.read_text().splitlines()]

    def wait_for(self, event: str) -> None:
        def seen() -> bool:
            return any(one["event"] == event for one in self.told())

        self._world.wait_for(seen, f"{self.step}: {event}", 40, running=False)

    def must_end(self) -> None:
        """As it has to: at once, without a word to the state, nothing of which is lost."""
        self.wait_for("struck")
        codes = {-9} if self.how is How.DIE else {EXIT_RESTART}
        if self.step in (Step.COMMIT_LOST, Step.COMMIT_UNANSWERED) and self.how is not How.DIE:
            codes = {CRASHED}
        code = self.worker.wait(15)
        assert code in codes, f"{self.step}: ended with {code}\n{self.worker.said()}"
        (struck,) = [one for one in self.told() if one["event"] == "struck"]
        after = self.told()[self.told().index(struck) + 1 :]
        if self.step in AT_ONCE:
            assert after == [], self.step
        durable = self._world.applied()
        for topic, partition, offset in struck["positions"]:
            assert durable[topic, partition] >= offset, self.step
        assert not passed(self._world.offsets.committed("analytics"), durable), self.step


def passed(committed: Offsets, durable: Offsets) -> Offsets:
    """What was committed and is not durable."""
    return {at: offset for at, offset in committed.items() if offset > durable.get(at, 0)}


def turns(world: Running, steps: Sequence[Step], how: How, rng: random.Random) -> Iterator[Turn]:
    """A worker for each step, in a random order; input comes all the while."""
    seed, count = rng.randrange(1 << 30), len(steps)
    records = messy_input(seed, ticks=TICKS_A_STEP * count, chains=CHAINS_A_STEP * count)
    with Stream(world, records, over_s=A_STEP_S * count) as stream:
        stream.allow(1.0)
        for number, step in enumerate(rng.sample(list(steps), count)):
            nth = rng.randint(1, LATEST_TURN.get(step.name.partition("_")[0].lower(), 10))
            print(f"{step}: time {nth}")
            yield Turn(world, step, how, nth, number)


def must_equal_the_batch(world: Running) -> None:
    """All there is, computed by whoever is left and again in another way."""
    for group in topics.GROUPS:
        worker = world.workers.get(f"{group}-1")
        if worker is None or worker.awaited:
            world.start(group)
    world.wait_until_done()
    world.verify()
    world.stop()


@contextmanager
def visitor(world: Running) -> Iterator[Consumer]:
    """A member that joins the group, applies nothing, and leaves again: two rebalances."""
    consumer = Consumer(
        {
            "bootstrap.servers": world.addresses.kafka,
            "group.id": world.namespace.group("analytics"),
            "partition.assignment.strategy": "roundrobin",
            "session.timeout.ms": 6_000,
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
        }
    )
    consumer.subscribe([world.namespace.topic(name) for name in topics.MARKET_TOPICS])
    consumer.poll(0)
    try:
        yield consumer
    finally:
        consumer.close()


def poll_until_assigned(consumer: Consumer) -> None:
    until_s = time.monotonic() + 40
    while not consumer.assignment():
        assert time.monotonic() < until_s, "the visitor got no partitions"
        consumer.poll(0.1)


@pytest.mark.parametrize("how", [How.RAISE, How.DIE])
def test_a_worker_that_fails_at_any_step_ends_and_its_successor_loses_and_repeats_nothing(
    world: Running, how: How
) -> None:
    rng = random.Random(new_seed())
    for turn in turns(world, list(Step), how, rng):
        turn.must_end()
    must_equal_the_batch(world)


def test_a_worker_that_fails_at_any_step_of_a_checkpoint_that_a_rebalance_overtook_ends_too(
    world: Running,
) -> None:
    rng = random.Random(new_seed())
    for turn in turns(world, list(Step), How.RAISE_IN_REBALANCE, rng):
        turn.wait_for("waiting")
        with visitor(world):
            turn.must_end()
    must_equal_the_batch(world)


def test_a_checkpoint_that_a_rebalance_overtook_at_any_step_ends_before_the_partitions_go(
    world: Running,
) -> None:
    rng = random.Random(new_seed())
    steps = [step for step in Step if step not in SYNCHRONOUS]
    for turn in turns(world, steps, How.WAIT_FOR_REBALANCE, rng):
        turn.wait_for("waiting")
        with visitor(world) as other:
            turn.wait_for("struck")
            poll_until_assigned(other)
            assert not passed(world.offsets.committed("analytics"), world.applied())
        assert turn.worker.process.poll() is None, turn.worker.said()
        world.wait_for(lambda: len(world.offsets.owners("analytics")) == 18, "all partitions")
        world.stop("analytics")
    must_equal_the_batch(world)
