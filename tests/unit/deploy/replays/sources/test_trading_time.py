"""What a replay at a pace waits for."""

from __future__ import annotations

from datetime import datetime

import pytest

from optionstream.deploy.replays.sources.trading_time import TradingTime, day_of
from optionstream.schemas.times import to_ms
from optionstream.streams.core.market.calendar import nse_calendar

HOUR = 3_600_000
DAY = 6 * HOUR + 15 * 60_000
TIME = TradingTime(nse_calendar())


def at(text: str) -> int:
    return to_ms(datetime.fromisoformat(text + "+05:30"))


@pytest.mark.parametrize(
    ("start", "end", "open_ms"),
    [
        ("2026-01-06T10:00:00", "2026-01-06T11:00:00", HOUR),
        ("2026-01-06T08:00:00", "2026-01-06T09:15:00", 0),
        ("2026-01-06T15:00:00", "2026-01-06T18:00:00", HOUR / 2),
        ("2026-01-06T15:00:00", "2026-01-07T09:45:00", HOUR),
        ("2026-01-09T15:30:00", "2026-01-12T09:15:00", 0),
        ("2026-01-05T00:00:00", "2026-01-10T00:00:00", 5 * DAY),
        ("2026-01-06T11:00:00", "2026-01-06T10:00:00", 0),
        ("2024-03-02T09:15:00", "2024-03-02T12:30:00", 45 * 60_000 + HOUR),
        ("1999-01-01T00:00:00", "2005-01-01T00:00:00", 0),
        ("2090-01-01T00:00:00", "2095-01-01T00:00:00", 0),
    ],
)
def test_only_open_time_counts(start: str, end: str, open_ms: float) -> None:
    assert TIME.open_ms(at(start), at(end)) == open_ms


def test_years_are_the_sum_of_their_days() -> None:
    start, middle, end = (
        at("2019-05-01T11:00:00"),
        at("2022-02-02T13:00:00"),
        at("2025-12-31T10:00:00"),
    )
    assert TIME.open_ms(start, middle) + TIME.open_ms(middle, end) == TIME.open_ms(start, end)


def test_days_without_anything_to_replay_are_not_waited_for() -> None:
    time = TradingTime(nse_calendar())
    first, last = at("2022-08-12T15:00:00"), at("2025-11-17T09:45:00")
    assert time.open_ms(first, last) > 700 * DAY
    time.limit_to({day_of(first), day_of(last)})
    assert time.open_ms(first, last) == HOUR
