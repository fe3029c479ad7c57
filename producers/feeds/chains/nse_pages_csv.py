"""The exchange's option-chain pages of 2018–19, each HTML table kept as a CSV. Pure.

The name of the file tells product and time (``NIFTY_2019-05-17_0917.csv``, Indian time), its
folder perhaps the expiry (``13JUN2019``): they go before hints, for one hint cannot fit a pack of
files.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from optionstream.producers.feeds.chains.legs import ChainBook, ChainKey
from optionstream.producers.feeds.files.csv_table import header_names, read_table
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

SOURCE: Final = "nse-pages"

_STRIKE: Final = "strikeprice"
_FIGURES: Final = ("oi", "chnginoi", "volume", "iv", "ltp", "bidprice", "askprice")
_CALL: Final = tuple(f"call{figure}" for figure in _FIGURES)
_PUT: Final = tuple(f"put{figure}" for figure in _FIGURES)


def looks_like_pages(head: bytes) -> bool:
    """Whether the header is that of the pages of 2018–19."""
    return header_names(head).issuperset((_STRIKE, *_CALL, *_PUT))


def page_chains(
    body: bytes, path: Path, hints: FeedHints, problems: list[str]
) -> list[ChainSnapshot]:
    """The one snapshot of a page; open interest is in shares. Raises InputError naming ``path``,
    also for a page without a row."""
    name = str(path)
    table = read_table(body, name, problems)
    columns = table.columns
    rows = list(table.rows)
    if not rows:
        raise InputError(name, "a table of 2018–19 that has a header and no rows")
    product = needed_product(first_told(product_of_name(path), hints.product), name)
    ts_event = needed_time(first_told(time_of_name(path), hints.timestamp_ms), name)
    told = first_told(expiry_of_name(path), hints.expiry_on(product, ts_event))
    key = ChainKey(ts_event, product, needed_expiry(told, name))
    layout = WideLayout(
        columns[_STRIKE],
        leg_columns(_CALL, columns),
        leg_columns(_PUT, columns),
        columns.get("currentval"),
    )
    book = ChainBook(SOURCE, "shares", problems)
    for row in wide_rows(rows, layout, problems):
        book.add_row(row.number, key, row.strike, row.call, row.put, (row.spot,))
    return book.snapshots(body, name)
