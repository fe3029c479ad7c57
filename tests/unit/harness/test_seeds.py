"""The seed of a run, and the slices that follow from it."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.harness.seeds import SEED_VARIABLE, WHOLE_VARIABLE, choose_seed, new_seed, slice_of

CASES = list("abcdefghijk")


@pytest.fixture(autouse=True)
def slices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(WHOLE_VARIABLE, raising=False)
    monkeypatch.setenv(SEED_VARIABLE, "0")


def test_a_seed_is_drawn_once_for_a_run_and_kept_for_its_processes() -> None:
    env: dict[str, str] = {}
    seed = choose_seed(env)
    assert env == {SEED_VARIABLE: str(seed)}
    assert choose_seed(env) == seed


def test_seeds_of_several_runs_differ() -> None:
    assert len({choose_seed({}) for _ in range(20)}) > 1


def test_a_given_seed_repeats_a_run_and_is_printed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(SEED_VARIABLE, "1234")
    assert new_seed() == 1234
    assert capsys.readouterr().out == f"seed 1234 (again with {SEED_VARIABLE}=1234)\n"


@pytest.mark.parametrize("count", [1, 2, 3, 5, 10, 11, 12])
def test_seeds_that_follow_one_another_cover_all_cases(
    monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    seen = set()
    for seed in range(100, 100 + -(-len(CASES) // count)):
        monkeypatch.setenv(SEED_VARIABLE, str(seed))
        chosen = slice_of(CASES, count, "letters")
        assert len(set(chosen)) == len(chosen) == min(count, len(CASES))
        assert chosen == sorted(chosen)
        seen |= set(chosen)
    assert seen == set(CASES)


def test_a_slice_is_the_same_in_every_process_of_a_run() -> None:
    code = f"from tests.harness.seeds import slice_of; print(slice_of({CASES!r}, 3, 'x'))"
    found = {subprocess.check_output([sys.executable, "-c", code]) for _ in range(2)}
    assert found == {f"{slice_of(CASES, 3, 'x')}\n".encode()}


def test_a_soak_takes_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(WHOLE_VARIABLE, "1")
    assert slice_of(CASES, 1, "letters") == CASES
