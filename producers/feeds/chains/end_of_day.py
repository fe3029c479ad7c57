"""The exchange's end-of-day figures of options, as converted by their user: CSV or Parquet. Pure.

A day's snapshots are stamped at its close. Open interest is in shares, volume in contracts. The
CSV has the day's last price, the Parquet the settlement price and its own implied volatility as a
fraction.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import date
from typing import Any, Final, NamedTuple, TypeVar

from optionstream.producers.feeds.chains.legs import (
    ChainBook,
    ChainKey,
    Leg,
    TableLeg,
    make_leg,
    option_kind,
)
from optionstream.producers.feeds.files.csv_table import cell_number, header_names, read_table
from optionstream.producers.feeds.format import FeedInput
from optionstream.producers.feeds.products import product_named
from optionstream.producers.feeds.times import close_of_day, parse_date
from optionstream.schemas.events import ChainSnapshot, OptionKind

SOURCE: Final = "nse-eod"

Raw = TypeVar("Raw")

_SPOT_DECIMALS: Final = 2
"""Decimals of an index; the Parquet's spot is a 4-byte float, 24631.300781 for 24631.30."""

_CSV_TEXTS: Final = ("symbol", "trade_date", "expiry_dt", "option_typ")
_CSV_NUMBERS: Final = (
    "strike_pr",
    "open_int",
    "chg_in_oi",
    "volume",
    "last_price",
    "underlying_price",
)
TEXTS: Final = ("symbol", "option_type")
DATES: Final = ("date_t", "expiry_date")
FLAGS: Final = ("iv_converged",)
NUMBERS: Final = (
    "strike",
    "openInterest",
    "changeinOpenInterest",
    "totalTradedVolume",
    "premium_t",
    "S_t",
    "iv_est_t",
)
"""The columns of the Parquet."""


class _Row(NamedTuple):
    symbol: str
    day: date
    expiry: date
    kind: str
    strike: float | None
    oi: float | None
    oi_change: float | None
    volume: float | None
    last: float | None
    spot: float | None
    iv: float | None = None
    """Percent."""


def looks_like_eod(head: bytes) -> bool:
    """True if the header is that of the end-of-day CSV."""
    return header_names(head).issuperset((*_CSV_TEXTS, *_CSV_NUMBERS))


def eod_csv_chains(file: FeedInput) -> list[ChainSnapshot]:
    """Return a snapshot for each day and expiry. Raises InputError."""
    body = file.source.body()
    table = read_table(body, file.name, file.problems)
    texts = [table.columns[one] for one in _CSV_TEXTS]
    numbers = [table.columns[one] for one in _CSV_NUMBERS]

    def parse(cells: list[str]) -> _Row:
        symbol, day, expiry, kind = (cells[at] for at in texts)
        figures = [cell_number(cells[at]) for at in numbers]
        return _Row(symbol, parse_date(day), parse_date(expiry), kind, *figures)

    book = ChainBook(SOURCE, "shares", file)
    for leg in _legs(table.rows, parse, file):
        book.add_leg(*leg)
    return book.snapshots(body)


def eod_legs(rows: Iterable[tuple[Any, ...]], file: FeedInput) -> Iterator[TableLeg]:
    """Yield the legs of the Parquet, whose ``rows`` have TEXTS, DATES, FLAGS and NUMBERS in
    order."""

    def parse(values: tuple[Any, ...]) -> _Row:
        symbol, kind, day, expiry, converged, *numbers, fraction = values
        if None in (symbol, kind, day, expiry):
            raise ValueError("no symbol, option type, day or expiry")
        iv = fraction * 100 if converged and fraction is not None else None
        return _Row(symbol, day, expiry, kind, *numbers)._replace(iv=iv)

    return _legs(enumerate(rows, 1), parse, file)


def close_ms(day: date | None) -> int | None:
    """Return the close of a day as UTC epoch ms; None for no day and for one before 1970."""
    try:
        return None if day is None else close_of_day(day)
    except ValueError:
        return None


def _legs(
    rows: Iterable[tuple[int, Raw]], parse: Callable[[Raw], _Row], file: FeedInput
) -> Iterator[TableLeg]:
    def parse_leg(raw: Raw) -> tuple[ChainKey, float | None, OptionKind, Leg, float | None]:
        row = parse(raw)
        key = ChainKey(close_of_day(row.day), product_named(row.symbol), row.expiry.isoformat())
        leg = make_leg(row.oi, row.oi_change, row.volume, row.iv, row.last)
        spot = row.spot and round(row.spot, _SPOT_DECIMALS)
        return key, row.strike, option_kind(row.kind), leg, spot

    for number, leg in file.parse_rows(rows, parse_leg):
        yield TableLeg(number, *leg)
