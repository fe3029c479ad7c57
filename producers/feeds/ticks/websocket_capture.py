"""Websocket messages as they were received, one a line; the trades in them become ticks. Pure.

Lines are ``<receipt in epoch seconds>: <JSON>``; lines that start with an address name the
connection. Binance's ``aggTrade`` and ``trade`` are read, alone or inside a combined stream. Every
other kind of message (order books, best prices, unfinished candles, Deribit's options) is counted
and reported in one line.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta, Struct

from optionstream.producers.feeds.files.csv_table import parse_number
from optionstream.producers.feeds.format import FeedInput
from optionstream.producers.feeds.frames import dated_frames
from optionstream.producers.feeds.ticks.tick_rows import TickRow, tick_frame
from optionstream.producers.feeds.times import LATEST_MS
from optionstream.schemas.codec import is_product
from optionstream.schemas.events import TickFrame, Whole
from optionstream.schemas.times import ist_date

_ADDRESS: Final = re.compile(rb"(?:wss?|https?)://([^/:\s]+)")
_LINE: Final = re.compile(rb"(\d{9,10}(?:\.\d+)?): (.+)", re.DOTALL)
_IDS: Final = {"aggTrade": "a", "trade": "t"}
"""Kind of message → the field with the sequence number of its trades."""
_UNKNOWN: Final = "other"
_NO_ADDRESS: Final = "websocket"


class _Trade(Struct, frozen=True):
    """Binance's fields: symbol, price, time of the trade in epoch ms."""

    s: str
    p: str
    T: Annotated[int, Meta(ge=0, lt=LATEST_MS)]


@dataclass(slots=True)
class Capture:
    """``trades`` by product and source; ``others`` counts the messages of other kinds."""

    trades: dict[tuple[str, str], list[TickRow]] = field(default_factory=dict)
    others: Counter[str] = field(default_factory=Counter)


def looks_like_capture(head: bytes) -> bool:
    """True if the first line is an address or a message with its receipt."""
    line = head.lstrip().partition(b"\n")[0]
    message = _LINE.fullmatch(line)
    return bool(_ADDRESS.match(line)) or bool(message and message[2][:1] in b"[{")


def capture_events(file: FeedInput) -> Iterator[TickFrame]:
    """Yield frames of one product, source and date each, in the order of their receipt.

    The source is the host and the kind of trade, because each has numbers of its own. No heartbeat
    follows: the end of a capture is no end of trading. Raises InputError when there is no trade.
    """
    capture = read_capture(file.source.body(), file.problems)
    counts = sorted(capture.others.items())
    others = [f"{kind}: {count} messages that are no trades" for kind, count in counts]
    if not capture.trades:
        raise file.error(f"no trade in it; {', '.join(others + file.problems[:1]) or 'no lines'}")
    file.problems.extend(others)
    frames = [
        frame
        for (product, source), rows in capture.trades.items()
        for frame in dated_frames(rows, file.frame_ticks, partial(tick_frame, product, source))
    ]
    yield from sorted(frames, key=lambda frame: frame.ts_recv)


def read_capture(body: bytes, problems: list[str]) -> Capture:
    """Read every trade in file order; lines that cannot be read are reported as problems."""
    capture = Capture()
    host = _NO_ADDRESS
    for number, line in enumerate(body.split(b"\n"), 1):
        if address := _ADDRESS.match(line):
            host = address[1].decode("utf-8", "backslashreplace")
        elif line.strip():
            try:
                _add_message(line.rstrip(b"\r"), host, capture)
            except (ValueError, msgspec.MsgspecError, RecursionError) as error:
                problems.append(f"line {number}: {error}")
    return capture


def _add_message(line: bytes, host: str, capture: Capture) -> None:
    parts = _LINE.fullmatch(line)
    if parts is None:
        raise ValueError("neither an address nor '<epoch seconds>: <JSON>'")
    kind, message = _kind_of(msgspec.json.decode(parts[2]))
    if kind not in _IDS:
        capture.others[kind] += 1
        return
    trade = msgspec.convert(message, _Trade)
    if not is_product(trade.s):
        raise ValueError(f"{trade.s!r} is not a product name")
    row = TickRow(
        date=ist_date(trade.T),
        ts_ms=trade.T,
        ts_recv=round(float(parts[1]) * 1000),
        price=parse_number(trade.p),
        volume=None,  # the quantity of one trade, in fractions, is not the volume of the day
        seq=msgspec.convert(message.get(_IDS[kind]), Whole),
        id=None,
    )
    capture.trades.setdefault((trade.s, f"{host}/{kind}"), []).append(row)


def _kind_of(message: Any) -> tuple[str, dict[str, Any]]:
    """Return the kind of a message, and its content without the stream around it."""
    if not isinstance(message, dict):
        return _UNKNOWN, {}
    content, stream = message.get("data"), message.get("stream")
    if isinstance(content, dict) and isinstance(stream, str):
        return str(content.get("e") or stream.partition("@")[2]), content
    params = message.get("params")
    if isinstance(params, dict) and isinstance(params.get("channel"), str):
        return f"{params['channel'].partition('.')[0]} (a subscription)", {}
    return str(message.get("e") or _UNKNOWN), message
