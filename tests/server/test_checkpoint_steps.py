"""Each step of the checkpoint fails in turn, on a real broker: the process ends, its successor goes
on where the state is, and the results are those of the batch computation.

``faulty_worker`` has the steps and says what happened; here is what must follow.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer

from optionstream.deploy.groups.lag import Offsets
from optionstream.deploy.stack import Addresses
from optionstream.schemas import topics
from optionstream.schemas.settings import Settings
from optionstream.streams.process import EXIT_RESTART
from tests.harness.faulty_worker import AT_ONCE, SYNCHRONOUS, UP, Forked, How, Plan, Step
from tests.harness.running import Running, running
from tests.harness.seeded import Sent, messy_input
from tests.harness.seeds import is_whole, new_seed, slice_of
from tests.harness.workers import Worker

pytestmark = [pytest.mark.server, pytest.mark.timeout(900)]

TICKS_A_STEP = 8_000
CHAINS_A_STEP = 80
RECORDS_AT_ONCE = 5
LONGEST_STEP_S = 60
_IN_ORDER = list(Step)
PARTS = {
    "outputs": frozenset(_IN_ORDER[:5]),
    "state": frozenset(_IN_ORDER[5:11]),
    "snapshot": frozenset(_IN_ORDER[11:]),
}
"""All steps, in three tests each in a soak."""
LIVES = {
    How.RAISE: 3,
    How.DIE: 3,
    How.RAISE_IN_REBALANCE: 2,
    How.WAIT_FOR_REBALANCE: 2,
}
"""So many steps fail in a slice, by how they fail."""
LATEST_TURN = {"apply": 10, "output": 50, "deletion": 2, "commit": 2}
"""A step fails at one of its first times: which is drawn, up to this or 5."""
CRASHED = 1
"""Exit code of a worker that Faust ends: when a commit raises something unknown."""


@pytest.fixture
def world(addresses: Addresses, patient_settings: Settings, tmp_path: Path) -> Iterator[Running]:
    with running(addresses, patient_settings, tmp_path) as made:
        yield made


class Input:
    """Records that go out while somebody waits for a step to be reached, and not before."""

    def __init__(self, world: Running, records: list[Sent]) -> None:
        self._world = world
        self._left = iter(records)

    def flow(self) -> None:
        self._world.publish(islice(self._left, RECORDS_AT_ONCE))
        time.sleep(0.05)

    def end(self) -> None:
        self._world.publish(self._left)
        self._world.flush()


class Turn:
    """One worker with one fault, and what it told."""

    def __init__(self, world: Running, plan: Plan, input_: Input) -> None:
        self._world = world
        self._plan = plan
        self._input = input_
        Path(plan.file).touch()
        self.worker: Worker = world.start("analytics", launch=partial(Forked, plan))
        self._wait_for(UP)

    def told(self) -> list[dict[str, Any]]:
        lines = Path(self._plan.file).read_text().splitlines()
        return [json.loads(line) for line in lines]

    def wait_for(self, event: str) -> None:
        """Until the worker has told it; input comes meanwhile."""
        self._wait_for(event, self._input.flow)

    def _wait_for(self, event: str, meanwhile: Callable[[], None] = lambda: None) -> None:
        def seen() -> bool:
            meanwhile()
            return any(one["event"] == event for one in self.told())

        what = f"{self._plan.step}: {event}"
        self._world.wait_for(seen, what, LONGEST_STEP_S, running=False)

    def must_end(self) -> None:
        """As it has to: at once, without a word to the state, nothing of which is lost."""
        codes = {-9} if self._plan.how is How.DIE else {EXIT_RESTART}
        if (
            self._plan.step in (Step.COMMIT_LOST, Step.COMMIT_UNANSWERED)
            and self._plan.how is not How.DIE
        ):
            codes = {CRASHED}
        code = self.worker.wait(15)
        assert code in codes, f"{self._plan.step}: ended with {code}\n{self.worker.said()}"
        (struck,) = [one for one in self.told() if one["event"] == "struck"]
        after = self.told()[self.told().index(struck) + 1 :]
        if self._plan.step in AT_ONCE:
            assert after == [], self._plan.step
        durable = self._world.applied()
        for topic, partition, offset in struck["positions"]:
            assert durable[topic, partition] >= offset, self._plan.step
        assert not passed(self._world.offsets.committed("analytics"), durable), self._plan.step


def passed(committed: Offsets, durable: Offsets) -> Offsets:
    """What was committed and is not durable."""
    return {at: offset for at, offset in committed.items() if offset > durable.get(at, 0)}


def lives(*hows: How) -> list[Any]:
    """Return how and at which steps workers of a test fail: a slice, in a soak all in three parts.

    A step during which the event loop stands still waits for no rebalance.
    """
    made = []
    for how in hows:
        excluded = SYNCHRONOUS if how is How.WAIT_FOR_REBALANCE else frozenset()
        steps = slice_of([step for step in Step if step not in excluded], LIVES[how], how)
        parts = PARTS if is_whole() else {"a slice": frozenset(Step)}
        made += [
            pytest.param(how, [step for step in steps if step in part], id=f"{how.name} {name}")
            for name, part in parts.items()
        ]
    return made


def turns(world: Running, steps: Collection[Step], how: How) -> Iterator[Turn]:
    """A worker for each step, in a random order, one after the other."""
    rng, count = random.Random(new_seed()), len(steps)
    seed = rng.randrange(1 << 30)
    records = messy_input(seed, ticks=TICKS_A_STEP * count, chains=CHAINS_A_STEP * count)
    input_ = Input(world, records)
    for number, step in enumerate(rng.sample(sorted(steps), count)):
        nth = rng.randint(1, LATEST_TURN.get(step.name.partition("_")[0].lower(), 5))
        print(f"{time.monotonic():.1f} {step}: time {nth}")
        yield Turn(world, Plan(step, how, nth, str(world.folder / f"fault-{number}")), input_)
    input_.end()


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


def has_everything(world: Running) -> bool:
    everything = len(topics.MARKET_TOPICS) * world.settings.partitions
    return world.owned_by("analytics", "1") == everything


def poll_until_assigned(consumer: Consumer) -> None:
    until_s = time.monotonic() + 40
    while not consumer.assignment():
        assert time.monotonic() < until_s, "the visitor got no partitions"
        consumer.poll(0.1)


@pytest.mark.parametrize(("how", "steps"), lives(How.RAISE, How.DIE))
def test_a_worker_that_fails_at_any_step_ends_and_its_successor_loses_and_repeats_nothing(
    world: Running, how: How, steps: list[Step]
) -> None:
    for turn in turns(world, steps, how):
        turn.wait_for("struck")
        turn.must_end()
    must_equal_the_batch(world)


@pytest.mark.parametrize(("how", "steps"), lives(How.RAISE_IN_REBALANCE))
def test_a_worker_that_fails_at_any_step_of_a_checkpoint_that_a_rebalance_overtook_ends_too(
    world: Running, how: How, steps: list[Step]
) -> None:
    for turn in turns(world, steps, how):
        turn.wait_for("waiting")
        with visitor(world):
            turn.wait_for("struck")
            turn.must_end()
    must_equal_the_batch(world)


@pytest.mark.parametrize(("how", "steps"), lives(How.WAIT_FOR_REBALANCE))
def test_a_checkpoint_that_a_rebalance_overtook_at_any_step_ends_before_the_partitions_go(
    world: Running, how: How, steps: list[Step]
) -> None:
    for turn in turns(world, steps, how):
        turn.wait_for("waiting")
        with visitor(world) as other:
            turn.wait_for("struck")
            poll_until_assigned(other)
            assert not passed(world.offsets.committed("analytics"), world.applied())
        assert turn.worker.process.poll() is None, turn.worker.said()
        world.wait_for(lambda: has_everything(world), "the worker to have all partitions again")
        world.stop("analytics")
    must_equal_the_batch(world)
