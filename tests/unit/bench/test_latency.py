"""The latency benchmark finds each tick again: by number, in the first value that holds it."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from optionstream.schemas.derived import Bar
from optionstream.schemas.documents import bar_document
from tests.bench.inputs import FIRST_DAY, PRODUCTS, records_of, session_ticks
from tests.bench.latency_ticks import (
    Schedule,
    bars_reached,
    latencies_ms,
    ticks_before,
)
from tests.bench.live import Sent, batches

MINUTE_MS = 60_000


def scheduled(*due: float) -> Schedule:
    schedule = Schedule()
    for number, at in enumerate(due, 1):
        tick = Sent("market.underlying", "NIFTY", number, "NIFTY", b"", [])
        schedule.note(tick, at, at + 0.001)
    return schedule


def bar(start: int, ticks: int, interval: str = "1m") -> Bar:
    return Bar(
        product="NIFTY",
        interval=interval,  # type: ignore[arg-type]
        session="2026-01-06",
        start=start,
        end=start + MINUTE_MS,
        open=1.0,
        high=1.0,
        low=1.0,
        close=1.0,
        volume=None,
        volume_reason="no_volume",
        ticks=ticks,
        revision=0,
        final=False,
        known_at=start,
    )


def test_a_tick_is_there_with_the_first_value_that_reaches_its_number() -> None:
    late = latencies_ms(scheduled(1.0, 2.0, 3.0), {"NIFTY": [(2, 2.5), (3, 3.25)]}, 0.0)
    assert late.tolist() == [1_500.0, 500.0, 250.0]


def test_a_value_that_goes_back_takes_nothing_away() -> None:
    late = latencies_ms(scheduled(1.0, 2.0), {"NIFTY": [(1, 1.5), (0, 1.75), (2, 2.5)]}, 0.0)
    assert late.tolist() == [500.0, 500.0]


def test_ticks_of_the_warm_up_do_not_count() -> None:
    schedule = scheduled(1.0, 2.0, 3.0)
    assert latencies_ms(schedule, {"NIFTY": [(3, 3.5)]}, 2.5).tolist() == [500.0]
    assert schedule.due_since(2.5).tolist() == [3.0]
    assert np.allclose(schedule.lateness_ms(2.5), [1.0])


def test_a_tick_that_never_came_is_an_error_and_not_left_out() -> None:
    with pytest.raises(RuntimeError, match="1 of 2 ticks never came"):
        latencies_ms(scheduled(1.0, 2.0), {"NIFTY": [(1, 1.5)]}, 0.0)
    with pytest.raises(RuntimeError, match="2 of 2 ticks never came"):
        latencies_ms(scheduled(1.0, 2.0), {}, 0.0)


@pytest.mark.parametrize("rate", [1_000, 5_000])
def test_the_ticks_before_a_window_are_those_of_the_input(rate: int) -> None:
    ticks = records_of(session_ticks(rate), 1)
    before = 0
    for tick in ticks:
        if tick.ts_ms >= FIRST_DAY.open_ms + 2_000:  # type: ignore[operator]
            break
        before += tick.product == PRODUCTS[0]
    assert ticks_before(FIRST_DAY.open_ms, rate) == 0
    assert ticks_before(FIRST_DAY.open_ms + 2_000, rate) == before


def test_bars_in_kafka_and_in_redis_tell_the_same_number() -> None:
    held = bar(FIRST_DAY.open_ms + MINUTE_MS, 7)
    of_kafka, of_redis = msgspec.json.encode(held), msgspec.json.encode(bar_document(held))
    other = msgspec.json.encode(bar(FIRST_DAY.open_ms, 9, "5m"))
    seen = [("topic", of_kafka, 1.0), ("key", of_redis, 2.0), ("topic", other, 3.0)]
    assert bars_reached(seen, 1_000) == {"NIFTY": [(15_007, 1.0), (15_007, 2.0)]}


def test_the_batches_of_a_second_hold_its_ticks_and_chains_at_any_beat() -> None:
    for beat_s in (0.001, 0.01):
        feed = batches(session_ticks(1_000), 1_000, beat_s)
        sent = [one for _ in range(round(1 / beat_s)) for one in next(feed)]
        assert sum(one.base == "market.underlying" for one in sent) == 1_000
        assert sum(one.base == "market.option_chain" for one in sent) == 100
