"""The formats of ticks, candles and brokers' packets, in the order in which they are tried."""

from __future__ import annotations

from typing import Final

from optionstream.producers.feeds.format import FeedInput, Format, Reader
from optionstream.producers.feeds.kite.events import kite_json_events, kite_packet_events
from optionstream.producers.feeds.kite.instruments import looks_like_instruments
from optionstream.producers.feeds.kite.packet import (
    looks_like_base64,
    looks_like_packets,
    parse_base64,
    parse_packets,
)
from optionstream.producers.feeds.kite.ticks import looks_like_kite_json
from optionstream.producers.feeds.ticks.candles import (
    csv_candle_events,
    json_candle_events,
    looks_like_candle_json,
    looks_like_candles,
)
from optionstream.producers.feeds.ticks.seconds_csv import looks_like_ticks, tick_events
from optionstream.producers.feeds.ticks.tick_table import (
    looks_like_book,
    looks_like_tick_table,
    tick_table_events,
)
from optionstream.producers.feeds.ticks.websocket_capture import capture_events, looks_like_capture
from optionstream.schemas.events import MarketEvent
from optionstream.schemas.topics import RAW_BROKERS


def _refuse(why: str) -> Reader:
    """Return a reader for files of a known form that hold no event."""

    def read(file: FeedInput) -> list[MarketEvent]:
        raise file.error(why)

    return read


FORMATS: Final[tuple[Format, ...]] = (
    Format("tick-csv-1s", looks_like_ticks, tick_events),
    Format(
        "kite-instruments-csv",
        looks_like_instruments,
        _refuse("a list of instruments: contracts without prices over time"),
    ),
    Format("tick-table-csv", looks_like_tick_table, tick_table_events),
    Format(
        "order-book-csv",
        looks_like_book,
        _refuse("summaries of an order book: no trade and no last price in them"),
    ),
    Format("candle-csv", looks_like_candles, csv_candle_events),
    Format("candle-json", looks_like_candle_json, json_candle_events),
    Format("kite-json", looks_like_kite_json, kite_json_events, RAW_BROKERS),
    Format("kite-packets", looks_like_packets, kite_packet_events(parse_packets), RAW_BROKERS),
    Format("kite-packets-base64", looks_like_base64, kite_packet_events(parse_base64), RAW_BROKERS),
    Format("websocket-capture", looks_like_capture, capture_events),
)
