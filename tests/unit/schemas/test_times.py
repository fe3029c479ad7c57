"""Epoch milliseconds and IST."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optionstream.schemas.times import ist, ist_date, to_ms

MIDNIGHT_MS = 1_767_637_800_000
"""2026-01-06 00:00 IST."""


@pytest.mark.parametrize(
    ("ms", "date"),
    [
        (MIDNIGHT_MS - 1, "2026-01-05"),
        (MIDNIGHT_MS, "2026-01-06"),
        (0, "1970-01-01"),
        (-19_800_001, "1969-12-31"),
    ],
)
def test_the_date_changes_at_midnight_in_india(ms: int, date: str) -> None:
    assert ist_date(ms) == date


@given(st.integers(-2_000_000_000_000, 4_102_444_800_000))
def test_date_and_moment_agree(ms: int) -> None:
    assert ist_date(ms) == ist(ms).date().isoformat()
    assert to_ms(ist(ms)) == ms
