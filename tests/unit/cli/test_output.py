"""Tables, JSON lines, and the failures that the exit code remembers."""

from __future__ import annotations

from pathlib import Path

import pytest
import typer

from optionstream.deploy.cli import output
from optionstream.schemas.errors import InputError


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        ("", "–"),
        (0, "0"),
        (1234567, "1,234,567"),
        (26000.5, "26,000.5"),
        (0.91234567, "0.9123"),
        (12345678.0, "12,345,678"),
        (True, "yes"),
        ("[bold]", "\\[bold]"),
    ],
)
def test_cells(value: object, text: str) -> None:
    assert output.cell(value) == text


def test_one_line_for_a_file_whatever_its_error_says(capsys: pytest.CaptureFixture[str]) -> None:
    failures = output.Failures()
    failures.add(InputError("a.json", "broken\nin two lines"))
    assert capsys.readouterr().err == "error: a.json: broken in two lines\n"
    assert failures.has(Path("a.json"))
    assert not failures.has(Path("b.json"))


def test_rows_that_could_not_be_used_are_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    failures = output.Failures()
    failures.add_problems("a.csv", [])
    failures.finish()
    failures.add_problems("a.csv", ["line 3: no price", "line 9: no price"])
    assert capsys.readouterr().err == "error: a.csv: line 3: no price (and 1 more)\n"
    with pytest.raises(typer.Exit) as ended:
        failures.finish()
    assert ended.value.exit_code == 2
