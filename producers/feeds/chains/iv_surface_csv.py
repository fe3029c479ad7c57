"""Implied volatilities of the contracts of one expiry, a row a time and a column a contract. Pure.

``datetime,underlying_price,NIFTY27JAN2625200CE,…``: times ``dd-mm-yyyy HH:MM`` in Indian time,
volatilities as fractions. A blank cell is a leg that the source left out.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from optionstream.producers.feeds.chains.legs import ChainBook, ChainKey, make_leg, option_kind
from optionstream.producers.feeds.files.csv_table import Table, header_names, read_table
from optionstream.producers.feeds.files.wide_csv import cell_number
from optionstream.producers.feeds.products import product_named
from optionstream.producers.feeds.stamps import parse_date, parse_stamp
from optionstream.schemas.errors import InputError
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
    """Whether the header has a time, an underlying price and contracts."""
    names = header_names(head)
    return {_TIME, _SPOT} <= names and any(map(_CONTRACT.fullmatch, names))


def surface_chains(body: bytes, name: str, problems: list[str]) -> list[ChainSnapshot]:
    """A snapshot for each row and expiry, of implied volatilities alone, in percent; its open
    interest, which is None everywhere, is called lots. Raises InputError naming ``name``."""
    table = read_table(body, name, problems)
    contracts = _contracts(table, name)
    time_at, spot_at = table.columns[_TIME], table.columns[_SPOT]
    book = ChainBook(SOURCE, "lots", problems)
    for number, cells in table.rows:
        try:
            at = parse_stamp(cells[time_at])
            spot = cell_number(cells[spot_at])
            told = [cell_number(cells[contract.at]) for contract in contracts]
        except ValueError as error:
            problems.append(f"row {number}: {error}")
            continue
        for contract, fraction in zip(contracts, told, strict=True):
            key = ChainKey(at, contract.product, contract.expiry)
            iv = None if fraction is None else fraction * 100
            book.add_leg(number, key, contract.strike, contract.kind, make_leg(iv=iv), spot)
    return book.snapshots(body, name)


def _contracts(table: Table, name: str) -> list[_Contract]:
    found = []
    for column, at in table.columns.items():
        if column in (_TIME, _SPOT):
            continue
        match = _CONTRACT.fullmatch(column)
        if match is None:
            raise InputError(name, f"column {column!r} is no option's symbol")
        found.append(_contract(match, at, name))
    return found


def _contract(match: re.Match[str], at: int, name: str) -> _Contract:
    try:
        expiry = parse_date(f"{match['day']}20{match['year']}").isoformat()
        product = product_named(match["product"])
    except ValueError as error:
        raise InputError(name, f"column {match[0]!r}: {error}") from None
    return _Contract(at, product, expiry, float(match["strike"]), option_kind(match["kind"]))
