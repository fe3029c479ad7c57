"""The legs of a chain as JSON, each written once for the chain's value and its own. Pure.

Most of the time that a chain costs goes into the text of its numbers. So the row of a leg is
encoded once, and its option's value is that text between what goes before and behind it: byte for
byte what encoding ``documents.option_documents`` gives.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator
from functools import lru_cache
from typing import Any, NamedTuple

import msgspec

from optionstream.schemas.derived import ChainAnalytics
from optionstream.schemas.documents import (
    GREEK_FIELDS,
    ROW_FIELDS,
    Contract,
    build_legs,
    option_contract,
    option_moment,
)
from optionstream.schemas.events import OptionKind

_encoder = msgspec.json.Encoder()
_Row: Callable[..., Any] = msgspec.defstruct("_Row", [(name, Any) for name in ROW_FIELDS])
_Greeks = msgspec.defstruct("_Greeks", [(name, Any) for name in GREEK_FIELDS])
_CONTRACTS = 16_384
"""Kept as text: every live contract, some megabytes."""


class EncodedLeg(NamedTuple):
    """One leg that is there; ``row`` is its row as JSON."""

    kind: OptionKind
    strike: float
    row: bytes


def encoded_legs(chain: ChainAnalytics, without: Container[Contract] = ()) -> list[EncodedLeg]:
    """As ``documents.leg_rows``."""
    legs = list(build_legs(chain, without, _Row, _Greeks))
    rows = _encoder.encode_lines([row for _, row in legs]).split(b"\n")
    return [
        EncodedLeg(kind, row.strike, text)
        for (kind, row), text in zip(legs, rows, strict=False)  # nothing follows the last line
    ]


def option_values(chain: ChainAnalytics, legs: list[EncodedLeg]) -> Iterator[tuple[str, bytes]]:
    """Symbol and value of each leg."""
    behind = _encoder.encode(option_moment(chain))[1:]
    for kind, strike, row in legs:
        symbol, before = _contract(chain.product, chain.expiry, kind, strike)
        yield symbol, b",".join((before, row[1:-1], behind))


@lru_cache(_CONTRACTS)
def _contract(product: str, expiry: str, kind: OptionKind, strike: float) -> tuple[str, bytes]:
    """Symbol of a contract, and the beginning of its value."""
    contract = option_contract(product, expiry, kind, strike)
    return contract["symbol"], _encoder.encode(contract)[:-1]
