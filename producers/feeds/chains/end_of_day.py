"""The exchange's end-of-day figures of options, as converted by their user: CSV or Parquet. Pure.

A day's snapshots are stamped at its close. Open interest is in shares, volume in contracts. The
CSV tells the day's last price, the Parquet the settlement price and an implied volatility of its
own as a fraction.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import date
from typing import Any, Final, NamedTuple, TypeVar

from optionstream.producers.feeds.chains.legs import ChainBook, ChainKey, make_leg, option_kind
from optionstream.producers.feeds.chains.row_stream import TableLeg
from optionstream.producers.feeds.files.csv_table import header_names, read_table
from optionstream.producers.feeds.files.wide_csv import cell_number
from optionstream.producers.feeds.products import product_named
from optionstream.producers.feeds.stamps import ist_instant, parse_date
from optionstream.schemas.events import ChainSnapshot

SOURCE: Final = "nse-eod"

Raw = TypeVar("Raw")

_CLOSE: Final = (15, 30)
"""Hour and minute of the close, Indian time."""
_SPOT_DECIMALS: Final = 2
"""What an index has; the Parquet's own spot is a 4-byte float, 24631.300781 for 24631.30."""

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
    """Whether the header is that of the end-of-day CSV."""
    return header_names(head).issuperset((*_CSV_TEXTS, *_CSV_NUMBERS))


def eod_csv_chains(body: bytes, name: str, problems: list[str]) -> list[ChainSnapshot]:
    """A snapshot for each day and expiry. Raises InputError naming ``name``."""
    table = read_table(body, name, problems)
    texts = [table.columns[one] for one in _CSV_TEXTS]
    numbers = [table.columns[one] for one in _CSV_NUMBERS]

    def parsed(cells: list[str]) -> _Row:
        symbol, day, expiry, kind = (cells[at] for at in texts)
        told = [cell_number(cells[at]) for at in numbers]
        return _Row(symbol, parse_date(day), parse_date(expiry), kind, *told)

    book = ChainBook(SOURCE, "shares", problems)
    for leg in _legs(table.rows, parsed, problems):
        book.add_leg(*leg)
    return book.snapshots(body, name)


def eod_legs(rows: Iterable[tuple[Any, ...]], problems: list[str]) -> Iterator[TableLeg]:
    """The legs of the Parquet, whose ``rows`` have TEXTS, DATES, FLAGS and NUMBERS in order."""

    def parsed(values: tuple[Any, ...]) -> _Row:
        symbol, kind, day, expiry, converged, *numbers, fraction = values
        if None in (symbol, kind, day, expiry):
            raise ValueError("no symbol, option type, day or expiry")
        iv = fraction * 100 if converged and fraction is not None else None
        return _Row(symbol, day, expiry, kind, *numbers)._replace(iv=iv)

    return _legs(enumerate(rows, 1), parsed, problems)


def close_ms(day: date | None) -> int | None:
    """The close of a day, UTC epoch ms; None for no day, and for one before 1970."""
    try:
        return None if day is None else ist_instant(str(day), day, *_CLOSE)
    except ValueError:
        return None


def _legs(
    rows: Iterable[tuple[int, Raw]], parsed: Callable[[Raw], _Row], problems: list[str]
) -> Iterator[TableLeg]:
    for number, raw in rows:
        try:
            row = parsed(raw)
            at = ist_instant(str(row.day), row.day, *_CLOSE)
            key = ChainKey(at, product_named(row.symbol), row.expiry.isoformat())
            kind = option_kind(row.kind)
        except ValueError as error:
            problems.append(f"row {number}: {error}")
            continue
        told = make_leg(row.oi, row.oi_change, row.volume, row.iv, row.last)
        spot = row.spot and round(row.spot, _SPOT_DECIMALS)
        yield TableLeg(number, key, row.strike, kind, told, spot)
