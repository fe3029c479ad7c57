"""Implied volatilities of the contracts of one expiry, a row a time and a column a contract. Pure.

``datetime,underlying_price,NIFTY27JAN2625200CE,…``: times ``dd-mm-yyyy HH:MM`` in Indian time,
volatilities as fractions. A blank cell is a leg that the source left out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, NamedTuple

from optionstream.producers.feeds.chains.legs import ChainBook, ChainKey, make_leg, option_kind
from optionstream.producers.feeds.files.csv_table import cell_number, header_names, read_table
from optionstream.producers.feeds.format import FeedInput
from optionstream.producers.feeds.products import product_named
from optionstream.producers.feeds.times import parse_date, parse_stamp
from optionstream.schemas.events import ChainSnapshot, OptionKind

SOURCE: Final = "iv-surface"

_TIME: Final = "datetime"
_SPOT: Final = "underlying_price"
_CONTRACT: Final = re.compile(
    r"(?P<product>[a-z&-]+)(?P<day>\d{2}[a-z]{3})(?P<year>\d{2})(?P<strike>\d+)(?P<kind>ce|pe)",
    re.ASCII,
)
"""``nifty27jan2625200ce``: product, day, month and year of the expiry, strike, kind."""


class _Contract(NamedTuple):
    at: int
    product: str
    expiry: str
    strike: float
    kind: OptionKind


def looks_like_surface(head: bytes) -> bool:
    """True if the header has a time, an underlying price and contracts."""
    names = header_names(head)
    return {_TIME, _SPOT} <= names and any(map(_CONTRACT.fullmatch, names))


def surface_chains(file: FeedInput) -> list[ChainSnapshot]:
    """Return a snapshot for each row and expiry, of implied volatilities alone, in percent.

    Open interest is None everywhere and its unit is lots. Raises InputError.
    """
    body = file.source.body()
    table = read_table(body, file.name, file.problems)
    contracts = _contracts(table.columns, file)
    time_at, spot_at = table.columns[_TIME], table.columns[_SPOT]

    def parse(cells: list[str]) -> tuple[int, float | None, list[float | None]]:
        at, spot = parse_stamp(cells[time_at]), cell_number(cells[spot_at])
        return at, spot, [cell_number(cells[contract.at]) for contract in contracts]

    book = ChainBook(SOURCE, "lots", file)
    for number, (at, spot, fractions) in file.parse_rows(table.rows, parse):
        for contract, fraction in zip(contracts, fractions, strict=True):
            key = ChainKey(at, contract.product, contract.expiry)
            iv = None if fraction is None else fraction * 100
            book.add_leg(number, key, contract.strike, contract.kind, make_leg(iv=iv), spot)
    return book.snapshots(body)


def _contracts(columns: Mapping[str, int], file: FeedInput) -> list[_Contract]:
    found = []
    for column, at in columns.items():
        if column in (_TIME, _SPOT):
            continue
        match = _CONTRACT.fullmatch(column)
        if match is None:
            raise file.error(f"column {column!r} is not an option's symbol")
        try:
            found.append(_contract(match, at))
        except ValueError as error:
            raise file.error(f"column {column!r}: {error}") from None
    return found


def _contract(match: re.Match[str], at: int) -> _Contract:
    expiry = parse_date(f"{match['day']}20{match['year']}").isoformat()
    product = product_named(match["product"])
    return _Contract(at, product, expiry, float(match["strike"]), option_kind(match["kind"]))
