"""The chaos harness in its short form, on servers of its own since it stops them."""

from __future__ import annotations

import pytest

from tests.chaos.run import Plan, run
from tests.chaos.schedule import Fault
from tests.harness.seeds import new_seed, slice_of
from tests.harness.servers import own_stack

pytestmark = [pytest.mark.timeout(600)]

KINDS = 8
"""Of faults in a slice."""


def test_each_kind_of_fault_once_loses_nothing_and_repeats_nothing() -> None:
    kinds = tuple(slice_of(list(Fault), KINDS, "faults"))
    a_fault = {"ticks": 4_000 * len(kinds), "chains": 20 * len(kinds)}
    plan = Plan(new_seed(), len(kinds), 1, **a_fault, kinds=kinds)
    suffered = []
    with own_stack("chaos") as (
        stack,
        settings,
        folder,
    ):
        outcomes = list(
            run(plan, stack, settings, folder, lambda _, step: suffered.append(step.fault))
        )
    (outcome,) = outcomes
    assert set(suffered) == set(kinds)
    assert outcome.ok, outcome
    assert outcome.duplicates > 0
    assert outcome.rejects > 0
