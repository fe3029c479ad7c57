"""1-second tick CSVs become frames of one date each, with a heartbeat behind each date."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optionstream.producers.feeds import FeedHints, expand_paths, open_feed
from optionstream.producers.feeds.ticks.seconds_csv import tick_events
from optionstream.schemas.checks import check_frame
from optionstream.schemas.errors import InputError
from optionstream.schemas.events import Heartbeat, MarketEvent, TickFrame
from optionstream.schemas.identity import tick_id
from tests.harness.feed_files import at, events_of, fed, packed, tick_lines, written

NIFTY = FeedHints(product="NIFTY")
DAY = "2026-01-06"


def _frames(events: list[MarketEvent]) -> list[TickFrame]:
    return [event for event in events if isinstance(event, TickFrame)]


def _beats(events: list[MarketEvent]) -> list[Heartbeat]:
    return [event for event in events if isinstance(event, Heartbeat)]


@pytest.mark.parametrize("how", ["plain", "gzip", "zstd"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_rows_become_ticks_in_indian_time(tmp_path: Path, how: str, end: str) -> None:
    text = tick_lines([(f"{DAY} 09:15:00", 26000), (f"{DAY} 09:15:01", 26000.05)], end)
    events = events_of(written(tmp_path / "a.json", packed(text.encode(), how)), NIFTY)
    (frame,) = _frames(events)
    assert frame == TickFrame(
        product="NIFTY",
        source="ticks-1s",
        session=DAY,
        ts_recv=at(f"{DAY} 09:15:01"),
        ts_ms=[at(f"{DAY} 09:15:00"), at(f"{DAY} 09:15:01")],
        price=[26000.0, 26000.05],
        seq=[1, 2],
        volume=None,
        tick_id=[
            tick_id(at(f"{DAY} 09:15:00"), 26000.0, None, 0),
            tick_id(at(f"{DAY} 09:15:01"), 26000.05, None, 0),
        ],
    )


def test_equal_rows_of_one_second_are_told_apart_by_their_occurrence(tmp_path: Path) -> None:
    same = (f"{DAY} 09:15:00", 26000.0)
    (frame,) = _frames(events_of(written(tmp_path / "a", tick_lines([same] * 3)), NIFTY))
    assert frame.tick_id == [tick_id(frame.ts_ms[0], 26000.0, None, n) for n in range(3)]
    assert len(set(frame.tick_id)) == 3


def test_the_same_rows_in_two_files_have_the_same_identities(tmp_path: Path) -> None:
    rows = [(f"{DAY} 09:15:0{n}", 26000.0 + n) for n in range(5)]
    (whole,) = _frames(events_of(written(tmp_path / "a", tick_lines(rows)), NIFTY))
    (tail,) = _frames(events_of(written(tmp_path / "b", tick_lines(rows[2:])), NIFTY))
    assert whole.tick_id is not None
    assert whole.tick_id[2:] == tail.tick_id


def test_frames_hold_at_most_the_number_of_ticks_asked_for(tmp_path: Path) -> None:
    rows = [(f"{DAY} 09:15:{n:02d}", 26000.0) for n in range(7)]
    frames = _frames(events_of(written(tmp_path / "a", tick_lines(rows)), NIFTY, frame_ticks=3))
    assert [len(frame.ts_ms) for frame in frames] == [3, 3, 1]
    assert [seq for frame in frames for seq in frame.seq] == [1, 2, 3, 4, 5, 6, 7]


def test_receipt_of_a_frame_is_its_latest_tick_even_out_of_order(tmp_path: Path) -> None:
    rows = [(f"{DAY} 09:15:05", 1.0), (f"{DAY} 09:15:03", 2.0)]
    (frame,) = _frames(events_of(written(tmp_path / "a", tick_lines(rows)), NIFTY))
    assert frame.ts_recv == at(f"{DAY} 09:15:05")


def test_a_heartbeat_closes_each_date_of_a_file(tmp_path: Path) -> None:
    rows = [(f"2026-01-0{day} 15:29:5{n}", 26000.0) for day in (6, 7) for n in range(2)]
    events = events_of(written(tmp_path / "a", tick_lines(rows)), NIFTY)
    assert [type(event).__name__ for event in events] == ["TickFrame", "Heartbeat"] * 2
    beats = _beats(events)
    assert [beat.ts_event for beat in beats] == [at("2026-01-06 15:45"), at("2026-01-07 15:45")]
    assert [frame.session for frame in _frames(events)] == ["2026-01-06", "2026-01-07"]
    assert [frame.seq for frame in _frames(events)] == [[1, 2], [1, 2]]


def test_an_evening_session_is_closed_at_the_end_of_its_date(tmp_path: Path) -> None:
    rows = [("2024-11-01 18:30:00", 1.0), ("2024-11-01 18:30:01", 1.0)]
    (beat,) = _beats(events_of(written(tmp_path / "a", tick_lines(rows)), NIFTY))
    assert beat.ts_event == at("2024-11-01 23:59:59") + 999


def test_one_row_with_a_wrong_date_gets_no_heartbeat(tmp_path: Path) -> None:
    rows = [(f"{DAY} 09:15:00", 1.0), ("2026-05-06 09:15:01", 1.0), (f"{DAY} 09:15:02", 1.0)]
    events = events_of(written(tmp_path / "a", tick_lines(rows)), NIFTY)
    assert [frame.session for frame in _frames(events)] == [DAY, "2026-05-06", DAY]
    assert [beat.ts_event for beat in _beats(events)] == [at(f"{DAY} 15:45")]
    assert isinstance(events[-1], Heartbeat)


def test_a_file_of_one_row_gets_its_heartbeat(tmp_path: Path) -> None:
    events = events_of(written(tmp_path / "a", f"{DAY} 09:15:00,1"), NIFTY)
    assert len(_beats(events)) == 1


def test_rows_that_cannot_be_read_are_told_with_number_and_reason(tmp_path: Path) -> None:
    lines = [
        f"{DAY} 09:15:00,26000.5",
        "",
        "timestamp,price",
        f"{DAY} 09:15:61,26000.5",
        f"{DAY} 09:61:00,26000.5",
        "2026-02-30 09:15:00,26000.5",
        f"{DAY} 09:15:01,1e999",
        f"{DAY} 09:15:01,-",
        f"{DAY} 09:15:01,1.2.3",
        "1960-01-06 09:15:00,5",
        f"{DAY} 09:15:02,26000.5,7",
        f"{DAY} 09:15:02,26001",
    ]
    feed = open_feed(written(tmp_path / "a", "\n".join(lines)), NIFTY)
    (frame,) = _frames(list(feed.events()))
    assert frame.price == [26000.5, 26001.0]
    assert frame.seq == [1, 2]
    assert [text.split(":")[0] for text in feed.problems] == [f"row {n}" for n in range(3, 12)]
    assert "not finite" in feed.problems[4]


def test_a_price_of_zero_is_left_to_the_stream_to_refuse(tmp_path: Path) -> None:
    (frame,) = _frames(events_of(written(tmp_path / "a", f"{DAY} 09:15:00,0"), NIFTY))
    assert frame.price == [0.0]


def test_reading_twice_gives_the_same_events_and_problems(tmp_path: Path) -> None:
    feed = open_feed(written(tmp_path / "a", f"{DAY} 09:15:00,1\nbad\n"), NIFTY)
    assert list(feed.events()) == list(feed.events())
    assert len(feed.problems) == 1


def test_without_a_product_the_error_says_how_to_give_one(tmp_path: Path) -> None:
    path = written(tmp_path / "a.csv", f"{DAY} 09:15:00,1")
    with pytest.raises(InputError, match="--product NIFTY"):
        list(open_feed(path, FeedHints()).events())


def test_the_product_hint_wins_over_the_path(tmp_path: Path) -> None:
    path = written(tmp_path / "nifty.csv", f"{DAY} 09:15:00,1")
    assert {event.product for event in events_of(path)} == {"NIFTY"}
    assert {event.product for event in events_of(path, FeedHints(product="SENSEX"))} == {"SENSEX"}


_rows = st.tuples(
    st.sampled_from(["2026-01-06", "2026-01-07", "2026-01-10"]),
    st.integers(0, 86_399),
    st.integers(1, 3).map(float),
)


@given(st.lists(_rows, min_size=1, max_size=60), st.integers(1, 10))
def test_every_row_is_one_tick_whatever_the_frame_size(
    rows: list[tuple[str, int, float]], size: int
) -> None:
    lines = [
        (f"{date} {second // 3600:02d}:{second // 60 % 60:02d}:{second % 60:02d}", price)
        for date, second, price in rows
    ]
    file = fed(tick_lines(lines).encode(), FeedHints(product="NIFTY"), size)
    events = list(tick_events(file))
    frames = [event for event in events if isinstance(event, TickFrame)]
    ticks = [
        (frame.session, ts, price)
        for frame in frames
        for ts, price in zip(frame.ts_ms, frame.price, strict=True)
    ]
    assert ticks == [(stamp[:10], at(stamp), price) for stamp, price in lines]
    identities = [(f.session, id_) for f in frames for id_ in f.tick_id or []]
    assert len(set(identities)) == len(rows)
    for frame in frames:
        check_frame(frame)
    assert not file.problems


def test_all_shared_tick_files_are_read_without_a_problem(
    shared_data: Callable[[str], Path],
) -> None:
    ticks = 0
    paths = expand_paths([str(shared_data("ticks-nifty-1s-2022"))])
    for path in paths[::9]:
        events = events_of(path)
        frames = _frames(events)
        ticks += sum(len(frame.ts_ms) for frame in frames)
        assert {event.product for event in events} == {"NIFTY"}
        assert {frame.session for frame in frames} == {path.name[:10]}
        assert isinstance(events[-1], Heartbeat)
    assert len(paths) == 55
    assert ticks > 150_000
