"""Chains as a table with one leg in each row, a snapshot a minute: Parquet or SQLite. Pure.

``timestamp, symbol, expiry, strike, option_type, spot, ltp, volume, oi, oi_chg, iv``, as a scraper
of the exchange's JSON keeps them; times are ``yyyymmddHHMM`` in Indian time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from math import isfinite
from typing import Any, Final

from optionstream.producers.feeds.chains.legs import (
    ChainKey,
    Leg,
    TableLeg,
    make_leg,
    option_kind,
)
from optionstream.producers.feeds.format import FeedInput
from optionstream.producers.feeds.products import product_named
from optionstream.producers.feeds.times import parse_compact_stamp, parse_date
from optionstream.schemas.events import OptionKind

SOURCE: Final = "nse-minute"

TEXTS: Final = ("timestamp", "symbol", "expiry", "option_type")
NUMBERS: Final = ("strike", "spot", "ltp", "volume", "oi", "oi_chg", "iv")

_IV_FLOOR: Final = 0.1
"""Percent: the start value of the scraper's solver, stored when it finds no solution."""
_KEYS_KEPT: Final = 1_000
_SPOT_DECIMALS: Final = 2
"""Decimals of an index; the vendor's spot is a 4-byte float, 24052.400391 for 24052.40."""


def minute_legs(rows: Iterable[tuple[Any, ...]], file: FeedInput) -> Iterator[TableLeg]:
    """Yield the legs of ``rows``, which have TEXTS and NUMBERS in their order. Rows that cannot be
    read are reported as problems."""
    keys: dict[tuple[object, ...], ChainKey] = {}

    def parse(
        values: tuple[Any, ...],
    ) -> tuple[ChainKey, float | None, OptionKind, Leg, float | None]:
        stamp, symbol, expiry, kind = map(_text, values[: len(TEXTS)])
        strike, spot, last, volume, oi, change, iv = map(_number, values[len(TEXTS) :])
        texts = stamp, symbol, expiry
        key = keys.get(texts)
        if key is None:
            if len(keys) >= _KEYS_KEPT:
                keys.clear()
            key = keys[texts] = _key(*texts)
        solved = iv if iv is not None and iv > _IV_FLOOR else None
        leg = make_leg(oi, change, volume, solved, last)
        return key, strike, option_kind(kind), leg, spot and round(spot, _SPOT_DECIMALS)

    for number, leg in file.parse_rows(enumerate(rows, 1), parse):
        yield TableLeg(number, *leg)


def stamp_ms(stamp: object) -> int | None:
    """Return the time in the column ``timestamp`` as UTC epoch ms, None if it is not valid."""
    try:
        return parse_compact_stamp(_text(stamp))
    except ValueError:
        return None


def _key(stamp: str, symbol: str, expiry: str) -> ChainKey:
    at = parse_compact_stamp(stamp)
    return ChainKey(at, product_named(symbol), parse_date(expiry).isoformat())


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is not a text")
    return value


def _number(value: object) -> float | None:
    if value is None:
        return None
    if not isinstance(value, int | float) or not isfinite(value):
        raise ValueError(f"{value!r} is not a number")
    return float(value)
