"""Tick CSVs with a header: two brokers, two time zones, two kinds of volume."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optionstream.producers.feeds import FeedHints, open_feed
from optionstream.producers.feeds.ticks.tick_table import tick_table_events
from optionstream.schemas.checks import check_frame
from optionstream.schemas.errors import InputError
from optionstream.schemas.events import Heartbeat, TickFrame
from optionstream.schemas.identity import tick_id
from tests.harness.feed_files import NO_HINTS, at, events_of, fed, written

DELTAS = "time,trading_symbol,last_price,volume_delta,aggressor_side,oi\n"
FUTURE = "NIFTY25DECFUT"
PACKETS = (
    "timestamp,type,security_id,LTP,LTQ,volume,OI,open,high,low,close,bid_price_1,ask_price_1\n"
)
DAY = "2025-12-29"
NAMED = FeedHints(product=FUTURE)


def _frames(path: Path, hints: FeedHints = NO_HINTS, frame_ticks: int = 1000) -> list[TickFrame]:
    events = events_of(path, hints, frame_ticks)
    return [event for event in events if isinstance(event, TickFrame)]


def _deltas(*rows: tuple[int, str, float, object]) -> str:
    return DELTAS + "".join(
        f"{DAY} 04:06:{second:02d}+00,{symbol},{price:.2f},{delta},BUY,10337325\n"
        for second, symbol, price, delta in rows
    )


def _packet(time: str, price: object, volume: object, kind: str = "full", id_: int = 49543) -> str:
    return f"{DAY} {time},{kind},{id_},{price},75,{volume},10926075,1,2,1,2,1,2\n"


def test_deltas_add_up_to_the_volume_of_the_day(tmp_path: Path) -> None:
    text = _deltas((44, "", 26097.8, 415425), (45, "", 26097.8, 375), (46, FUTURE, 26093.4, 0))
    frame, beat = events_of(written(tmp_path / "ticks.csv", text))
    stamps = [at(f"{DAY} 09:36:{second}") for second in (44, 45, 46)]
    prices, volumes = [26097.8, 26097.8, 26093.4], [415425, 415800, 415800]
    assert frame == TickFrame(
        product=FUTURE,
        source="ticks-csv",
        session=DAY,
        ts_recv=stamps[-1],
        ts_ms=stamps,
        price=prices,
        seq=[1, 2, 3],
        volume=list(volumes),
        tick_id=[tick_id(*tick, 0) for tick in zip(stamps, prices, volumes, strict=True)],
    )
    assert beat == Heartbeat(FUTURE, "ticks-csv", at(f"{DAY} 15:45"), at(f"{DAY} 15:45"))


def test_a_told_volume_is_the_days_and_naive_times_are_indian(tmp_path: Path) -> None:
    text = PACKETS + _packet("12:47:02", 25974.900390625, 4_100_025)
    text += _packet("12:47:03.250000", 25975.0, 4_100_100)
    (frame,) = _frames(written(tmp_path / "dhan.csv", text), NAMED)
    assert frame.ts_ms == [at(f"{DAY} 12:47:02"), at(f"{DAY} 12:47:03") + 250]
    assert frame.price == [25974.9, 25975.0]
    assert frame.volume == [4_100_025, 4_100_100]


def test_packets_without_a_price_are_told_in_one_line(tmp_path: Path) -> None:
    text = PACKETS + _packet("12:47:02", 25974.9, 100) + f"{DAY} 12:47:03,oi,49543,,,,,,,,,,\n"
    text += _packet("12:47:04", "-", "", "oi") + _packet("12:47:05", 25975, 110)
    feed = open_feed(written(tmp_path / "dhan.csv", text), NAMED)
    frame = next(iter(feed.events()))
    assert isinstance(frame, TickFrame)
    assert frame.volume == [100, 110]
    list(feed.events())
    assert feed.problems == ["rows without a last price: 2, the first is 3"]


def test_the_product_is_never_taken_from_the_path(tmp_path: Path) -> None:
    path = written(tmp_path / "nifty_futures.csv", PACKETS + _packet("12:47:02", 1, 2))
    with pytest.raises(InputError, match="pass --product"):
        list(open_feed(path, NO_HINTS).events())


def test_a_product_that_differs_from_the_rows_is_told(tmp_path: Path) -> None:
    path = written(tmp_path / "a.csv", _deltas((1, FUTURE, 1, 1), (2, FUTURE, 1, 1)))
    feed = open_feed(path, FeedHints(product="NIFTYFUT"))
    assert {event.product for event in feed.events()} == {"NIFTYFUT"}
    assert feed.problems == [f"its rows say {FUTURE}; read as NIFTYFUT because of --product"]


@pytest.mark.parametrize(
    "text",
    [
        PACKETS + _packet("12:47:02", 1, 2, id_=1) + _packet("12:47:02", 1, 2, id_=2),
        _deltas((1, "NIFTY25DECFUT", 1, 1), (2, "NIFTY26JANFUT", 1, 1)),
    ],
)
def test_rows_about_several_instruments_are_an_error(tmp_path: Path, text: str) -> None:
    with pytest.raises(InputError, match=r"rows (of 2 instruments|of several products)"):
        list(open_feed(written(tmp_path / "a.csv", text), NO_HINTS).events())


def test_rows_that_cannot_be_read_are_told_and_end_the_sum_of_deltas(tmp_path: Path) -> None:
    text = _deltas((1, FUTURE, 5, 100), (2, FUTURE, 5, "many"), (3, FUTURE, 5, 7))
    feed = open_feed(written(tmp_path / "a.csv", text + "soon,,5,1,BUY,1\n1,2\n"), NO_HINTS)
    frame = next(iter(feed.events()))
    assert isinstance(frame, TickFrame)
    assert frame.volume == [100, None]
    assert [text.split(":")[0] for text in feed.problems] == ["row 3", "row 5", "row 6"]


def test_a_day_with_less_than_no_volume_is_no_volume(tmp_path: Path) -> None:
    text = _deltas((1, FUTURE, 5, 100), (2, FUTURE, 5, -101), (3, FUTURE, 5, 7))
    feed = open_feed(written(tmp_path / "a.csv", text), NO_HINTS)
    frame = next(iter(feed.events()))
    assert isinstance(frame, TickFrame)
    assert frame.volume == [100, None]
    assert feed.problems == ["row 3: a day's volume of -1"]


def test_a_feed_without_a_volume_has_none(tmp_path: Path) -> None:
    text = f"date,time,ltp\n{DAY},09:15:00,5\n{DAY},09:15:01,6\n"
    (frame,) = _frames(written(tmp_path / "a.csv", text), NAMED)
    assert (frame.volume, frame.price) == (None, [5.0, 6.0])


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (DELTAS, "no rows"),
        (DELTAS + "09:15:00,,5,1,BUY,1\n", "row 2: '09:15:00' is not a time"),
        ("timestamp,best_bid,best_ask,spread\n2025-12-29 13:40:00,1,2,1\n", "order book"),
        ("time,,bid_qty,ask_qty,%\n14:10:10,,1,2,5%\n", "order book"),
    ],
)
def test_a_table_without_ticks_says_why(tmp_path: Path, text: str, why: str) -> None:
    path = written(tmp_path / "a.csv", text)
    with pytest.raises(InputError, match=why) as raised:
        list(open_feed(path, NAMED).events())
    assert "\n" not in str(raised.value)


@given(st.lists(st.integers(0, 500), min_size=1, max_size=40))
def test_the_last_volume_is_the_sum_of_all_deltas(deltas: list[int]) -> None:
    rows = [(n, FUTURE, 5.0, delta) for n, delta in enumerate(deltas)]
    file = fed(_deltas(*rows).encode(), FeedHints(product=FUTURE))
    (frame,) = [event for event in tick_table_events(file) if isinstance(event, TickFrame)]
    assert frame.volume == [sum(deltas[: n + 1]) for n in range(len(rows))]
    assert len(set(frame.tick_id or ())) == len(rows)
    assert not file.problems


def test_the_shared_futures_ticks_are_read_completely(shared_data: Callable[[str], Path]) -> None:
    folder = "ticks-depth-niftyfut-2025-12-29"
    path = shared_data(f"{folder}/nifty_futures11_today_all_ticks.csv")
    frames = _frames(path)
    assert sum(len(frame.ts_ms) for frame in frames) == 5_837
    assert {(frame.product, frame.session) for frame in frames} == {(FUTURE, DAY)}
    first, last = frames[0], frames[-1]
    assert first.volume is not None
    assert last.volume is not None
    assert first.volume[:2] == [415_425, 415_800]
    assert (first.ts_ms[0], last.ts_ms[-1]) == (at(f"{DAY} 09:36:44"), at(f"{DAY} 11:39:46"))
    for frame in frames:
        check_frame(frame)


def test_the_shared_depth_summary_says_why_it_is_not_taken(
    shared_data: Callable[[str], Path],
) -> None:
    path = shared_data("ticks-depth-niftyfut-2025-12-29/dhan_200depth_nifty_futures.csv")
    with pytest.raises(InputError, match="order book: no trade"):
        list(open_feed(path, NAMED).events())
