"""Captured websocket messages and tables of trades: ticks with numbers of their own."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from datetime import datetime
from itertools import groupby, islice
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from optionstream.producers.feeds import FeedHints, open_feed
from optionstream.producers.feeds.files import parquet_table
from optionstream.producers.feeds.files.content import Source
from optionstream.producers.feeds.files.parquet_table import parquet_file
from optionstream.producers.feeds.format import FeedInput
from optionstream.producers.feeds.ticks.trade_table import holds_trades, trade_events
from optionstream.schemas.checks import check_frame
from optionstream.schemas.errors import InputError
from optionstream.schemas.events import TickFrame
from optionstream.schemas.times import DAY_MS, ist_date
from tests.harness.feed_files import NO_HINTS, at, written

START_MS = at("2026-01-06 10:00")
ADDRESS = "wss://stream.binance.com:9443/stream?streams=btcusdt@aggTrade <-> 1767673800.159679"


def _trade(number: int, symbol: str = "BTCUSDT", kind: str = "aggTrade", **changes: Any) -> Any:
    id_ = "a" if kind == "aggTrade" else "t"
    told = {"e": kind, "E": START_MS, "s": symbol, id_: number, "p": "91000.10", "q": "0.002",
            "T": START_MS + number, "m": True}  # fmt: skip
    return {**told, **changes}


def _received(message: Any, after_ms: int = 0) -> str:
    return f"{(START_MS + after_ms) / 1000}: {json.dumps(message)}"


def _streamed(message: Any, stream: str = "btcusdt@aggTrade") -> Any:
    return {"stream": stream, "data": message}


def _read(path: Path, frame_ticks: int = 1000) -> tuple[list[TickFrame], list[str]]:
    feed = open_feed(path, NO_HINTS, frame_ticks)
    events = list(feed.events())
    assert feed.format == "websocket-capture"
    frames = [event for event in events if isinstance(event, TickFrame)]
    assert len(frames) == len(events)
    for frame in frames:
        check_frame(frame)
    return frames, feed.problems


@pytest.mark.parametrize("combined", [True, False])
def test_trades_become_ticks_with_their_numbers_and_receipt(tmp_path: Path, combined: bool) -> None:
    trades = [_trade(7), _trade(8, p="91000.2"), _trade(11)]
    messages = [_streamed(trade) if combined else trade for trade in trades]
    lines = [ADDRESS, *(_received(one, 20 * n) for n, one in enumerate(messages)), ""]
    (frame,), problems = _read(written(tmp_path / "a.ws", "\n".join(lines)))
    assert problems == []
    assert frame == TickFrame(
        product="BTCUSDT",
        source="stream.binance.com/aggTrade",
        session="2026-01-06",
        ts_recv=START_MS + 40,
        ts_ms=[START_MS + 7, START_MS + 8, START_MS + 11],
        price=[91000.1, 91000.2, 91000.1],
        seq=[7, 8, 11],
    )


def test_each_kind_of_trade_at_each_host_has_its_own_numbers(tmp_path: Path) -> None:
    lines = [
        ADDRESS,
        _received(_trade(1), 1),
        _received(_trade(1, kind="trade"), 2),
        ADDRESS.replace("stream.", "fstream."),
        _received(_trade(1), 3),
        _received(_trade(1, symbol="ETHUSDT"), 4),
    ]
    frames, _ = _read(written(tmp_path / "a", "\r\n".join(lines)))
    assert [(frame.product, frame.source) for frame in frames] == [
        ("BTCUSDT", "stream.binance.com/aggTrade"),
        ("BTCUSDT", "stream.binance.com/trade"),
        ("BTCUSDT", "fstream.binance.com/aggTrade"),
        ("ETHUSDT", "fstream.binance.com/aggTrade"),
    ]


def test_frames_come_in_the_order_of_their_receipt(tmp_path: Path) -> None:
    lines = [_received(_trade(n, symbol="AB"[n % 2] + "USDT"), 10 * n) for n in range(1, 9)]
    frames, _ = _read(written(tmp_path / "a", "\n".join(lines)), frame_ticks=2)
    assert [frame.product[0] for frame in frames] == ["B", "A", "B", "A"]
    received = [frame.ts_recv for frame in frames]
    assert received == sorted(received)
    assert {frame.source for frame in frames} == {"websocket/aggTrade"}


def test_messages_that_are_no_trades_are_told_in_one_line_a_kind(tmp_path: Path) -> None:
    book = {"e": "depthUpdate", "E": 1, "s": "BTCUSDT", "b": [], "a": []}
    best = {"u": 5, "s": "BTCUSDT", "b": "1", "B": "2", "a": "3", "A": "4"}
    option = {"jsonrpc": "2.0", "method": "subscription",
              "params": {"channel": "ticker.BTC-27MAR26-90000-C.raw", "data": {}}}  # fmt: skip
    messages = [
        _trade(1),
        *[_streamed(book, "btcusdt@depth@100ms")] * 3,
        *[_streamed(best, "btcusdt@bookTicker")] * 2,
        option,
        {"jsonrpc": "2.0", "id": 1, "result": []},
        [1, 2],
    ]
    path = written(tmp_path / "a", "\n".join(map(_received, messages)))
    frames, problems = _read(path)
    assert [frame.seq for frame in frames] == [[1]]
    assert problems == [
        "bookTicker: 2 messages that are no trades",
        "depthUpdate: 3 messages that are no trades",
        "other: 2 messages that are no trades",
        "ticker (a subscription): 1 messages that are no trades",
    ]


def test_a_capture_without_trades_says_what_is_in_it(tmp_path: Path) -> None:
    option = {"method": "subscription", "params": {"channel": "book.BTC-PERPETUAL.raw"}}
    path = written(tmp_path / "a", f"{ADDRESS}\n{_received(option)}\n")
    with pytest.raises(InputError, match=r"no trade in it; book \(a subscription\): 1 messages"):
        list(open_feed(path, NO_HINTS).events())
    with pytest.raises(InputError, match="no trade in it; no lines"):
        list(open_feed(written(tmp_path / "b", ADDRESS), NO_HINTS).events())


def test_lines_that_cannot_be_read_are_told_with_their_number(tmp_path: Path) -> None:
    lines = [
        _received(_trade(1)),
        "soon: {}",
        _received(_trade(2))[:-9],
        _received(_trade(2, p="dear")),
        _received(_trade(2, p="1e999")),
        _received(_trade(2, s="btc/usdt")),
        _received(_trade(2, T="now")),
        _received(_trade(2, T=-1)),
        _received(_trade(2, a=None)),
        _received(_trade(2, a=2**60)),
        _received(_trade(2)),
        "",
    ]
    (frame,), problems = _read(written(tmp_path / "a", "\n".join(lines)))
    assert frame.seq == [1, 2]
    assert [text.split(":")[0] for text in problems] == [f"line {n}" for n in range(2, 11)]


def test_receipt_may_lie_before_the_trade_where_clocks_differ(tmp_path: Path) -> None:
    (frame,), _ = _read(written(tmp_path / "a", _received(_trade(9), after_ms=4)))
    assert (frame.ts_recv, frame.ts_ms) == (START_MS + 4, [START_MS + 9])


@pytest.mark.parametrize(
    ("name", "trades", "others"),
    [
        ("cryptofeed_BINANCE.ws.1.0.gz", 2, 263),
        ("cryptofeed_BINANCE_FUTURES.ws.1.0.gz", 91, 1_444),
    ],
)
def test_shared_captures_are_read_completely(
    shared_data: Callable[[str], Path], name: str, trades: int, others: int
) -> None:
    frames, problems = _read(shared_data(f"crypto-ws/{name}"))
    assert sum(len(frame.seq) for frame in frames) == trades
    assert sum(int(text.split(": ")[1].split()[0]) for text in problems) == others
    for frame in frames:
        assert frame.seq == sorted(set(frame.seq))


def _parquet(path: Path, **columns: Any) -> bytes:
    pl.DataFrame(columns).write_parquet(path)
    return path.read_bytes()


TIMES = [datetime(2026, 1, 6, 4, 30, n, 278_900) for n in range(3)]


def _trades(body: bytes, frame_ticks: int, problems: list[str]) -> Iterator[TickFrame]:
    """Of a table that lies nowhere, as a member of an archive does."""
    source = Source(Path("a"), lambda: io.BytesIO(body))
    with parquet_file(source) as table:
        yield from trade_events(
            FeedInput(source, FeedHints(product="BTCUSDT"), frame_ticks, problems), table
        )


@given(st.lists(st.integers(0, 3), max_size=12), st.integers(1, 5), st.integers(1, 5))
def test_frames_do_not_tell_where_a_table_was_cut(
    days: list[int], frame_ticks: int, slice_rows: int
) -> None:
    """Day 3 stands for a row without a time."""
    stamps = [None if day == 3 else START_MS + day * DAY_MS + at for at, day in enumerate(days)]
    columns = {"timestamp": stamps, "trade_id": range(len(days)), "price": [1.5] * len(days)}
    types = {"timestamp": pl.Datetime("ms"), "trade_id": pl.Int64, "price": pl.Float64}
    out = io.BytesIO()
    pl.DataFrame(columns, schema=types).write_parquet(out)
    body = out.getvalue()
    told: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parquet_table, "SLICE_ROWS", slice_rows)
        if all(day == 3 for day in days):
            with pytest.raises(InputError):
                list(_trades(body, frame_ticks, told))
            frames = []
        else:
            frames = list(_trades(body, frame_ticks, told))
    rows = [(at, ts) for at, ts in enumerate(stamps) if ts is not None]
    expected = [
        list(islice(run, at, at + frame_ticks))
        for run in (list(run) for _, run in groupby(rows, key=lambda row: ist_date(row[1])))
        for at in range(0, len(run), frame_ticks)
    ]
    assert [list(zip(one.seq, one.ts_ms, strict=True)) for one in frames] == expected
    assert told == [f"row {at}: no time" for at, day in enumerate(days, 1) if day == 3]


def test_a_table_of_trades_becomes_ticks(tmp_path: Path) -> None:
    body = _parquet(
        tmp_path / "a", timestamp=TIMES, trade_id=[5, 6, 8], price=[1.5, 2.0, 2.5],
        quantity=[0.1] * 3,
    )  # fmt: skip
    first, second = _trades(body, 2, [])
    assert first == TickFrame(
        product="BTCUSDT",
        source="trades",
        session="2026-01-06",
        ts_recv=START_MS + 1278,
        ts_ms=[START_MS + 278, START_MS + 1278],
        price=[1.5, 2.0],
        seq=[5, 6],
    )
    assert second.seq == [8]


def test_rows_that_are_no_trades_are_told(tmp_path: Path) -> None:
    body = _parquet(
        tmp_path / "a", timestamp=[*TIMES, None], trade_id=[5, None, 2**60, 7],
        price=[float("nan"), 1.0, 1.0, 1.0],
    )  # fmt: skip
    problems: list[str] = []
    with pytest.raises(InputError, match="nothing in it can be read; row 1: trade 5"):
        list(_trades(body, 2, problems))
    assert [text.split(":")[0] for text in problems] == [f"row {n}" for n in range(1, 5)]


@pytest.mark.parametrize(
    "columns",
    [
        {"timestamp": [1, 2], "trade_id": [1, 2], "price": [1.0, 2.0]},
        {"timestamp": TIMES[:2], "trade_id": ["a", "b"], "price": [1.0, 2.0]},
    ],
)
def test_a_table_of_other_types_says_why(tmp_path: Path, columns: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=r"Parquet (that holds no|with a wrong)") as raised:
        list(_trades(_parquet(tmp_path / "a", **columns), 2, []))
    assert "\n" not in str(raised.value)


def test_a_damaged_table_is_an_input_error(tmp_path: Path) -> None:
    body = _parquet(tmp_path / "a", timestamp=TIMES, trade_id=[5, 6, 8], price=[1.5, 2.0, 2.5])
    for damaged in (body[:-1], body[:100], body[:4] + bytes(len(body) - 4)):
        with pytest.raises(InputError, match="damaged Parquet"):
            list(_trades(damaged, 2, []))


def test_trades_are_told_by_their_columns() -> None:
    assert holds_trades(["timestamp", "trade_id", "price", "quantity"])
    assert not holds_trades(["timestamp", "strike", "price"])


def test_the_shared_table_of_trades_is_read_completely(
    shared_data: Callable[[str], Path],
) -> None:
    body = shared_data("crypto-ws/nautilus_btcusdt-trades.parquet").read_bytes()
    frames = list(_trades(body, 1000, []))
    seq = [number for frame in frames for number in frame.seq]
    assert seq == list(range(553287559, 553289560))
    assert frames[0].ts_ms[0] == at("2021-01-08 05:30") + 278
