"""Kite's ticks as JSON: what its ticker gives a program, and what its REST API serves. Pure."""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec
from msgspec import Raw

from optionstream.producers.feeds.kite.tick import KiteTick
from optionstream.schemas.errors import InputError

_HEAD: Final = re.compile(rb'[\[{].*"instrument_token"\s*:', re.DOTALL)

NamedTick = tuple[str | None, KiteTick]
"""A tick and the symbol it came under (``NSE:INFY``), None for the ticker's."""


def looks_like_kite_json(head: bytes) -> bool:
    """Whether it is an object or a list in which something has an ``instrument_token``."""
    return _HEAD.match(head.lstrip()) is not None


def read_kite_json(body: bytes, name: str) -> list[NamedTick]:
    """The ticks of one tick, of a list of them, or of a REST body with quotes, OHLC or last prices
    by symbol. Raises InputError naming ``name``: truncated JSON, another shape."""
    try:
        return _decode(body)
    except msgspec.ValidationError as error:
        raise InputError(name, f"Kite JSON of a wrong shape: {error}") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InputError(name, f"truncated or damaged JSON: {error}") from None
    except RecursionError:
        raise InputError(name, "JSON nested too deeply") from None


def _decode(body: bytes) -> list[NamedTick]:
    if body.lstrip().startswith(b"["):
        return [(None, tick) for tick in msgspec.json.decode(body, type=list[KiteTick])]
    parts = msgspec.json.decode(body, type=dict[str, Raw])
    if "data" not in parts:
        return [(None, msgspec.json.decode(body, type=KiteTick))]
    by_symbol: Any = dict[str, KiteTick]
    return list(msgspec.json.decode(parts["data"], type=by_symbol).items())
