"""The formats of ticks, candles and brokers' packets, in the order in which they are tried."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from optionstream.producers.feeds.files.content import Source, content_id
from optionstream.producers.feeds.format import Format, Reader
from optionstream.producers.feeds.hints import FeedHints
from optionstream.producers.feeds.kite.events import kite_events
from optionstream.producers.feeds.kite.instruments import looks_like_instruments
from optionstream.producers.feeds.kite.packet import (
    looks_like_base64,
    looks_like_packets,
    parse_base64,
    parse_packets,
)
from optionstream.producers.feeds.kite.quotes_json import looks_like_kite_json, read_kite_json
from optionstream.producers.feeds.kite.tick import KiteTick
from optionstream.producers.feeds.product_choice import product_of_file, product_of_index_file
from optionstream.producers.feeds.ticks.candle_rows import candle_events, in_order
from optionstream.producers.feeds.ticks.candles_csv import looks_like_candles, read_candles
from optionstream.producers.feeds.ticks.candles_json import looks_like_candle_json, read_candle_json
from optionstream.producers.feeds.ticks.seconds_csv import looks_like_ticks, tick_events
from optionstream.producers.feeds.ticks.tick_table import (
    looks_like_book,
    looks_like_tick_table,
    read_ticks,
    tick_table_events,
)
from optionstream.producers.feeds.ticks.websocket_capture import capture_events, looks_like_capture
from optionstream.schemas.errors import InputError
from optionstream.schemas.events import MarketEvent
from optionstream.schemas.topics import RAW_BROKERS


def _read_ticks(
    source: Source, hints: FeedHints, frame_ticks: int, problems: list[str]
) -> Iterator[MarketEvent]:
    product = product_of_index_file(source.path, (), hints, problems)
    yield from tick_events(source.body(), source.name, product, frame_ticks, problems)


def _read_tick_table(
    source: Source, hints: FeedHints, frame_ticks: int, problems: list[str]
) -> Iterator[MarketEvent]:
    table = read_ticks(source.body(), source.name, problems)
    # Never from the path: a file `nifty_futures.csv` holds a future, not the index.
    product = product_of_file(source.path, table.symbols, hints, problems)
    yield from tick_table_events(table, product, frame_ticks)


def _read_candle_csv(
    source: Source, hints: FeedHints, frame_ticks: int, problems: list[str]
) -> Iterator[MarketEvent]:
    table = read_candles(source.body(), source.name, problems)
    candles = in_order(table.rows, source.name)
    product = product_of_index_file(source.path, table.labels, hints, problems)
    yield from candle_events(candles, product, frame_ticks)


def _read_candle_json(
    source: Source, hints: FeedHints, frame_ticks: int, problems: list[str]
) -> Iterator[MarketEvent]:
    candles = in_order(read_candle_json(source.body(), source.name, problems), source.name)
    product = product_of_index_file(source.path, (), hints, problems)
    yield from candle_events(candles, product, frame_ticks)


def _read_kite_json(
    source: Source, hints: FeedHints, frame_ticks: int, problems: list[str]
) -> Iterator[MarketEvent]:
    body = source.body()
    told = read_kite_json(body, source.name)
    yield from kite_events(told, source.name, content_id(body), hints, frame_ticks, problems)


def _packet_reader(parse: Callable[[bytes], list[KiteTick]]) -> Reader:
    def read(
        source: Source, hints: FeedHints, frame_ticks: int, problems: list[str]
    ) -> Iterator[MarketEvent]:
        body = source.body()
        try:
            told = [(None, tick) for tick in parse(body)]
        except ValueError as error:
            raise InputError(source.name, f"damaged Kite packets: {error}") from None
        yield from kite_events(told, source.name, content_id(body), hints, frame_ticks, problems)

    return read


def _read_capture(
    source: Source, hints: FeedHints, frame_ticks: int, problems: list[str]
) -> Iterator[MarketEvent]:
    return capture_events(source.body(), source.name, frame_ticks, problems)


def _nothing_in(why: str) -> Reader:
    """For files that are known and hold no event."""

    def read(
        source: Source, hints: FeedHints, frame_ticks: int, problems: list[str]
    ) -> Iterator[MarketEvent]:
        raise InputError(source.name, why)

    return read


FORMATS: Final[tuple[Format, ...]] = (
    Format("tick-csv-1s", looks_like_ticks, _read_ticks),
    Format(
        "kite-instruments-csv",
        looks_like_instruments,
        _nothing_in("a list of instruments: contracts without prices over time"),
    ),
    Format("tick-table-csv", looks_like_tick_table, _read_tick_table),
    Format(
        "order-book-csv",
        looks_like_book,
        _nothing_in("summaries of an order book: no trade and no last price in them"),
    ),
    Format("candle-csv", looks_like_candles, _read_candle_csv),
    Format("candle-json", looks_like_candle_json, _read_candle_json),
    Format("kite-json", looks_like_kite_json, _read_kite_json, RAW_BROKERS),
    Format("kite-packets", looks_like_packets, _packet_reader(parse_packets), RAW_BROKERS),
    Format("kite-packets-base64", looks_like_base64, _packet_reader(parse_base64), RAW_BROKERS),
    Format("websocket-capture", looks_like_capture, _read_capture),
)
