"""Content rules: which ticks are refused, one by one and a frame at once."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optionstream.schemas import rejects
from optionstream.schemas.settings import Settings
from optionstream.schemas.topics import LIVE, SIM, Namespace
from optionstream.streams.core.rules import Rules
from tests.harness.records import OPEN_MS, frame

YEAR_2099 = 4_070_908_800_000


def _rules(name: str) -> Rules:
    return Rules.of(Namespace(name), Settings(data_dir=Path("/nonexistent")))


@pytest.mark.parametrize(
    ("name", "ts_ms", "price", "expected"),
    [
        (LIVE, OPEN_MS, 1.0, None),
        (LIVE, OPEN_MS + 60_000, 1.0, None),
        (LIVE, OPEN_MS + 60_001, 1.0, rejects.FUTURE_EVENT),
        (SIM, OPEN_MS + 60_001, 1.0, rejects.FUTURE_EVENT),
        ("replayed", OPEN_MS + 86_400_000, 1.0, None),
        ("replayed", YEAR_2099, 1.0, rejects.NO_CALENDAR),
        (LIVE, 946_684_799_999, 1.0, rejects.BAD_TIME),
        (LIVE, 10**17, 1.0, rejects.BAD_TIME),
        (LIVE, OPEN_MS, 0.0, rejects.BAD_PRICE),
        (LIVE, OPEN_MS, -1.0, rejects.BAD_PRICE),
        (LIVE, OPEN_MS, float("inf"), rejects.BAD_PRICE),
        (LIVE, OPEN_MS, float("nan"), rejects.BAD_PRICE),
    ],
)
def test_a_tick_is_refused_for_its_content(
    name: str, ts_ms: int, price: float, expected: str | None
) -> None:
    assert _rules(name).tick_fault(ts_ms, price, OPEN_MS) == expected


def test_the_simulation_knows_every_year() -> None:
    assert _rules(SIM).tick_fault(YEAR_2099, 1.0, YEAR_2099) is None


_TIMES = st.sampled_from([OPEN_MS, OPEN_MS + 60_001, YEAR_2099, 0, 10**17])
_PRICES = st.sampled_from([1.0, 24_000.0, 0.0, -3.0, float("inf"), float("nan")])


@given(st.lists(st.tuples(_TIMES, _PRICES), min_size=1, max_size=6), st.sampled_from([LIVE, "r"]))
def test_a_frame_is_sound_when_each_of_its_ticks_is(
    ticks: list[tuple[int, float]], name: str
) -> None:
    rules = _rules(name)
    one = frame(
        0,
        len(ticks),
        ts_recv=OPEN_MS,
        ts_ms=[ts for ts, _ in ticks],
        price=[price for _, price in ticks],
    )
    each = all(rules.tick_fault(ts, price, OPEN_MS) is None for ts, price in ticks)
    assert rules.is_sound_frame(one) == each
