"""The soak leaves out nothing of what ``make test`` takes a slice of, and its parts exist."""

from __future__ import annotations

import re

import pytest

from tests.conftest import ROOT, SERVER_TESTS
from tests.soak.__main__ import main
from tests.soak.parts import PARTS, Part, part_named

LONGEST_MIN = 30
_SLICED = re.compile(r"\b(slice_of|amount|is_whole)\(")


def test_parts_have_names_of_their_own_and_end_within_half_an_hour() -> None:
    names = [part.name for part in PARTS]
    assert len(set(names)) == len(names)
    assert all(part.minutes <= LONGEST_MIN for part in PARTS)


@pytest.mark.parametrize("part", PARTS, ids=lambda part: part.name)
def test_what_a_part_runs_is_there(part: Part) -> None:
    module, *arguments = part.arguments
    assert module == "pytest" or (ROOT / module.replace(".", "/") / "__main__.py").exists()
    for argument in arguments:
        if argument.endswith(".py"):
            assert (ROOT / argument).exists()


def test_every_module_of_which_make_test_takes_a_slice_is_in_a_part() -> None:
    sliced = {
        f"tests/server/{path.name}"
        for path in SERVER_TESTS.glob("test_*.py")
        if _SLICED.search(path.read_text(encoding="utf-8"))
    }
    run = {argument for part in PARTS for argument in part.arguments}
    faults_of = "tests/server/test_chaos.py"  # the part of that name runs the same harness
    assert faults_of in sliced
    assert sliced - run == {faults_of}
    assert part_named("chaos").arguments[0] == "tests.chaos"


def test_without_a_part_they_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    shown = capsys.readouterr().out
    assert all(part.name in shown for part in PARTS)


def test_an_unknown_part_is_refused_and_the_others_are_named(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["nothing"]) == 2
    told = capsys.readouterr().err
    assert "no part 'nothing'" in told
    assert all(part.name in told for part in PARTS)


def test_the_page_on_testing_names_every_part() -> None:
    page = (ROOT / "docs" / "testing.md").read_text(encoding="utf-8")
    assert [part.name for part in PARTS if f"`{part.name}`" not in page] == []
