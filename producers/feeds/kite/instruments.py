"""Kite's list of instruments (``/instruments``, CSV): the contract of each token. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from optionstream.producers.feeds.chains.legs import option_kind
from optionstream.producers.feeds.files.csv_table import (
    header_names,
    parse_number,
    parse_whole,
    read_table,
)
from optionstream.producers.feeds.products import product_named
from optionstream.producers.feeds.times import parse_date
from optionstream.schemas.errors import InputError
from optionstream.schemas.events import OptionKind

INDEX_TOKENS: Final = {
    256265: "NIFTY",
    260105: "BANKNIFTY",
    257801: "FINNIFTY",
    288009: "MIDCPNIFTY",
    265: "SENSEX",
    274441: "BANKEX",
}
"""Product by the token of an index. These never change; tokens of contracts are reused."""

_SYMBOL: Final = re.compile(
    r"(?P<name>[A-Z0-9&-]+?)\d{2}(?:[A-Z]{3}|[1-9OND]\d{2})[\d.]+(?:CE|PE)", re.ASCII
)
_COLUMNS: Final = (
    "instrument_token",
    "tradingsymbol",
    "name",
    "expiry",
    "strike",
    "lot_size",
    "instrument_type",
)


@dataclass(frozen=True, slots=True)
class Option:
    """The contract behind the token of an option; ``expiry`` ISO form, ``lot_size`` in shares."""

    product: str
    expiry: str
    strike: float
    kind: OptionKind
    lot_size: int


@dataclass(frozen=True, slots=True)
class Instrument:
    """``symbol`` is the trading symbol; ``option`` is None for shares, futures and indices."""

    symbol: str
    option: Option | None = None


def looks_like_instruments(head: bytes) -> bool:
    """True if the header is that of the list."""
    return header_names(head).issuperset(_COLUMNS)


def read_instruments(body: bytes, name: str, problems: list[str]) -> dict[int, Instrument]:
    """Return the instruments by token; rows that cannot be read are reported in ``problems``.

    Raises InputError naming ``name`` when a column is missing.
    """
    table = read_table(body, name, problems)
    if missing := [column for column in _COLUMNS if column not in table.columns]:
        raise InputError(name, f"an instrument list without the column {missing[0]}")
    at = {column: table.columns[column] for column in _COLUMNS}
    instruments: dict[int, Instrument] = {}
    for number, cells in table.rows:
        texts = {column: cells[place].strip() for column, place in at.items()}
        try:
            token = parse_whole(texts["instrument_token"])
            if token is None:
                raise ValueError("no instrument_token")
            instruments[token] = Instrument(texts["tradingsymbol"], _option(texts))
        except ValueError as error:
            problems.append(f"row {number}: {error}")
    return instruments


def _option(texts: dict[str, str]) -> Option | None:
    if texts["instrument_type"] not in ("CE", "PE"):
        return None
    lot_size = parse_whole(texts["lot_size"])
    if lot_size is None or lot_size < 1:
        raise ValueError(f"lot_size {texts['lot_size']!r}")
    return Option(
        product=product_named(texts["name"] or _underlying(texts["tradingsymbol"])),
        expiry=parse_date(texts["expiry"]).isoformat(),
        strike=parse_number(texts["strike"]),
        kind=option_kind(texts["instrument_type"]),
        lot_size=lot_size,
    )


def _underlying(symbol: str) -> str:
    """Return ``BANKNIFTY`` for ``BANKNIFTY18JAN23500CE``; the name of old lists is empty."""
    found = _SYMBOL.fullmatch(symbol)
    if found is None:
        raise ValueError(f"{symbol!r} names no underlying")
    return found["name"]
