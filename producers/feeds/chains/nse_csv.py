"""The CSV that the exchange's website exports: one expiry, calls left, puts right. Pure.

Two header rows (``CALLS,,PUTS`` and the columns, twice each). It says neither product nor expiry
nor time nor the underlying price: hints do, else the name of the file, for what the website and
the browser put into it.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from optionstream.producers.feeds.chains.legs import ChainBook, ChainKey
from optionstream.producers.feeds.files.content import HEAD_BYTES
from optionstream.producers.feeds.files.csv_table import normal_name, read_table
from optionstream.producers.feeds.files.wide_csv import WideLayout, leg_columns, wide_rows
from optionstream.producers.feeds.hints import (
    FeedHints,
    first_told,
    needed_expiry,
    needed_product,
    needed_time,
)
from optionstream.producers.feeds.products import expiry_of_name, product_of_name, time_of_name
from optionstream.schemas.errors import InputError
from optionstream.schemas.events import ChainSnapshot

SOURCE: Final = "nse-csv"

_FIGURES: Final = ("oi", "chng_in_oi", "volume", "iv", "ltp", "bid", "ask")
_STRIKES: Final = ("strike", "strike_price")


def looks_like_export(head: bytes) -> bool:
    """Whether the first line is ``CALLS,,PUTS``."""
    first = head.partition(b"\n")[0]
    return [cell.strip() for cell in first.split(b",") if cell.strip()] == [b"CALLS", b"PUTS"]


def export_chains(
    body: bytes, path: Path, hints: FeedHints, problems: list[str]
) -> list[ChainSnapshot]:
    """The one snapshot of an export; open interest is in lots. Raises InputError naming
    ``path``."""
    name = str(path)
    product = needed_product(first_told(hints.product, product_of_name(path)), name)
    ts_event = needed_time(first_told(hints.timestamp_ms, time_of_name(path)), name)
    named = first_told(hints.expiry, expiry_of_name(path))
    told = first_told(named, hints.expiry_on(product, ts_event))
    key = ChainKey(ts_event, product, needed_expiry(told, name))
    layout = _layout(_header(body), name)
    book = ChainBook(SOURCE, "lots", problems)
    for row in wide_rows(_rows(body, name, problems), layout, problems):
        book.add_row(row.number, key, row.strike, row.call, row.put)
    return book.snapshots(body, name)


def _under_title(body: bytes) -> bytes:
    """The body with an empty line for ``CALLS,,PUTS``, so that rows keep their numbers."""
    return b"\n" + body.partition(b"\n")[2]


def _header(body: bytes) -> list[str]:
    """The second header row: its names come twice, so where they stand counts."""
    text = _under_title(body)[:HEAD_BYTES].decode("utf-8", "backslashreplace")
    rows = csv.reader(io.StringIO(text, newline=""))
    return [normal_name(cell) for cell in next((cells for cells in rows if any(cells)), [])]


def _rows(body: bytes, name: str, problems: list[str]) -> Iterator[tuple[int, list[str]]]:
    return read_table(_under_title(body), name, problems).rows


def _layout(header: list[str], name: str) -> WideLayout:
    strike = next((at for at, cell in enumerate(header) if cell in _STRIKES), None)
    if strike is None:
        raise InputError(name, "CALLS and PUTS, but its second row has no column STRIKE")
    calls = {cell: at for at, cell in enumerate(header[:strike])}
    puts = {cell: at for at, cell in enumerate(header) if at > strike}
    if missing := [one for one in _FIGURES if one not in calls or one not in puts]:
        raise InputError(name, f"CALLS and PUTS, but not two columns {missing[0]!r}")
    return WideLayout(strike, leg_columns(_FIGURES, calls), leg_columns(_FIGURES, puts))
