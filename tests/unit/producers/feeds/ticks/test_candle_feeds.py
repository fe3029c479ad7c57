"""Candles from CSV and JSON: what a file says of length, order and product, and what it leaves."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optionstream.producers.feeds import FeedHints, open_feed
from optionstream.producers.feeds.ticks.candles import CandleRow, candle_events, in_order
from optionstream.schemas.checks import check_candles
from optionstream.schemas.errors import InputError
from optionstream.schemas.events import CandleFrame, Heartbeat, MarketEvent
from optionstream.schemas.times import ist_date
from tests.harness.feed_files import NO_HINTS, at, events_of, fed, packed, written

TCS = FeedHints(product="TCS")
HEADER = "date,open,high,low,close,volume\n"
DAY = "2026-01-06"


def _line(stamp: str, volume: object = 10) -> str:
    return f"{stamp},100,102.5,99,101,{volume}\n"


def _minutes(day: str, *minutes: str) -> str:
    return "".join(_line(f"{day}T{minute}:00+05:30") for minute in minutes)


def _frames(events: list[MarketEvent]) -> list[CandleFrame]:
    return [event for event in events if isinstance(event, CandleFrame)]


def _beats(events: list[MarketEvent]) -> list[int]:
    return [event.ts_event for event in events if isinstance(event, Heartbeat)]


def test_a_candle_row_becomes_a_candle(tmp_path: Path) -> None:
    path = written(tmp_path / "a.csv", HEADER + _minutes(DAY, "09:15", "09:16"))
    frame, beat = events_of(path, TCS)
    assert frame == CandleFrame(
        product="TCS",
        source="candles",
        session=DAY,
        ts_recv=at(f"{DAY} 09:17"),
        interval_ms=60_000,
        start_ms=[at(f"{DAY} 09:15"), at(f"{DAY} 09:16")],
        open=[100.0, 100.0],
        high=[102.5, 102.5],
        low=[99.0, 99.0],
        close=[101.0, 101.0],
        volume=[10, 10],
    )
    assert beat == Heartbeat("TCS", "candles", at(f"{DAY} 15:45"), at(f"{DAY} 15:45"))


_EPOCH = at(f"{DAY} 09:15") // 1000


@pytest.mark.parametrize(
    ("header", "stamps"),
    [
        ("date", (f"{DAY}T09:15:00+05:30", f"{DAY}T09:16:00+05:30")),
        ("date", (f"{DAY}T09:15:00+0530", f"{DAY}T09:16:00+0530")),
        ("datetime", (f"{DAY} 09:15:00", f"{DAY} 09:16:00")),
        ("timestamp", (f"{DAY}T03:45:00Z", f"{DAY}T03:46:00Z")),
        ("time", (f"{DAY} 03:45:00+00", f"{DAY} 03:46:00+00")),
        ("Time", (str(_EPOCH), str(_EPOCH + 60))),
        ("Timestamp", (f"{_EPOCH}000", f"{_EPOCH + 60}000")),
        ("Date,Time", ("20260106,09:15", "20260106,09:16")),
        ("date , time", (f"{DAY} , 09:15:00", f"{DAY} , 09:16:00")),
    ],
)
def test_the_start_is_read_in_every_form(
    tmp_path: Path, header: str, stamps: tuple[str, str]
) -> None:
    rows = "".join(_line(stamp) for stamp in stamps)
    text = f"{header},Open,High,Low,Close,Volume\n{rows}"
    (frame,) = _frames(events_of(written(tmp_path / "a.csv", text), TCS))
    assert frame.start_ms == [at(f"{DAY} 09:15"), at(f"{DAY} 09:16")]


@pytest.mark.parametrize("how", ["plain", "gzip", "zstd"])
def test_a_candle_file_may_be_packed_and_has_any_line_end(tmp_path: Path, how: str) -> None:
    text = (HEADER + _minutes(DAY, "09:15", "09:16")).replace("\n", "\r\n")
    (frame,) = _frames(events_of(written(tmp_path / "a", packed(text.encode(), how)), TCS))
    assert len(frame.start_ms) == 2


@pytest.mark.parametrize(
    ("minutes", "length"),
    [
        (("09:15", "09:16", "09:17"), 60_000),
        (("09:15", "09:16", "09:25", "09:26"), 60_000),
        (("09:15", "09:30", "09:45"), 900_000),
        (("09:15", "10:15", "11:15", "15:15"), 3_600_000),
        (("09:15", "09:20", "09:30"), 300_000),
    ],
)
def test_the_length_is_the_most_frequent_distance_within_a_day(
    tmp_path: Path, minutes: tuple[str, ...], length: int
) -> None:
    text = HEADER + _minutes(DAY, *minutes) + _minutes("2026-01-07", *minutes)
    frames = _frames(events_of(written(tmp_path / "a.csv", text), TCS))
    assert {frame.interval_ms for frame in frames} == {length}


def test_a_frame_never_mixes_dates_and_each_date_is_closed(tmp_path: Path) -> None:
    text = HEADER + _minutes(DAY, "15:28", "15:29") + _minutes("2026-01-07", "09:15", "09:16")
    events = events_of(written(tmp_path / "a.csv", text), TCS)
    assert [type(event) for event in events] == [CandleFrame, Heartbeat] * 2
    assert [frame.session for frame in _frames(events)] == [DAY, "2026-01-07"]
    assert _beats(events) == [at(f"{DAY} 15:45"), at("2026-01-07 15:45")]


def test_a_session_padded_into_the_evening_is_closed_at_the_end_of_its_date(
    tmp_path: Path,
) -> None:
    path = written(tmp_path / "a.csv", HEADER + _minutes("2024-01-20", "09:15", "18:15", "18:16"))
    events = events_of(path, TCS)
    assert _beats(events) == [at("2024-01-20 23:59:59") + 999]
    assert _frames(events)[0].start_ms[-1] == at("2024-01-20 18:16")


def test_one_candle_with_a_wrong_date_gets_no_heartbeat(tmp_path: Path) -> None:
    text = HEADER + _minutes(DAY, "09:15", "09:16") + _minutes("2026-05-06", "09:17")
    events = events_of(written(tmp_path / "a.csv", text), TCS)
    assert len(_frames(events)) == 2
    assert _beats(events) == [at(f"{DAY} 15:45")]


def test_frames_hold_at_most_the_number_of_candles_asked_for(tmp_path: Path) -> None:
    text = HEADER + _minutes(DAY, *(f"09:{minute}" for minute in range(15, 22)))
    frames = _frames(events_of(written(tmp_path / "a.csv", text), TCS, frame_ticks=3))
    assert [len(frame.start_ms) for frame in frames] == [3, 3, 1]
    assert frames[0].ts_recv == at(f"{DAY} 09:18")


@pytest.mark.parametrize(
    ("cells", "volume"),
    [
        (("10", "20"), [10, 20]),
        (("10.0", ""), [10, None]),
        (("", "-"), None),
        (("2,05,721", "1"), [205_721, 1]),
    ],
)
def test_volume_is_whole_or_none(
    tmp_path: Path, cells: tuple[str, str], volume: list[int | None] | None
) -> None:
    rows = [_line(f"{DAY}T09:1{n}:00", f'"{cell}"') for n, cell in enumerate(cells, 5)]
    (frame,) = _frames(events_of(written(tmp_path / "a.csv", HEADER + "".join(rows)), TCS))
    assert frame.volume == volume


def test_a_file_without_volume_has_none(tmp_path: Path) -> None:
    text = "Time,Open,High,Low,Close\n1767671100,1,2,1,2\n1767672000,2,3,2,3\n"
    (frame,) = _frames(events_of(written(tmp_path / "a.csv", text), TCS))
    assert (frame.volume, frame.interval_ms) == (None, 900_000)


def test_rows_that_cannot_be_read_are_told_with_number_and_reason(tmp_path: Path) -> None:
    bad = [
        HEADER.strip(),
        f"{DAY}T09:17:00,1,2,1",
        f"{DAY}T09:61:00,1,2,1,2,5",
        f"{DAY}T09:17:00,1,2,x,2,5",
        f"{DAY}T09:17:00,1,inf,1,2,5",
        f"{DAY}T09:17:00,1,1e999,1,2,5",
        f"{DAY}T09:17:00,1,2,1,2,5.5",
        f"{DAY}T09:17:00,,2,1,2,5",
        "1960-01-06T09:17:00,1,2,1,2,5",
        "soon,1,2,1,2,5",
        ",,,,,",
    ]
    text = HEADER + _minutes(DAY, "09:15") + "\n".join(bad) + "\n" + _minutes(DAY, "09:16")
    feed = open_feed(written(tmp_path / "a.csv", text), TCS)
    (frame,) = _frames(list(feed.events()))
    assert frame.start_ms == [at(f"{DAY} 09:15"), at(f"{DAY} 09:16")]
    assert [text.split(":")[0] for text in feed.problems] == [f"row {n}" for n in range(3, 13)]
    assert "not finite" in feed.problems[5]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (HEADER, "nothing in it can be read; no rows"),
        (HEADER + "soon,1,2,1,2,5\n", "nothing in it can be read; row 2: 'soon' is not a time"),
        (HEADER + _minutes(DAY, "09:15"), "cannot find the length of its candles"),
        (HEADER + _line(DAY) + _line("2026-01-07"), "daily candles"),
        (HEADER + _line("06-JAN-2026") + _line("07-Jan-2026"), "daily candles"),
        (HEADER + _line(f"{DAY}T09:15:00") + _line(f"{DAY}T09:15:30"), "candles of 30 s"),
        (HEADER + '"' + _minutes(DAY, "09:15"), "damaged CSV"),
    ],
)
def test_a_candle_file_that_cannot_be_used_says_why(tmp_path: Path, text: str, why: str) -> None:
    path = written(tmp_path / "a.csv", text)
    with pytest.raises(InputError, match=why) as raised:
        list(open_feed(path, TCS).events())
    assert raised.value.source == str(path)
    assert "\n" not in str(raised.value)


LABELLED = "Instrument,Date,Time,Open,High,Low,Close\n" + "".join(
    f"NIFTY,20240101,09:1{n},1,2,1,2\n" for n in (5, 6)
)


@pytest.mark.parametrize(
    ("name", "product", "taken", "problem"),
    [
        ("a.csv", None, "NIFTY", None),
        ("NIFTY_1min.csv", None, "NIFTY", None),
        ("NIFTY_1min.csv", "NIFTY", "NIFTY", None),
        (
            "BANKNIFTY_1min.csv",
            "BANKNIFTY",
            "BANKNIFTY",
            "its rows say NIFTY; read as BANKNIFTY because of --product",
        ),
        ("BANKNIFTY_1min.csv", "NIFTY", "NIFTY", None),
    ],
)
def test_the_product_is_what_the_option_says_else_the_rows(
    tmp_path: Path, name: str, product: str | None, taken: str, problem: str | None
) -> None:
    feed = open_feed(written(tmp_path / name, LABELLED), FeedHints(product=product))
    assert {event.product for event in feed.events()} == {taken}
    assert feed.problems == ([problem] if problem else [])


def test_rows_and_path_of_two_indices_ask_for_the_option(tmp_path: Path) -> None:
    path = written(tmp_path / "BANKNIFTY_1min_2024.csv", LABELLED)
    with pytest.raises(InputError, match=r"rows say NIFTY, its path says BANKNIFTY.*--product"):
        list(open_feed(path, NO_HINTS).events())


def test_an_index_is_known_by_the_exchanges_name_too(tmp_path: Path) -> None:
    path = written(tmp_path / "a.csv", LABELLED.replace("NIFTY,", "Nifty Bank,"))
    assert {event.product for event in events_of(path)} == {"BANKNIFTY"}


def test_rows_of_several_products_are_an_error(tmp_path: Path) -> None:
    text = LABELLED + "SENSEX,20240101,09:17,1,2,1,2\n"
    with pytest.raises(InputError, match="several products: NIFTY, SENSEX"):
        list(open_feed(written(tmp_path / "a.csv", text), NO_HINTS).events())


def test_a_share_in_the_name_is_no_product(tmp_path: Path) -> None:
    path = written(tmp_path / "reliance_1min.csv", HEADER + _minutes(DAY, "09:15", "09:16"))
    with pytest.raises(InputError, match="pass --product"):
        list(open_feed(path, NO_HINTS).events())


def test_an_index_in_the_name_is_the_product(tmp_path: Path) -> None:
    path = written(tmp_path / "BANKNIFTY_15min.csv", HEADER + _minutes(DAY, "09:15", "09:30"))
    assert {event.product for event in events_of(path)} == {"BANKNIFTY"}


def _served(candles: list[list[Any]]) -> dict[str, Any]:
    return {"status": "success", "data": {"candles": candles}}


def test_candles_as_a_broker_serves_them(tmp_path: Path) -> None:
    candles = [
        ["2017-12-15T09:15:00+0530", 1704.5, 1705, 1699.25, 1702.8, 2499],
        ["2017-12-15T09:16:00+0530", 1702, 1702, 1698.15, 1698.15, 1271],
    ]
    frame, beat = events_of(written(tmp_path / "a.json", _served(candles)), TCS)
    assert isinstance(frame, CandleFrame)
    assert (frame.open, frame.volume) == ([1704.5, 1702.0], [2499, 1271])
    assert frame.start_ms == [at("2017-12-15 09:15"), at("2017-12-15 09:16")]
    assert isinstance(beat, Heartbeat)


def test_the_newest_first_comes_out_oldest_first_and_open_interest_is_left(
    tmp_path: Path,
) -> None:
    days = ("2026-01-07", DAY)
    candles = [
        [f"{day}T{minute}:00+05:30", 1, 2, 1, 2, 5, 13667775]
        for day in days
        for minute in ("09:16", "09:15")
    ]
    events = events_of(written(tmp_path / "a.json", _served(candles)), TCS)
    assert [frame.session for frame in _frames(events)] == [DAY, "2026-01-07"]
    assert _frames(events)[0].start_ms == [at(f"{DAY} 09:15"), at(f"{DAY} 09:16")]


def test_candles_of_a_wrong_shape_are_told(tmp_path: Path) -> None:
    good = [[f"{DAY}T09:{minute}:00+05:30", 1, 2, 1, 2] for minute in (15, 16)]
    bad: list[list[Any]] = [
        [f"{DAY}T09:17:00+05:30", 1, 2, 1],
        ["soon", 1, 2, 1, 2],
        [f"{DAY}T09:17:00+05:30", 1, None, 1, 2],
        [f"{DAY}T09:17:00+05:30", 1, "2", 1, 2],
        [f"{DAY}T09:17:00+05:30", 1, 2, 1, 2, "7"],
        [f"{DAY}T09:17:00+05:30", 1, 2, 1, 2, 7.5],
    ]
    feed = open_feed(written(tmp_path / "a.json", _served(good + bad)), TCS)
    (frame,) = _frames(list(feed.events()))
    assert (len(frame.start_ms), frame.volume) == (2, None)
    assert [text.split(":")[0] for text in feed.problems] == [f"candle {n}" for n in range(3, 9)]


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (json.dumps(_served([])), "nothing in it can be read"),
        (json.dumps({"candles": [[1]]}), "wrong shape"),
        (json.dumps(_served([[True]])), "wrong shape"),
        (json.dumps(_served([["x"]]))[:-3], "truncated or damaged JSON"),
    ],
)
def test_a_body_without_candles_says_why(tmp_path: Path, body: str, why: str) -> None:
    with pytest.raises(InputError, match=why):
        list(open_feed(written(tmp_path / "a.json", body), TCS).events())


_instants = st.integers(at("2026-01-05 00:00") // 60_000, at("2026-01-09 00:00") // 60_000)


@given(st.lists(_instants, min_size=2, max_size=60), st.integers(1, 10))
def test_every_candle_comes_out_once_by_start_whatever_the_frame_size(
    minutes: list[int], size: int
) -> None:
    rows = [_row(minute * 60_000) for minute in minutes]
    try:
        candles = in_order(rows, fed())
    except InputError:
        return
    events = list(candle_events(candles, "NIFTY", size))
    frames = _frames(list(events))
    assert [start for frame in frames for start in frame.start_ms] == sorted(
        minute * 60_000 for minute in minutes
    )
    for frame in frames:
        check_candles(frame)
        assert len(frame.start_ms) <= size
        assert {ist_date(start) for start in frame.start_ms} == {frame.session}


def _row(start_ms: int) -> CandleRow:
    return CandleRow(ist_date(start_ms), start_ms, 1.0, 2.0, 1.0, 2.0, None)


def _rows_of(path: Path, product: str) -> Iterator[CandleFrame]:
    feed = open_feed(path, FeedHints(product=product))
    yield from _frames(list(feed.events()))
    assert feed.problems == []


@pytest.mark.parametrize(
    ("name", "product", "rows", "days", "length"),
    [
        ("candles-multi-tf/reliance_1min_60days.csv", "RELIANCE", 15_372, 41, 60_000),
        ("candles-multi-tf/reliance_15min_200days.csv", "RELIANCE", 3_404, 137, 900_000),
        ("candles-multi-tf/tcs_15min_200days.csv", "TCS", 3_404, 137, 900_000),
        ("ohlc-1min-index/NIFTY_1min_2024.csv.gz", "NIFTY", 58_127, 156, 60_000),
        ("ohlc-1min-index/BANKNIFTY_15min_2018_2023_epoch.csv.gz", "X", 34_300, 1372, 900_000),
        ("kite-packets/historical_minute.json", "X", 6, 1, 60_000),
        ("kite-packets/historical_oi.json", "X", 6, 1, 60_000),
    ],
)  # fmt: skip
def test_shared_candle_files_are_read_completely(
    shared_data: Callable[[str], Path], name: str, product: str, rows: int, days: int, length: int
) -> None:
    frames = list(_rows_of(shared_data(name), product))
    assert sum(len(frame.start_ms) for frame in frames) == rows
    assert len({frame.session for frame in frames}) == days
    assert {frame.interval_ms for frame in frames} == {length}


def test_the_shared_daily_file_says_why_it_is_not_taken(
    shared_data: Callable[[str], Path],
) -> None:
    with pytest.raises(InputError, match="daily candles"):
        list(open_feed(shared_data("candles-multi-tf/reliance_daily_2000days.csv"), TCS).events())


def test_the_shared_mislabelled_file_needs_the_option(shared_data: Callable[[str], Path]) -> None:
    path = shared_data("ohlc-1min-index/BANKNIFTY_1min_2024.csv.gz")
    with pytest.raises(InputError, match="rows say NIFTY, its path says BANKNIFTY"):
        list(open_feed(path, NO_HINTS).events())
    feed = open_feed(path, FeedHints(product="BANKNIFTY"))
    frames = _frames(list(feed.events()))
    assert sum(len(frame.start_ms) for frame in frames) == 58_127
    assert feed.problems == ["its rows say NIFTY; read as BANKNIFTY because of --product"]


def test_the_shared_padded_saturday_is_passed_on_whole(shared_data: Callable[[str], Path]) -> None:
    feed = open_feed(shared_data("ohlc-1min-index/NIFTY_1min_2024.csv.gz"), NO_HINTS)
    starts = [
        start
        for frame in _frames(list(feed.events()))
        if frame.session == "2024-01-20"
        for start in frame.start_ms
    ]
    assert (len(starts), starts[-1]) == (542, at("2024-01-20 18:16"))
