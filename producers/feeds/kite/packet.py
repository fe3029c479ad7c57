"""Binary packets of Zerodha's Kite ticker (kite.trade/docs/connect/v3/websocket). Pure.

A message is a count of packets and, before each packet, its length, both unsigned 16-bit; all
numbers are big-endian. The length of a packet says which fields it has. The low byte of an
instrument's token is its segment, which sets the divisor of prices: 100 (paise), 10,000,000
(currencies of NSE) or 10,000 (currencies of BSE).
"""

from __future__ import annotations

import binascii
import re
from datetime import datetime
from struct import Struct, unpack_from
from typing import Final

from optionstream.producers.feeds.kite.ticks import Depth, DepthLevel, KiteTick, Ohlc
from optionstream.schemas.times import IST

LTP_BYTES: Final = 8
INDEX_BYTES: Final = 28
INDEX_FULL_BYTES: Final = 32
QUOTE_BYTES: Final = 44
FULL_BYTES: Final = 184
PACKET_BYTES: Final = frozenset((LTP_BYTES, INDEX_BYTES, INDEX_FULL_BYTES, QUOTE_BYTES, FULL_BYTES))

_INDICES: Final = 9
_DIVISORS: Final = {3: 10_000_000, 6: 10_000}
_PAISE: Final = 100
_DEPTH_AT: Final = 64
_LEVEL: Final = Struct(">iiHxx")
_LEVELS_A_SIDE: Final = 5
_BASE64: Final = re.compile(rb"[A-Za-z0-9+/]+={0,2}")


def parse_packets(body: bytes) -> list[KiteTick]:
    """Parse the ticks of concatenated messages, or of a packet without its message.

    Raises ValueError when the lengths do not add up.
    """
    try:
        return [parse_packet(packet) for packet in split_messages(body)]
    except ValueError:
        if len(body) not in PACKET_BYTES:
            raise
    return [parse_packet(body)]


def parse_base64(body: bytes) -> list[KiteTick]:
    """Parse the same as base64, a message or a packet per line. Raises ValueError."""
    ticks: list[KiteTick] = []
    for line in body.split():
        ticks += parse_packets(binascii.a2b_base64(line, strict_mode=True))
    return ticks


def looks_like_base64(head: bytes) -> bool:
    """True if the first word is base64 text of a message or a packet."""
    word = next(iter(head.split(maxsplit=1)), b"").strip()
    if len(word) % 4 or not _BASE64.fullmatch(word):
        return False
    try:
        return bool(parse_packets(binascii.a2b_base64(word)))
    except ValueError:
        return False


def looks_like_packets(head: bytes) -> bool:
    """True if it starts with a message: a count above 0 and lengths that packets have."""
    if len(head) < 4 or not int.from_bytes(head[:2], "big"):
        return False
    at = 2
    for _ in range(int.from_bytes(head[:2], "big")):
        if at + 2 > len(head):
            return at > 2
        length = int.from_bytes(head[at : at + 2], "big")
        if length not in PACKET_BYTES:
            return False
        at += 2 + length
    return True


def split_messages(body: bytes) -> list[bytes]:
    """Return the packets of concatenated messages. Raises ValueError."""
    packets: list[bytes] = []
    at = 0
    while at < len(body):
        count, at = _uint16(body, at)
        if not count:
            raise ValueError("a message without packets")
        for _ in range(count):
            length, at = _uint16(body, at)
            if length not in PACKET_BYTES:
                raise ValueError(f"a packet of {length} bytes")
            if at + length > len(body):
                raise ValueError(f"a packet of {length} bytes of which {len(body) - at} are there")
            packets.append(body[at : at + length])
            at += length
    return packets


def parse_packet(packet: bytes) -> KiteTick:
    """Parse one packet. Raises ValueError for a length outside PACKET_BYTES."""
    size = len(packet)
    if size not in PACKET_BYTES:
        raise ValueError(f"a packet of {size} bytes")
    token = int.from_bytes(packet[:4], "big")
    divisor = _DIVISORS.get(token & 0xFF, _PAISE)
    if size == LTP_BYTES:
        return KiteTick(
            mode="ltp",
            tradable=token & 0xFF != _INDICES,
            instrument_token=token,
            last_price=int.from_bytes(packet[4:8], "big", signed=True) / divisor,
        )
    if size in (INDEX_BYTES, INDEX_FULL_BYTES):
        return _index(packet, token, divisor)
    return _quote(packet, token, divisor)


def _index(packet: bytes, token: int, divisor: int) -> KiteTick:
    last, high, low, open_, close = unpack_from(">5i", packet, 4)
    full = len(packet) == INDEX_FULL_BYTES
    return KiteTick(
        mode="full" if full else "quote",
        tradable=False,
        instrument_token=token,
        last_price=last / divisor,
        ohlc=Ohlc(open_ / divisor, high / divisor, low / divisor, close / divisor),
        change=_change(last, close, divisor),
        timestamp=_moment(unpack_from(">I", packet, 28)[0]) if full else None,
    )


def _quote(packet: bytes, token: int, divisor: int) -> KiteTick:
    last, quantity, average, volume, buy, sell = unpack_from(">iIiIII", packet, 4)
    open_, high, low, close = unpack_from(">4i", packet, 28)
    full = len(packet) == FULL_BYTES
    trade_time, oi, oi_high, oi_low, sent = (
        unpack_from(">5I", packet, QUOTE_BYTES) if full else (0, None, None, None, 0)
    )
    return KiteTick(
        mode="full" if full else "quote",
        tradable=True,
        instrument_token=token,
        last_price=last / divisor,
        last_quantity=quantity,
        average_price=average / divisor,
        volume=volume,
        buy_quantity=buy,
        sell_quantity=sell,
        ohlc=Ohlc(open_ / divisor, high / divisor, low / divisor, close / divisor),
        change=_change(last, close, divisor),
        last_trade_time=_moment(trade_time),
        oi=oi,
        oi_day_high=oi_high,
        oi_day_low=oi_low,
        timestamp=_moment(sent),
        depth=_depth(packet, divisor) if full else None,
    )


def _depth(packet: bytes, divisor: int) -> Depth:
    levels = [
        DepthLevel(price=price / divisor, quantity=quantity, orders=orders)
        for quantity, price, orders in _LEVEL.iter_unpack(packet[_DEPTH_AT:])
    ]
    return Depth(buy=levels[:_LEVELS_A_SIDE], sell=levels[_LEVELS_A_SIDE:])


def _change(last: int, close: int, divisor: int) -> float:
    return last / divisor - close / divisor


def _moment(seconds: int) -> datetime | None:
    """Return the time, None for 0."""
    return datetime.fromtimestamp(seconds, IST) if seconds else None


def _uint16(body: bytes, at: int) -> tuple[int, int]:
    if at + 2 > len(body):
        raise ValueError("a message that ends within a length")
    return int.from_bytes(body[at : at + 2], "big"), at + 2
