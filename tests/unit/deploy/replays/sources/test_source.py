"""The events of a range of time."""

from __future__ import annotations

from optionstream.deploy.replays.sources.source import MAX_HORIZON_MS, EventSpan, Scan
from optionstream.schemas.events import CandleFrame, Tick
from tests.unit.producers.playback.support import beat, candles, frame


def test_a_range_takes_the_rows_that_happened_in_it() -> None:
    unordered = frame(5, 9, 3, 7)
    part = EventSpan(5, 9).cut(unordered)
    assert part is not None and (part.ts_ms, part.price, part.seq) == ([5, 7], [1.0, 4.0], [0, 3])
    assert EventSpan(None, None).cut(unordered) is unordered
    assert EventSpan(3, 10).cut(unordered) is unordered
    assert EventSpan(10, None).cut(unordered) is None
    assert EventSpan(None, 3).cut(unordered) is None


def test_a_candle_happens_at_its_start() -> None:
    part = EventSpan(60_000, 120_000).cut(candles(0, 60_000, 120_000))
    assert isinstance(part, CandleFrame) and part.start_ms == [60_000]


def test_single_events_are_in_or_out() -> None:
    assert EventSpan(5, 6).cut(beat(5)) == beat(5)
    assert EventSpan(0, 5).cut(beat(5)) is None
    tick = Tick(product="NIFTY", ts_ms=5, price=2.0)
    assert EventSpan(5, None).cut(tick) is tick
    assert EventSpan(6, None).cut(tick) is None


def test_a_scan_finds_the_end_the_days_and_how_far_a_stream_goes_back() -> None:
    day = 86_400_000
    scan = Scan()
    scan.add_stream([[day], [2 * day], [2 * day - 500]])
    scan.add_stream([[3 * day], [3 * day - 20, 3 * day - 10]])
    assert (scan.last_ms, scan.horizon_ms) == (3 * day, 500)
    assert scan.days == {1, 2, 3}
    scan.add_stream([[5 * day], [day]])
    assert scan.horizon_ms == MAX_HORIZON_MS
