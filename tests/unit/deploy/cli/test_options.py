"""Reading option values."""

from __future__ import annotations

import pytest

from optionstream.deploy.cli.options import parse_products, parse_speed, parse_timestamp
from optionstream.schemas.errors import UsageError


@pytest.mark.parametrize(("text", "speed"), [("max", None), ("1", 1.0), ("0.5", 0.5), ("60", 60)])
def test_speed(text: str, speed: float | None) -> None:
    assert parse_speed(text) == speed


@pytest.mark.parametrize("text", ["", "fast", "0", "-1", "inf", "nan"])
def test_a_speed_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        parse_speed(text)


def test_products_are_taken_in_any_case_and_spacing() -> None:
    assert parse_products("nifty, BANKNIFTY") == frozenset({"NIFTY", "BANKNIFTY"})
    assert parse_products(None) is None


@pytest.mark.parametrize(
    "text",
    ["1761558266000", "2025-10-27T15:14:26", "2025-10-27T15:14:26+05:30", "2025-10-27T09:44:26Z"],
)
def test_a_time_without_an_offset_is_indian_time(text: str) -> None:
    assert parse_timestamp(text) == 1_761_558_266_000
