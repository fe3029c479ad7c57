"""A day of real ticks and one of real chains, far apart in every way, give the same results.

One of the two days; both, and all days in every combination: ``make soak``.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from optionstream.deploy.stack import Addresses
from optionstream.schemas.settings import Settings
from tests.harness.seeds import new_seed, slice_of
from tests.sessions.cases import CHAIN_DAY, TICK_DAY, Case, Session, extreme, reference
from tests.sessions.run import Replayed, replayed

pytestmark = [pytest.mark.server, pytest.mark.timeout(900)]


@pytest.mark.parametrize(
    "session", slice_of([TICK_DAY, CHAIN_DAY], 1, "real days"), ids=lambda one: one.name
)
def test_a_real_day_paced_in_single_ticks_under_kills_equals_the_same_day_at_full_speed(
    session: Session,
    addresses: Addresses,
    patient_settings: Settings,
    shared_data: Callable[[str], Path],
    tmp_path: Path,
) -> None:
    files, seed = shared_data(session.folder), new_seed()

    def run(case: Case, name: str) -> AbstractContextManager[Replayed]:
        return replayed(case, files, addresses, patient_settings, tmp_path / name, seed)

    with (
        run(reference(session), "quiet") as quiet,
        run(extreme(session), "killed") as killed,
    ):
        quiet.verify()
        killed.compare(quiet)
        assert quiet.outcome.wrong == []
        assert killed.outcome.wrong == []
        assert quiet.outcome.ticks + quiet.outcome.chains > 200
        assert killed.outcome.compared > quiet.outcome.ticks
        if session.framed:
            assert killed.outcome.records > killed.outcome.ticks > 20 * quiet.outcome.records
