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
        ("2026-01-06T15:29:59.863000+05:30", "2026-01-06 15:29:59"),
        ("2026-01-06T15:29:59Z", "2026-01-06T15:29:59Z"),
        (["b", "a"], "b, a"),
        ({"bad_price": 3}, "3 bad_price"),
    ],
)
def test_cells(value: object, text: str) -> None:
    assert output.format_cell(value) == text


def lines_of(shown: str) -> list[str]:
    return [line.rstrip() for line in shown.splitlines()]


def test_a_table_has_headings_with_units_and_numbers_to_the_right(
    capsys: pytest.CaptureFixture[str],
) -> None:
    rows = [{"group": "latest", "rate": 1500, "pid": 1234}, {"group": "history", "rate": 7}]
    output.print_table("", ("group", "rate", "pid"), rows)
    head, rule, *shown = lines_of(capsys.readouterr().out)
    assert head == "group    rate (/s)   pid"
    assert set(rule) == {"─"}
    assert shown == ["latest       1,500  1234", "history          7     –"]


def test_what_all_rows_share_moves_into_the_title(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [{"product": "NIFTY", "oi_unit": "shares", "flags": []} for _ in range(2)]
    rows[1] = {**rows[1], "product": "BANKNIFTY"}
    columns = ("product", "oi_unit", "flags")
    output.print_table("chains", columns, rows, shared=columns)
    assert lines_of(capsys.readouterr().out) == [
        "chains, OI unit shares",
        "product",
        "─────────",
        "NIFTY",
        "BANKNIFTY",
        "",
    ]


def test_a_table_without_rows_is_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    output.print_table("title", ("a",), [])
    assert capsys.readouterr().out == ""


def test_one_line_for_a_file_whatever_its_error_says(capsys: pytest.CaptureFixture[str]) -> None:
    failures = output.Failures()
    failures.add_error(InputError("a.json", "broken\nin two lines"))
    assert capsys.readouterr().err == "error: a.json: broken in two lines\n"
    assert failures.has_error(Path("a.json"))
    failures.require(False, Path("a.json"), "holds nothing")
    failures.require(True, Path("c.json"), "holds nothing")
    assert capsys.readouterr().err == ""
    failures.require(False, Path("d.json"), "holds nothing")
    assert capsys.readouterr().err == "error: d.json: holds nothing\n"
    assert not failures.has_error(Path("b.json"))


def test_rows_that_could_not_be_used_are_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    failures = output.Failures()
    failures.add_problems("a.csv", [])
    failures.finish()
    failures.add_problems("a.csv", ["line 3: no price", "line 9: no price"])
    assert capsys.readouterr().err == "error: a.csv: line 3: no price (and 1 more)\n"
    with pytest.raises(typer.Exit) as ended:
        failures.finish()
    assert ended.value.exit_code == 2
