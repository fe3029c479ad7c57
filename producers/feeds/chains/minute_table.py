"""Chains as a table with one leg in each row, a snapshot a minute: Parquet or SQLite. Pure.

``timestamp, symbol, expiry, strike, option_type, spot, ltp, volume, oi, oi_chg, iv``, as a scraper
of the exchange's JSON keeps them; times are ``yyyymmddHHMM`` in Indian time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from math import isfinite
from typing import Any, Final

from optionstream.producers.feeds.chains.legs import ChainKey, make_leg, option_kind
from optionstream.producers.feeds.chains.row_stream import TableLeg
from optionstream.producers.feeds.products import product_named
from optionstream.producers.feeds.stamps import parse_compact_stamp, parse_date

SOURCE: Final = "nse-minute"

TEXTS: Final = ("timestamp", "symbol", "expiry", "option_type")
NUMBERS: Final = ("strike", "spot", "ltp", "volume", "oi", "oi_chg", "iv")

_IV_FLOOR: Final = 0.1
"""Percent: where the scraper's solver begins, and what it leaves when it finds nothing."""
_KEYS_HELD: Final = 1_000
_SPOT_DECIMALS: Final = 2
"""What an index has; the vendor's own spot is a 4-byte float, 24052.400391 for 24052.40."""


def minute_legs(rows: Iterable[tuple[Any, ...]], problems: list[str]) -> Iterator[TableLeg]:
    """The legs of ``rows``, which have TEXTS and NUMBERS in their order. Rows that cannot be read
    are told in ``problems``."""
    keys: dict[tuple[object, ...], ChainKey] = {}
    for number, values in enumerate(rows, 1):
        try:
            stamp, symbol, expiry, kind = map(_text, values[: len(TEXTS)])
            strike, spot, last, volume, oi, change, iv = map(_number, values[len(TEXTS) :])
            texts = stamp, symbol, expiry
            key = keys.get(texts)
            if key is None:
                if len(keys) >= _KEYS_HELD:
                    keys.clear()
                key = keys[texts] = _key(*texts)
            side = option_kind(kind)
        except ValueError as error:
            problems.append(f"row {number}: {error}")
            continue
        solved = iv if iv is not None and iv > _IV_FLOOR else None
        told = make_leg(oi, change, volume, solved, last)
        yield TableLeg(number, key, strike, side, told, spot and round(spot, _SPOT_DECIMALS))


def stamp_ms(stamp: object) -> int | None:
    """The time of a row by its column ``timestamp``, UTC epoch ms; None where that is none."""
    try:
        return parse_compact_stamp(_text(stamp))
    except ValueError:
        return None


def _key(stamp: str, symbol: str, expiry: str) -> ChainKey:
    at = parse_compact_stamp(stamp)
    return ChainKey(at, product_named(symbol), parse_date(expiry).isoformat())


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{value!r} where a text belongs")
    return value


def _number(value: object) -> float | None:
    if value is None:
        return None
    if not isinstance(value, int | float) or not isfinite(value):
        raise ValueError(f"{value!r} where a number belongs")
    return float(value)
