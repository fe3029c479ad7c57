"""Watermarks: distance to event time, and never backwards."""

from __future__ import annotations

from optionstream.streams.core.watermark import Watermark


def test_an_event_brings_the_watermark_to_its_time_less_the_lateness() -> None:
    assert Watermark(2_000, 0).after(10_000) == 8_000


def test_the_earliest_event_that_reaches_an_instant_brings_it_exactly_there() -> None:
    watermark = Watermark(2_000, 0)
    assert watermark.after(watermark.earliest_ts(7_777)) == 7_777


def test_a_watermark_rises_and_never_falls() -> None:
    watermark = Watermark(2_000, 5_000)
    assert watermark.raise_to(5_001)
    assert not watermark.raise_to(5_001)
    assert not watermark.raise_to(4_000)
    assert watermark.reached_ms == 5_001
