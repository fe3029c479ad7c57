"""Option chains of the exchange as CSV with a strike in each row: calls left, puts right. Pure.

Three tables have this shape:

- the export of the exchange's website: two header rows (``CALLS,,PUTS`` and the columns, twice
  each), one expiry, neither product nor expiry nor time nor underlying price;
- the website's pages of 2018–19, each HTML table saved as a CSV. The name of the file says product
  and time (``NIFTY_2019-05-17_0917.csv``), its folder perhaps the expiry (``13JUN2019``);
- a scraper's flat CSV of the exchange's JSON: all expiries of one time, which only the name says
  (``NIFTY_OptionChain_2025-10-14_03-15-14_UTC.csv``). It has no volume.

In the last two the name goes before hints, because one hint cannot fit a pack of files. ``-``,
``NA`` and an empty cell are no value; commas inside a number are grouping.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

from optionstream.producers.feeds.chains.legs import ChainBook, ChainKey, Leg, make_leg
from optionstream.producers.feeds.files.content import HEAD_BYTES
from optionstream.producers.feeds.files.csv_table import (
    cell_number,
    header_names,
    normal_name,
    read_table,
)
from optionstream.producers.feeds.format import FeedInput
from optionstream.producers.feeds.hints import first_given
from optionstream.producers.feeds.products import (
    expiry_of_name,
    product_named,
    product_of_name,
    time_of_name,
)
from optionstream.producers.feeds.times import parse_date
from optionstream.schemas.events import ChainSnapshot

_EXPORT_FIGURES: Final = ("oi", "chng_in_oi", "volume", "iv", "ltp", "bid", "ask")
_EXPORT_STRIKES: Final = ("strike", "strike_price")
_PAGE_STRIKE: Final = "strikeprice"
_PAGE_SPOT: Final = "currentval"
_PAGE_FIGURES: Final = ("oi", "chnginoi", "volume", "iv", "ltp", "bidprice", "askprice")
_FLAT_NAMES: Final = ("symbol", "expirydate", "strikeprice", "underlying")
_FLAT_FIGURES: Final = ("oi", "chgoi", None, "iv", "ltp", "bid", "ask")
"""Column names of a leg's figures, in the order of ``Leg``; None for what the table lacks."""


def _prefixed(prefix: str, figures: Iterable[str | None]) -> tuple[str | None, ...]:
    return tuple(figure and prefix + figure for figure in figures)


_PAGE_CALL: Final = _prefixed("call", _PAGE_FIGURES)
_PAGE_PUT: Final = _prefixed("put", _PAGE_FIGURES)
_FLAT_CALL: Final = _prefixed("ce_", _FLAT_FIGURES)
_FLAT_PUT: Final = _prefixed("pe_", _FLAT_FIGURES)


@dataclass(frozen=True, slots=True)
class _Layout:
    """Places of the columns; those of a leg in the order of ``Leg``, None for what is missing."""

    strike: int
    call: tuple[int | None, ...]
    put: tuple[int | None, ...]
    spot: int | None = None


class _Row(NamedTuple):
    cells: list[str]
    strike: float | None
    call: Leg
    put: Leg
    spot: float | None


def looks_like_export(head: bytes) -> bool:
    """True if the first line is ``CALLS,,PUTS``."""
    first = head.partition(b"\n")[0]
    return [cell.strip() for cell in first.split(b",") if cell.strip()] == [b"CALLS", b"PUTS"]


def looks_like_pages(head: bytes) -> bool:
    """True if the header is that of the pages of 2018–19."""
    return header_names(head).issuperset((_PAGE_STRIKE, *_PAGE_CALL, *_PAGE_PUT))


def looks_like_flat(head: bytes) -> bool:
    """True if the header is that of the flat file."""
    needed = (*_FLAT_NAMES, *filter(None, _FLAT_CALL), *filter(None, _FLAT_PUT))
    return header_names(head).issuperset(needed)


def export_chains(file: FeedInput) -> list[ChainSnapshot]:
    """Return the one snapshot of an export; open interest is in lots. Raises InputError."""
    hints, path = file.hints, file.path
    product = file.need_product(first_given(hints.product, product_of_name(path)))
    ts_event = file.need_time(first_given(hints.timestamp_ms, time_of_name(path)))
    named = first_given(hints.expiry, expiry_of_name(path))
    expiry = first_given(named, hints.expiry_on(product, ts_event))
    key = ChainKey(ts_event, product, file.need_expiry(expiry))
    body = file.source.body()
    layout = _export_layout(_second_header(body), file)
    book = ChainBook("nse-csv", "lots", file)
    table = read_table(_without_title(body), file.name, file.problems)
    for number, row in _parse_rows(table.rows, layout, file):
        book.add_row(number, key, row.strike, row.call, row.put)
    return book.snapshots(body)


def page_chains(file: FeedInput) -> list[ChainSnapshot]:
    """Return the one snapshot of a page; open interest is in shares. Raises InputError, also for a
    page without a row."""
    hints, path, body = file.hints, file.path, file.source.body()
    table = read_table(body, file.name, file.problems)
    columns = table.columns
    rows = list(table.rows)
    if not rows:
        raise file.error("a table of 2018–19 that has a header and no rows")
    product = file.need_product(first_given(product_of_name(path), hints.product))
    ts_event = file.need_time(first_given(time_of_name(path), hints.timestamp_ms))
    expiry = first_given(expiry_of_name(path), hints.expiry_on(product, ts_event))
    key = ChainKey(ts_event, product, file.need_expiry(expiry))
    layout = _Layout(
        columns[_PAGE_STRIKE],
        _places(_PAGE_CALL, columns),
        _places(_PAGE_PUT, columns),
        columns.get(_PAGE_SPOT),
    )
    book = ChainBook("nse-pages", "shares", file)
    for number, row in _parse_rows(rows, layout, file):
        book.add_row(number, key, row.strike, row.call, row.put, (row.spot,))
    return book.snapshots(body)


def flat_chains(file: FeedInput) -> list[ChainSnapshot]:
    """Return a snapshot for each expiry; open interest is in lots. Raises InputError."""
    body = file.source.body()
    table = read_table(body, file.name, file.problems)
    columns = table.columns
    rows = list(table.rows)
    if not rows:
        raise file.error("a flat option chain that has a header and no rows")
    ts_event = file.need_time(first_given(time_of_name(file.path), file.hints.timestamp_ms))
    symbol, expiry, strike, spot = (columns[one] for one in _FLAT_NAMES)
    layout = _Layout(strike, _places(_FLAT_CALL, columns), _places(_FLAT_PUT, columns), spot)
    book = ChainBook("nse-flat", "lots", file)
    keys: dict[tuple[str, str], ChainKey] = {}

    def keyed(row: _Row) -> tuple[ChainKey, _Row]:
        texts = row.cells[symbol], row.cells[expiry]
        if texts not in keys:
            product, day = product_named(texts[0]), parse_date(texts[1])
            keys[texts] = ChainKey(ts_event, product, day.isoformat())
        return keys[texts], row

    for number, (key, row) in file.parse_rows(_parse_rows(rows, layout, file), keyed):
        book.add_row(number, key, row.strike, row.call, row.put, (row.spot,))
    return book.snapshots(body)


def _parse_rows(
    rows: Iterable[tuple[int, list[str]]], layout: _Layout, file: FeedInput
) -> Iterator[tuple[int, _Row]]:
    def parse(cells: list[str]) -> _Row:
        strike = cell_number(cells[layout.strike])
        call, put = _leg(cells, layout.call), _leg(cells, layout.put)
        spot = None if layout.spot is None else cell_number(cells[layout.spot])
        return _Row(cells, strike, call, put, spot)

    return file.parse_rows(rows, parse)


def _leg(cells: list[str], places: tuple[int | None, ...]) -> Leg:
    return make_leg(*(None if at is None else cell_number(cells[at]) for at in places))


def _places(names: tuple[str | None, ...], columns: Mapping[str, int]) -> tuple[int | None, ...]:
    return tuple(None if name is None else columns.get(name) for name in names)


def _without_title(body: bytes) -> bytes:
    """Return the body with an empty line for ``CALLS,,PUTS``, so that rows keep their numbers."""
    return b"\n" + body.partition(b"\n")[2]


def _second_header(body: bytes) -> list[str]:
    """Return the second header row: its names come twice, so their places count."""
    text = _without_title(body)[:HEAD_BYTES].decode("utf-8", "backslashreplace")
    rows = csv.reader(io.StringIO(text, newline=""))
    return [normal_name(cell) for cell in next((cells for cells in rows if any(cells)), [])]


def _export_layout(header: list[str], file: FeedInput) -> _Layout:
    strike = next((at for at, cell in enumerate(header) if cell in _EXPORT_STRIKES), None)
    if strike is None:
        raise file.error("CALLS and PUTS, but its second row has no column STRIKE")
    calls = {cell: at for at, cell in enumerate(header[:strike])}
    puts = {cell: at for at, cell in enumerate(header) if at > strike}
    if missing := [one for one in _EXPORT_FIGURES if one not in calls or one not in puts]:
        raise file.error(f"CALLS and PUTS, but not two columns {missing[0]!r}")
    return _Layout(strike, _places(_EXPORT_FIGURES, calls), _places(_EXPORT_FIGURES, puts))
