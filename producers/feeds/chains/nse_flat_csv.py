"""A scraper's flat CSV of the exchange's option-chain JSON: all expiries of one time. Pure.

``symbol,expiryDate,strikePrice,underlying,CE_OI,…,PE_OI,…``; ``NA`` stands for a missing leg. The
time of the capture is in the name alone (``NIFTY_OptionChain_2025-10-14_03-15-14_UTC.csv``); it
goes before a hint, for one hint cannot fit a pack of files.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from optionstream.producers.feeds.chains.legs import ChainBook, ChainKey
from optionstream.producers.feeds.files.csv_table import header_names, read_table
from optionstream.producers.feeds.files.wide_csv import WideLayout, leg_columns, wide_rows
from optionstream.producers.feeds.hints import FeedHints, first_told, needed_time
from optionstream.producers.feeds.products import product_named, time_of_name
from optionstream.producers.feeds.stamps import parse_date
from optionstream.schemas.errors import InputError
from optionstream.schemas.events import ChainSnapshot

SOURCE: Final = "nse-flat"

_NAMES: Final = ("symbol", "expirydate", "strikeprice", "underlying")
_FIGURES: Final = ("oi", "chgoi", None, "iv", "ltp", "bid", "ask")
"""It has no volume."""
_CALL: Final = tuple(figure and f"ce_{figure}" for figure in _FIGURES)
_PUT: Final = tuple(figure and f"pe_{figure}" for figure in _FIGURES)


def looks_like_flat(head: bytes) -> bool:
    """Whether the header is that of the flat file."""
    return header_names(head).issuperset((*_NAMES, *filter(None, _CALL), *filter(None, _PUT)))


def flat_chains(
    body: bytes, path: Path, hints: FeedHints, problems: list[str]
) -> list[ChainSnapshot]:
    """A snapshot for each expiry; open interest is in lots. Raises InputError naming ``path``."""
    name = str(path)
    table = read_table(body, name, problems)
    columns = table.columns
    rows = list(table.rows)
    if not rows:
        raise InputError(name, "a flat option chain that has a header and no rows")
    ts_event = needed_time(first_told(time_of_name(path), hints.timestamp_ms), name)
    symbol, expiry, strike, spot = (columns[one] for one in _NAMES)
    layout = WideLayout(strike, leg_columns(_CALL, columns), leg_columns(_PUT, columns), spot)
    book = ChainBook(SOURCE, "lots", problems)
    keys: dict[tuple[str, str], ChainKey] = {}
    for row in wide_rows(rows, layout, problems):
        texts = row.cells[symbol], row.cells[expiry]
        try:
            key = keys.get(texts) or keys.setdefault(texts, _key(ts_event, *texts))
        except ValueError as error:
            problems.append(f"row {row.number}: {error}")
            continue
        book.add_row(row.number, key, row.strike, row.call, row.put, (row.spot,))
    return book.snapshots(body, name)


def _key(ts_event: int, symbol: str, expiry: str) -> ChainKey:
    return ChainKey(ts_event, product_named(symbol), parse_date(expiry).isoformat())
