"""The chaos harness in its short form, on servers of its own since it stops them."""

from __future__ import annotations

from pathlib import Path

import pytest

from optionstream.deploy.stack import Stack, free_port
from optionstream.schemas.settings import Settings
from tests.chaos.run import Plan, run
from tests.chaos.schedule import Fault
from tests.server.running import new_seed


@pytest.mark.timeout(420)
def test_every_kind_of_fault_once_loses_nothing_and_repeats_nothing(tmp_path: Path) -> None:
    settings = Settings(
        data_dir=tmp_path / "stack",
        kafka_port=free_port(),
        mongo_port=free_port(),
        redis_port=free_port(),
    )
    plan = Plan(new_seed(), len(Fault), 1, ticks=60_000, chains=300)
    suffered = []
    stack = Stack(settings)
    try:
        outcomes = list(
            run(plan, stack, settings, tmp_path, lambda _, step: suffered.append(step.fault))
        )
    finally:
        stack.down()
    (outcome,) = outcomes
    assert set(suffered) == set(Fault)
    assert outcome.ok, outcome
    assert outcome.duplicates > 0
    assert outcome.rejects > 0
