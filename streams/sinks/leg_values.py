"""The legs of a chain as JSON, each written once for the chain's value and its own. Pure.

Most of the time that a chain costs goes into the text of its numbers. So the row of a leg is
encoded once, and its option's value is that text between what goes before and behind it: byte for
byte what encoding ``documents.option_documents`` gives.
"""

from __future__ import annotations

from collections.abc import Container, Iterator
from typing import NamedTuple

import msgspec

from optionstream.schemas.derived import ChainAnalytics
from optionstream.schemas.documents import Contract, leg_rows, option_contract, option_moment
from optionstream.schemas.events import OptionKind

_encode = msgspec.json.Encoder().encode


class EncodedLeg(NamedTuple):
    """One leg that is there; ``row`` is its row as JSON."""

    kind: OptionKind
    strike: float
    row: bytes


def encoded_legs(chain: ChainAnalytics, without: Container[Contract] = ()) -> list[EncodedLeg]:
    """As ``documents.leg_rows``."""
    rows = leg_rows(chain, without)
    return [EncodedLeg(kind, row["strike"], _encode(row)) for kind, row in rows]


def option_values(chain: ChainAnalytics, legs: list[EncodedLeg]) -> Iterator[tuple[str, bytes]]:
    """Symbol and value of each leg."""
    behind = _encode(option_moment(chain))[1:]
    for kind, strike, row in legs:
        contract = option_contract(chain, kind, strike)
        yield contract["symbol"], b",".join((_encode(contract)[:-1], row[1:-1], behind))
