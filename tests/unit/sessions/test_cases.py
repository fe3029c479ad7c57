"""The cases are every combination or all pairs, and each is named by what it is."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import pytest

from tests.sessions.cases import (
    CHAINS,
    TICKS,
    Case,
    Session,
    every,
    extreme,
    pairs,
    reference,
    share,
)
from tests.sessions.run import Outcome


def test_ticks_are_replayed_in_every_combination_of_speed_frame_workers_and_kills() -> None:
    cases = [reference(TICKS), *every(TICKS)]
    axes = {(case.speed, case.frame, case.workers, case.killed) for case in cases}
    assert len(cases) == len(axes) == 16
    assert {case.speed for case in cases} == {None, 3_600.0}
    assert {case.frame for case in cases} == {1, 1_000}
    assert {case.workers for case in cases} == {1, 3}
    assert extreme(TICKS) in cases
    assert len({case.told for case in cases}) == 16


def test_a_chain_is_one_record_whatever_the_frame() -> None:
    cases = [reference(CHAINS), *every(CHAINS)]
    assert len({(case.speed, case.workers, case.killed) for case in cases}) == len(cases) == 8
    assert {case.row["frame"] for case in cases} == {"–"}


@pytest.mark.parametrize(("session", "runs"), [(TICKS, 5), (CHAINS, 4)])
def test_every_two_settings_meet_in_all_their_values(session: Session, runs: int) -> None:
    def settings(case: Case) -> list[object]:
        framed = [case.frame] if session.framed else []
        return [case.speed, case.workers, case.killed, *framed]

    def met(cases: list[Case]) -> set[tuple[int, int, object, object]]:
        rows = [settings(case) for case in cases]
        places = list(combinations(range(len(rows[0])), 2))
        return {(a, b, row[a], row[b]) for row in rows for a, b in places}

    chosen = [reference(session), *pairs(session)]
    assert len(chosen) == runs
    assert met(chosen) == met([reference(session), *every(session)])


def test_a_session_without_files_is_told(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no files \*\.csv\.gz"):
        TICKS.paths(tmp_path)
    (tmp_path / "b.csv.gz").touch()
    (tmp_path / "a.csv.gz").touch()
    assert [path.name for path in TICKS.paths(tmp_path)] == ["a.csv.gz", "b.csv.gz"]


def test_an_outcome_is_good_only_without_a_complaint() -> None:
    outcome = Outcome(Case(TICKS))
    assert outcome.ok
    assert outcome.row["result"] == "the same"
    outcome.wrong.append("something")
    assert not outcome.ok
    assert outcome.row["result"] == "WRONG"


@pytest.mark.parametrize("count", [1, 2, 3])
def test_shares_of_the_cases_are_all_of_them_each_once(count: int) -> None:
    cases = pairs(TICKS)
    shares = [share(cases, f"{number}/{count}") for number in range(1, count + 1)]
    assert sorted(repr(case) for one in shares for case in one) == sorted(map(repr, cases))


@pytest.mark.parametrize("text", ["0/2", "3/2", "two", "1/0"])
def test_what_is_no_share_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"share|invalid"):
        share(pairs(TICKS), text)
