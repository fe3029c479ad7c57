"""Candles and quotes on their way: checked, recorded, paced, addressed and counted."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from optionstream.producers.feeds import open_feed
from optionstream.producers.feeds.frames import check_event
from optionstream.producers.feeds.session_file import header_for, write_session
from optionstream.producers.kafka.publisher import address_of
from optionstream.producers.kafka.settings import PublishStats
from optionstream.producers.pacing import event_time, paced, stamped
from optionstream.schemas import topics
from optionstream.schemas.errors import RecordError
from optionstream.schemas.events import CandleFrame, MarketEvent, OptionQuoteFrame
from tests.harness.feed_files import NO_HINTS, at

OPEN = at("2026-01-06 09:15")
CANDLES = CandleFrame(
    product="NIFTY",
    source="test",
    session="2026-01-06",
    ts_recv=OPEN + 180_000,
    interval_ms=60_000,
    start_ms=[OPEN, OPEN + 120_000, OPEN + 60_000],
    open=[1.0] * 3,
    high=[2.0] * 3,
    low=[1.0] * 3,
    close=[2.0] * 3,
)
QUOTES = OptionQuoteFrame(
    product="NIFTY",
    expiry="2026-01-13",
    source="test",
    session="2026-01-06",
    ts_recv=OPEN + 1000,
    oi_unit="shares",
    ts_ms=[OPEN + 500, OPEN],
    seq=[2, 1],
    strike=[26000.0, 26000.0],
    kind=["CE", "PE"],
    last=[100.0, None],
)
BOTH: Sequence[MarketEvent] = (CANDLES, QUOTES)


def test_a_frame_is_complete_with_its_latest_quote_or_the_end_of_its_latest_candle() -> None:
    assert event_time(CANDLES) == OPEN + 180_000
    assert event_time(QUOTES) == OPEN + 500


def test_candles_and_quotes_come_at_their_own_pace_and_are_stamped() -> None:
    slept: list[float] = []
    assert list(paced([QUOTES, CANDLES], 60, lambda: 0.0, slept.append)) == [QUOTES, CANDLES]
    assert slept == [pytest.approx(179.5 / 60)]
    early, late = stamped(BOTH, lambda: OPEN + 1000)
    assert (early.ts_recv, late.ts_recv) == (OPEN + 180_000, OPEN + 1000)


@pytest.mark.parametrize("event", BOTH)
@pytest.mark.parametrize("how", ["short", "long"])
def test_a_frame_that_breaks_its_rules_does_not_leave_a_feed(
    event: CandleFrame | OptionQuoteFrame, how: str
) -> None:
    assert check_event(event) is event
    name = "close" if isinstance(event, CandleFrame) else "strike"
    column: list[Any] = getattr(event, name)
    changed = column[:-1] if how == "short" else [*column, 1.0]
    with pytest.raises(RecordError, match=f"{name} has"):
        check_event(replace(event, **{name: changed}))


def test_a_session_file_carries_candles_and_quotes(tmp_path: Path) -> None:
    path = tmp_path / "day.jsonl.zst"
    write_session(path, header_for(["NIFTY"], {}), BOTH)
    feed = open_feed(path, NO_HINTS)
    assert list(feed.events()) == list(BOTH)
    assert feed.problems == []


def test_candles_lie_with_the_ticks_and_quotes_on_a_topic_of_their_own() -> None:
    assert address_of(CANDLES) == (topics.UNDERLYING, "NIFTY")
    assert address_of(QUOTES) == (topics.OPTION_QUOTE, "NIFTY:2026-01-13")


def test_what_was_published_is_counted_by_kind() -> None:
    stats = PublishStats()
    for event in BOTH:
        stats.count(event, 10)
    assert (stats.records, stats.bytes) == (2, 20)
    assert (stats.candles, stats.quotes) == (3, 2)
    assert (stats.ticks, stats.chains, stats.heartbeats) == (0, 0, 0)
