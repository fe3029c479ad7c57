"""Candles as brokers' historical APIs serve them: ``{"data": {"candles": [[start, open, …]]}}``.

Kite and Upstox share the form: start, open, high, low, close, volume, perhaps open interest (which
a candle has no place for). Kite sends the oldest first, Upstox the newest. Pure.
"""

from __future__ import annotations

import re
from typing import Final

import msgspec
from msgspec import Struct

from optionstream.producers.feeds.files.csv_table import as_whole
from optionstream.producers.feeds.ticks.candle_rows import CandleRow
from optionstream.producers.feeds.times import at_least_one, instant_ms
from optionstream.schemas.errors import InputError
from optionstream.schemas.times import ist_date

_HEAD: Final = re.compile(rb'\{.*"candles"\s*:\s*\[', re.DOTALL)
_LEAST_CELLS: Final = 5
_VOLUME_AT: Final = 5

Cell = str | int | float | None


class _Data(Struct, frozen=True):
    candles: list[list[Cell]]


class _Body(Struct, frozen=True):
    data: _Data


def looks_like_candle_json(head: bytes) -> bool:
    """Whether it is an object with a list ``candles``."""
    return _HEAD.match(head.lstrip()) is not None


def read_candle_json(body: bytes, name: str, problems: list[str]) -> list[CandleRow]:
    """Every readable candle in the order of the body; the others are told in ``problems``. Raises
    InputError naming ``name``: truncated JSON, another shape, no candle
    left."""
    rows: list[CandleRow] = []
    for number, cells in enumerate(_decode(body, name).data.candles, 1):
        try:
            rows.append(_row(cells))
        except ValueError as error:
            problems.append(f"candle {number}: {error}")
    return at_least_one(rows, name, problems)


def _decode(body: bytes, name: str) -> _Body:
    try:
        return msgspec.json.decode(body, type=_Body)
    except msgspec.ValidationError as error:
        raise InputError(name, f"candle JSON of a wrong shape: {error}") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InputError(name, f"truncated or damaged JSON: {error}") from None
    except RecursionError:
        raise InputError(name, "JSON nested too deeply") from None


def _row(cells: list[Cell]) -> CandleRow:
    if len(cells) < _LEAST_CELLS:
        raise ValueError(f"{len(cells)} values; start, open, high, low and close are the least")
    start_ms = instant_ms(str(cells[0]))
    open_, high, low, close = (_price(cell) for cell in cells[1:_LEAST_CELLS])
    volume = _volume(cells[_VOLUME_AT]) if len(cells) > _VOLUME_AT else None
    return CandleRow(ist_date(start_ms), start_ms, open_, high, low, close, volume)


def _price(cell: Cell) -> float:
    if isinstance(cell, int | float):
        return float(cell)
    raise ValueError(f"{cell!r} is no price")


def _volume(cell: Cell) -> int | None:
    if cell is None:
        return None
    if isinstance(cell, int | float):
        return as_whole(cell)
    raise ValueError(f"{cell!r} is no volume")
