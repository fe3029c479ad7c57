"""The chaos harness in its short form, on servers of its own since it stops them."""

from __future__ import annotations

import pytest

from tests.chaos.run import Plan, run
from tests.chaos.schedule import Fault
from tests.harness.seeds import new_seed
from tests.harness.servers import own_stack


@pytest.mark.timeout(420)
def test_every_kind_of_fault_once_loses_nothing_and_repeats_nothing() -> None:
    plan = Plan(new_seed(), len(Fault), 1, ticks=60_000, chains=300)
    suffered = []
    with own_stack("chaos") as (stack, settings, folder):
        outcomes = list(
            run(plan, stack, settings, folder, lambda _, step: suffered.append(step.fault))
        )
    (outcome,) = outcomes
    assert set(suffered) == set(Fault)
    assert outcome.ok, outcome
    assert outcome.duplicates > 0
    assert outcome.rejects > 0
