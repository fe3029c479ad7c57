"""Kite's binary packets and JSON: every field, every mode, and what a token stands for."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from struct import pack
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from optionstream.producers.feeds import FeedHints, open_feed
from optionstream.producers.feeds.kite.events import kite_events
from optionstream.producers.feeds.kite.instruments import Instrument, Option, read_instruments
from optionstream.producers.feeds.kite.packet import (
    PACKET_BYTES,
    looks_like_base64,
    looks_like_packets,
    parse_base64,
    parse_packet,
    parse_packets,
    split_messages,
)
from optionstream.producers.feeds.kite.ticks import Depth, DepthLevel, KiteTick, Ohlc
from optionstream.schemas.checks import check_quotes
from optionstream.schemas.errors import InputError
from optionstream.schemas.events import OptionQuoteFrame, TickFrame
from tests.harness.feed_files import NO_HINTS, at, events_of, fed, written

INFY = FeedHints(product="INFY")
TOKEN = 408065
NIFTY_50 = 256265
SENT = datetime(2026, 1, 6, 4, 30, tzinfo=UTC)
SENT_MS = at("2026-01-06 10:00")

LEVELS = [DepthLevel(price=100 + n / 20, quantity=75 * n, orders=n) for n in range(1, 11)]
FULL = KiteTick(
    mode="full",
    tradable=True,
    instrument_token=TOKEN,
    last_price=1573.7,
    last_quantity=7,
    average_price=1570.37,
    volume=1_192_471,
    buy_quantity=256_443,
    sell_quantity=363_009,
    ohlc=Ohlc(open=1569.15, high=1575.0, low=1561.05, close=1567.8),
    change=1573.7 - 1567.8,
    last_trade_time=SENT,
    oi=5,
    oi_day_high=9,
    oi_day_low=1,
    timestamp=SENT,
    depth=Depth(buy=LEVELS[:5], sell=LEVELS[5:]),
)
QUOTE = replace(
    FULL, mode="quote", last_trade_time=None, oi=None, oi_day_high=None, oi_day_low=None,
    timestamp=None, depth=None,
)  # fmt: skip
LTP = KiteTick(mode="ltp", tradable=True, instrument_token=TOKEN, last_price=1573.7)
INDEX = KiteTick(
    mode="full",
    tradable=False,
    instrument_token=NIFTY_50,
    last_price=26000.05,
    ohlc=Ohlc(open=26010.0, high=26050.0, low=25900.5, close=25990.0),
    change=26000.05 - 25990.0,
    timestamp=SENT,
)
INDEX_QUOTE = replace(INDEX, mode="quote", timestamp=None)


def _packet(tick: KiteTick, divisor: int = 100) -> bytes:
    """The packet that a tick came from, written by the broker's description."""

    def price(rupees: float) -> int:
        return round(rupees * divisor)

    body = pack(">Ii", tick.instrument_token, price(tick.last_price))
    if tick.ohlc is None:
        return body
    day = {name: price(getattr(tick.ohlc, name)) for name in ("open", "high", "low", "close")}
    stamp = int(tick.timestamp.timestamp()) if tick.timestamp else 0
    if tick.volume is None:
        body += pack(">4i", day["high"], day["low"], day["open"], day["close"])
        body += pack(">i", price(tick.last_price) - day["close"])
        return body + (pack(">I", stamp) if tick.mode == "full" else b"")
    assert tick.average_price is not None
    body += pack(
        ">IiIII", tick.last_quantity, price(tick.average_price), tick.volume,
        tick.buy_quantity, tick.sell_quantity,
    )  # fmt: skip
    body += pack(">4i", day["open"], day["high"], day["low"], day["close"])
    if tick.depth is None:
        return body
    body += pack(">IIIII", stamp, *map(int, (tick.oi or 0, tick.oi_day_high or 0)),
                 int(tick.oi_day_low or 0), stamp)  # fmt: skip
    for level in (*tick.depth.buy, *tick.depth.sell):
        body += pack(">iiHxx", level.quantity, price(level.price), level.orders)
    return body


def _message(*packets: bytes) -> bytes:
    return pack(">H", len(packets)) + b"".join(pack(">H", len(one)) + one for one in packets)


MODES = pytest.mark.parametrize(
    ("tick", "size"), [(LTP, 8), (INDEX_QUOTE, 28), (INDEX, 32), (QUOTE, 44), (FULL, 184)]
)


@MODES
def test_every_field_of_every_mode_is_read(tick: KiteTick, size: int) -> None:
    packet = _packet(tick)
    assert len(packet) == size
    assert parse_packet(packet) == tick


@MODES
def test_a_packet_is_read_bare_in_a_message_and_as_base64(tick: KiteTick, size: int) -> None:
    packet = _packet(tick)
    for body in (packet, _message(packet)):
        assert parse_packets(body) == [tick]
        assert parse_base64(base64.b64encode(body) + b"\n") == [tick]
        assert looks_like_base64(base64.b64encode(body) + b"\n")
    assert looks_like_packets(_message(packet))


def test_messages_follow_each_other() -> None:
    body = _message(_packet(FULL), _packet(LTP)) + _message(_packet(INDEX))
    assert parse_packets(body) == [FULL, LTP, INDEX]
    lines = b"\n".join(map(base64.b64encode, (_message(_packet(FULL)), _packet(LTP))))
    assert parse_base64(lines) == [FULL, LTP]


def test_three_prices_in_a_message_are_not_taken_for_an_index() -> None:
    body = _message(*[_packet(LTP)] * 3)
    assert len(body) == 32
    assert parse_packets(body) == [LTP] * 3


@pytest.mark.parametrize(
    ("segment", "divisor"), [(1, 100), (2, 100), (3, 10_000_000), (6, 10_000), (7, 100)]
)
def test_the_segment_says_how_prices_are_divided(segment: int, divisor: int) -> None:
    tick = replace(LTP, instrument_token=(1000 << 8) | segment, last_price=83.0125)
    expected = round(83.0125 * divisor) / divisor
    assert parse_packet(_packet(tick, divisor)) == replace(tick, last_price=expected)


def test_no_time_is_none_and_not_1970() -> None:
    packet = bytearray(_packet(FULL))
    packet[44:48] = packet[60:64] = bytes(4)
    tick = parse_packet(bytes(packet))
    assert (tick.last_trade_time, tick.timestamp, tick.ts_ms) == (None, None, None)


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (_message(_packet(FULL))[:-1], "a packet of 184 bytes of which 183 are there"),
        (b"\x00\x01\x00\x07" + bytes(7), "a packet of 7 bytes"),
        (b"\x00\x00", "a message without packets"),
        (_message(_packet(LTP)) + b"\x00", "ends within a length"),
    ],
)
def test_lengths_that_do_not_add_up_are_an_error(body: bytes, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        parse_packets(body)


def test_a_cut_message_in_a_file_is_an_input_error(tmp_path: Path) -> None:
    path = written(tmp_path / "a.packet", _message(_packet(FULL), _packet(FULL))[:-3])
    with pytest.raises(InputError, match="damaged Kite packets: a packet of 184 bytes"):
        list(open_feed(path, INFY).events())


_packets = st.sampled_from(sorted(PACKET_BYTES)).flatmap(
    lambda size: st.binary(min_size=size, max_size=size)
)


@given(st.lists(st.lists(_packets, min_size=1, max_size=4), max_size=4), st.integers(1, 300))
def test_messages_are_split_into_their_packets_and_a_cut_is_never_overlooked(
    messages: list[list[bytes]], cut: int
) -> None:
    body = b"".join(_message(*packets) for packets in messages)
    assert split_messages(body) == [packet for packets in messages for packet in packets]
    ends = {len(b"".join(_message(*one) for one in messages[:n])) for n in range(len(messages))}
    if cut <= len(body) and len(body) - cut not in ends:
        with pytest.raises(ValueError, match=r"packet|ends within"):
            split_messages(body[:-cut])


@given(st.binary(max_size=200), st.binary(max_size=5))
def test_telling_packets_never_raises(body: bytes, tail: bytes) -> None:
    looks_like_packets(body)
    looks_like_base64(body)
    looks_like_base64(base64.b64encode(body) + tail)


@pytest.mark.parametrize("write", [bytes, base64.b64encode])
def test_a_file_of_packets_becomes_ticks(tmp_path: Path, write: Callable[[bytes], bytes]) -> None:
    path = written(tmp_path / "a", write(_message(_packet(FULL), _packet(INDEX))))
    share, index = events_of(path, INFY)
    assert isinstance(share, TickFrame)
    assert isinstance(index, TickFrame)
    assert (share.product, share.price, share.volume) == ("INFY", [1573.7], [1_192_471])
    assert (share.source, share.session, share.ts_ms) == ("kite", "2026-01-06", [SENT_MS])
    assert (index.product, index.price, index.volume) == ("NIFTY", [26000.05], None)


def test_no_heartbeat_follows_a_snapshot(tmp_path: Path) -> None:
    events = events_of(written(tmp_path / "a", _message(_packet(INDEX))))
    assert [type(event) for event in events] == [TickFrame]


def test_a_tick_without_a_time_takes_the_hint(tmp_path: Path) -> None:
    path = written(tmp_path / "a", _message(_packet(LTP)))
    with pytest.raises(InputError, match="no time for token"):
        list(open_feed(path, INFY).events())
    (frame,) = events_of(path, FeedHints(product="INFY", timestamp_ms=SENT_MS))
    assert isinstance(frame, TickFrame)
    assert frame.ts_ms == [SENT_MS]


def test_ticks_without_a_time_or_a_product_are_told_and_the_others_are_read(
    tmp_path: Path,
) -> None:
    strangers = [replace(FULL, instrument_token=token) for token in (257, 513)]
    body = _message(*map(_packet, (INDEX, LTP, *strangers)))
    feed = open_feed(written(tmp_path / "a", body), INFY)
    assert {event.product for event in feed.events()} == {"NIFTY"}
    assert [text.split(";")[0] for text in feed.problems] == [
        f"tick 2: no time for token {TOKEN}",
        "tick 3: no known product for token 257",
        "tick 4: no known product for token 513",
    ]


def _json(tick: KiteTick) -> Any:
    """A tick as JSON has it: without what it does not tell."""
    return {
        key: value
        for key, value in json.loads(msgspec.json.encode(tick)).items()
        if value is not None
    }


@pytest.mark.parametrize("many", [False, True])
def test_the_tickers_json_says_the_same_as_its_packet(tmp_path: Path, many: bool) -> None:
    told = [_json(FULL), _json(INDEX)] if many else _json(FULL)
    ticks = (FULL, INDEX) if many else (FULL,)
    from_json = events_of(written(tmp_path / "a.json", told), INFY)
    from_packet = events_of(written(tmp_path / "a", _message(*map(_packet, ticks))), INFY)
    assert from_json == from_packet


def test_rest_quotes_name_their_product(tmp_path: Path) -> None:
    quotes = {
        "NSE:INFY": {
            **_json(FULL),
            "timestamp": "2026-01-06 10:00:00",
            "last_trade_time": "1970-01-01 05:30:00",
        },
        "NSE:NIFTY BANK": {**_json(INDEX), "instrument_token": 260105},
        "NSE:M&M": {**_json(FULL), "instrument_token": 519937},
    }
    events = events_of(written(tmp_path / "a.json", {"status": "success", "data": quotes}))
    assert [event.product for event in events] == ["INFY", "BANKNIFTY", "M&M"]
    assert {event.ts_recv for event in events} == {SENT_MS}


def test_rest_prices_without_a_time_need_one(tmp_path: Path) -> None:
    body = {"data": {"NSE:INFY": {"instrument_token": TOKEN, "last_price": 1074.35}}}
    path = written(tmp_path / "a.json", body)
    with pytest.raises(InputError, match="pass --timestamp"):
        list(open_feed(path, NO_HINTS).events())
    (frame,) = events_of(path, FeedHints(timestamp_ms=SENT_MS))
    assert isinstance(frame, TickFrame)
    assert (frame.product, frame.price) == ("INFY", [1074.35])


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ('{"instrument_token": 5}', "Kite JSON of a wrong shape.*last_price"),
        ('{"data": {"NSE:X": {"instrument_token": "NSE_EQ|1", "last_price": 2}}}', "wrong shape"),
        ('{"data": {"NSE:X": {"instrument_token": 1, "last_price": 2', "truncated or damaged"),
        ('[{"instrument_token": 5, "last_price": 1, "volume": -1}]', "wrong shape"),
    ],
)
def test_kite_json_that_cannot_be_used_says_why(tmp_path: Path, body: str, why: str) -> None:
    with pytest.raises(InputError, match=why):
        list(open_feed(written(tmp_path / "a.json", body), INFY).events())


LISTED = (
    "instrument_token,exchange_token,tradingsymbol,name,last_price,expiry,strike,tick_size,"
    "lot_size,instrument_type,segment,exchange\n"
)


def _listed(*rows: str) -> dict[int, Instrument]:
    problems: list[str] = []
    instruments = read_instruments((LISTED + "\n".join(rows)).encode(), "list.csv", problems)
    assert not problems
    return instruments


CALL_ROW = "1001,4,BANKNIFTY18JAN23500CE,,2528.4,2018-01-25,23500.0,0.05,40,CE,NFO-OPT,NFO"
PUT_ROW = "1257,5,NIFTY2511623500PE,NIFTY,1.0,2025-01-16,23500.0,0.05,75,PE,NFO-OPT,NFO"
FUTURE_ROW = "1513,6,NIFTY25DECFUT,NIFTY,1.0,2025-12-30,0.0,0.05,75,FUT,NFO-FUT,NFO"


def test_instruments_say_what_a_token_stands_for() -> None:
    assert _listed(CALL_ROW, PUT_ROW, FUTURE_ROW) == {
        1001: Instrument(
            "BANKNIFTY18JAN23500CE", Option("BANKNIFTY", "2018-01-25", 23500.0, "CE", 40)
        ),
        1257: Instrument("NIFTY2511623500PE", Option("NIFTY", "2025-01-16", 23500.0, "PE", 75)),
        1513: Instrument("NIFTY25DECFUT"),
    }


@pytest.mark.parametrize(
    ("symbol", "product"),
    [
        ("ADANIPORTS17DEC490PE", "ADANIPORTS"),
        ("M&M25NOV3000PE", "M&M"),
        ("BAJAJ-AUTO25NOV9000PE", "BAJAJ-AUTO"),
        ("NIFTYNXT5025DEC66000PE", "NIFTYNXT50"),
        ("NIFTY25D0926000PE", "NIFTY"),
        ("IDEA25NOV7.5PE", "IDEA"),
    ],
)
def test_an_underlying_without_a_name_is_read_from_the_symbol(symbol: str, product: str) -> None:
    row = f"1,1,{symbol},,1,2025-11-25,7.5,0.05,75,PE,NFO-OPT,NFO"
    option = _listed(row)[1].option
    assert option is not None
    assert option.product == product


def test_instrument_rows_that_cannot_be_read_are_told() -> None:
    bad = [
        ",1,X,,1,,0,0.05,1,EQ,NSE,NSE",
        "x,1,X,,1,,0,0.05,1,EQ,NSE,NSE",
        "1,1,X,,1,2025-01-16,5,0.05,75,CE,NFO-OPT,NFO",
        "1,1,X25JAN5CE,,1,soon,5,0.05,75,CE,NFO-OPT,NFO",
        "1,1,X25JAN5CE,,1,2025-01-16,5,0.05,0,CE,NFO-OPT,NFO",
    ]
    problems: list[str] = []
    assert not read_instruments((LISTED + "\n".join(bad)).encode(), "list.csv", problems)
    assert [text.split(":")[0] for text in problems] == [f"row {n}" for n in range(2, 7)]


def test_a_list_of_instruments_is_no_feed(tmp_path: Path) -> None:
    path = written(tmp_path / "a.csv", LISTED + CALL_ROW)
    with pytest.raises(InputError, match="list of instruments"):
        list(open_feed(path, NO_HINTS).events())


def test_options_become_quotes_and_the_rest_ticks() -> None:
    empty = Depth(buy=[DepthLevel(0.0, 0, 0)] * 5, sell=LEVELS[5:])
    call = replace(FULL, instrument_token=1001, volume=800, oi=1200, depth=empty)
    put = replace(QUOTE, instrument_token=1257, volume=750, last_price=0.0)
    future = replace(FULL, instrument_token=1513)
    told = [(None, tick) for tick in (call, future, put, call)]
    known = FeedHints(
        timestamp_ms=SENT_MS + 1000, instruments=_listed(CALL_ROW, PUT_ROW, FUTURE_ROW)
    )
    file = fed(hints=known, frame_ticks=10)
    tick, calls, puts = kite_events(told, "0123", file)
    assert not file.problems
    assert isinstance(tick, TickFrame)
    assert tick.product == "NIFTY25DECFUT"
    assert calls == OptionQuoteFrame(
        product="BANKNIFTY",
        expiry="2018-01-25",
        source="kite",
        session="2026-01-06/0123",
        ts_recv=SENT_MS,
        oi_unit="shares",
        ts_ms=[SENT_MS] * 2,
        seq=[1, 4],
        strike=[23500.0] * 2,
        kind=["CE", "CE"],
        oi=[1200, 1200],
        volume=[20.0, 20.0],
        last=[1573.7] * 2,
        bid=[0.0, 0.0],
        ask=[LEVELS[5].price] * 2,
    )
    assert isinstance(puts, OptionQuoteFrame)
    assert (puts.ts_ms, puts.volume, puts.last) == ([SENT_MS + 1000], [10.0], [0.0])
    assert (puts.oi, puts.bid, puts.ask) == (None, None, None)
    for frame in (calls, puts):
        check_quotes(frame)


def test_quotes_come_in_frames_of_the_size_asked_for() -> None:
    told = [(None, replace(FULL, instrument_token=1001))] * 5
    known = FeedHints(instruments=_listed(CALL_ROW))
    frames = list(kite_events(told, "0", fed(hints=known, frame_ticks=2)))
    assert [len(frame.ts_ms) for frame in frames] == [2, 2, 1]


MODES_SHARED = pytest.mark.parametrize("mode", ["full", "quote"])


@MODES_SHARED
def test_a_shared_packet_says_what_its_json_says(
    shared_data: Callable[[str], Path], mode: str
) -> None:
    folder = shared_data("kite-packets")
    (parsed,) = parse_base64((folder / f"ticker_{mode}.packet").read_bytes())
    expected = msgspec.json.decode((folder / f"ticker_{mode}.json").read_bytes(), type=KiteTick)
    if mode == "quote":
        # The file repeats the change of the full packet; 1573.15 − 1567.80 is its own.
        assert expected.change == pytest.approx(5.9)
        expected = replace(expected, change=1573.15 - 1567.8)
    assert parsed == expected


@pytest.mark.parametrize(
    ("name", "price", "volume"),
    [
        ("quote.json", 1412.95, 7_360_198),
        ("ohlc.json", 1075.0, None),
        ("ltp.json", 1074.35, None),
        ("ticker_full.json", 1573.7, 1_192_471),
        ("ticker_quote.json", 1573.15, 1_175_986),
        ("ticker_ltp.json", 1573.15, None),
        ("ticker_full.packet", 1573.7, 1_192_471),
        ("ticker_quote.packet", 1573.15, 1_175_986),
    ],
)
def test_shared_kite_files_become_ticks(
    shared_data: Callable[[str], Path], name: str, price: float, volume: int | None
) -> None:
    hints = FeedHints(product="INFY", timestamp_ms=SENT_MS)
    (frame,) = events_of(shared_data(f"kite-packets/{name}"), hints)
    assert isinstance(frame, TickFrame)
    assert (frame.product, frame.price) == ("INFY", [price])
    assert frame.volume == (None if volume is None else [volume])


def test_the_shared_list_of_instruments_is_read_completely(
    shared_data: Callable[[str], Path],
) -> None:
    problems: list[str] = []
    body = shared_data("kite-packets/instruments_all.csv").read_bytes()
    instruments = read_instruments(body, "list", problems)
    options = [one.option for one in instruments.values() if one.option is not None]
    assert not problems
    assert len(instruments) == len(body.splitlines()) - 1
    assert {option.product for option in options} == {
        "BANKNIFTY", "ADANIPORTS", "INDIACEM", "INDIANB"
    }  # fmt: skip
