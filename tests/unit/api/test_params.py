"""Instants and cursors as parameters."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optionstream.api.params import Cursor, instant_ms, read_cursor, write_cursor
from optionstream.api.problems import ProblemError

OPEN_MS = 1_761_536_700_000


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1761536700000", OPEN_MS),
        ("2025-10-27T09:15:00+05:30", OPEN_MS),
        ("2025-10-27T09:15:00 05:30", OPEN_MS),
        ("2025-10-27T03:45:00Z", OPEN_MS),
        ("2025-10-27T03:45:00.250Z", OPEN_MS + 250),
        ("0", 0),
        (None, None),
    ],
)
def test_an_instant_is_rfc_3339_or_epoch_milliseconds(
    text: str | None, expected: int | None
) -> None:
    assert instant_ms("start", text) == expected


@pytest.mark.parametrize(
    "text",
    ["", "yesterday", "2025-10-27T09:15:00", "2025-10-27", "1e12", "-1", "9" * 15, "9" * 40,
     "0001-01-01T00:00:00+05:30", "2025-13-01T00:00:00Z"],
)  # fmt: skip
def test_what_is_no_instant_is_refused_by_the_parameter_s_name(text: str) -> None:
    with pytest.raises(ProblemError) as caught:
        instant_ms("end", text)
    assert (caught.value.status, caught.value.code) == (422, "invalid_parameter")
    assert caught.value.extra["errors"][0]["parameter"] == "end"


@given(st.integers(0, 10**13), st.none() | st.integers(10**13, 10**14))
def test_a_cursor_survives_the_journey(start: int, end: int | None) -> None:
    cursor = Cursor("M&M", "5m", start, end)
    text = write_cursor(cursor)
    assert text.replace("-", "").replace("_", "").isalnum()
    assert read_cursor(text, "M&M", "5m") == cursor


@pytest.mark.parametrize(
    "text",
    [
        "",
        "é",
        "x",
        "bm90IGpzb24",
        write_cursor(Cursor("NIFTY", "1m", 0, None)),
        write_cursor(Cursor("BANKNIFTY", "5m", 0, None)),
        write_cursor(Cursor("NIFTY", "5m", -1, None)),
        write_cursor(Cursor("NIFTY", "5m", 5, 4)),
    ],
)
def test_a_cursor_of_another_request_or_of_nobody_is_refused(text: str) -> None:
    with pytest.raises(ProblemError) as caught:
        read_cursor(text, "NIFTY", "5m")
    assert caught.value.code == "invalid_cursor"


@given(st.text(max_size=60))
def test_no_text_breaks_the_reading_of_cursors_and_instants(text: str) -> None:
    with suppress(ProblemError):
        read_cursor(text, "NIFTY", "1m")
    with suppress(ProblemError):
        instant_ms("start", text)
