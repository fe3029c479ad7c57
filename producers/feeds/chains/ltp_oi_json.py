"""Last price and open interest of one expiry as a JSON list, a row a leg and five minutes. Pure.

``{"date": "2022-03-28T03:40:01.000Z", "Inst": "B", "strike": "33500CE", "lastprice": …, "oi": …}``:
times are UTC as they say, ``B`` is BANKNIFTY. The expiry is told nowhere.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Final

import msgspec
from msgspec import Struct

from optionstream.producers.feeds.chains.legs import ChainBook, ChainKey, make_leg, option_kind
from optionstream.producers.feeds.files.json_body import decoded
from optionstream.producers.feeds.hints import FeedHints, needed_expiry
from optionstream.schemas.events import ChainSnapshot
from optionstream.schemas.times import to_ms

SOURCE: Final = "ltp-oi"

_PRODUCT: Final = {"B": "BANKNIFTY"}
_CONTRACT: Final = re.compile(r"(\d+(?:\.\d+)?)(CE|PE)", re.ASCII)


class _Row(Struct, frozen=True, gc=False):
    date: datetime
    instrument: str = msgspec.field(name="Inst")
    contract: str = msgspec.field(name="strike")
    last: float | None = msgspec.field(name="lastprice", default=None)
    oi: float | None = None


def looks_like_ltp_oi(head: bytes) -> bool:
    """Whether a list begins whose rows have ``Inst`` and ``lastprice``."""
    return head.lstrip().startswith(b"[") and b'"Inst"' in head and b'"lastprice"' in head


def ltp_oi_chains(
    body: bytes, name: str, hints: FeedHints, problems: list[str]
) -> list[ChainSnapshot]:
    """A snapshot for each time; open interest is in shares. Raises InputError naming ``name``."""
    raws = decoded(body, list[msgspec.Raw], name)
    decode = msgspec.json.Decoder(_Row).decode
    book = ChainBook(SOURCE, "shares", problems)
    for number, raw in enumerate(raws, 1):
        try:
            row = decode(raw)
            product = _product(row, hints)
            strike, kind = _strike_and_kind(row.contract)
            at = _instant_ms(row.date)
        except (msgspec.DecodeError, ValueError) as error:
            problems.append(f"row {number}: {error}")
            continue
        expiry = needed_expiry(hints.expiry_on(product, at), name)
        told = make_leg(oi=row.oi, last=row.last)
        book.add_leg(number, ChainKey(at, product, expiry), strike, option_kind(kind), told)
    return book.snapshots(body, name)


def _product(row: _Row, hints: FeedHints) -> str:
    product = _PRODUCT.get(row.instrument, hints.product)
    if product is None:
        raise ValueError(f"instrument {row.instrument!r} is unknown: add --product")
    return product


def _strike_and_kind(contract: str) -> tuple[float, str]:
    found = _CONTRACT.fullmatch(contract)
    if found is None:
        raise ValueError(f"{contract!r} is not a strike followed by CE or PE")
    return float(found[1]), found[2]


def _instant_ms(at: datetime) -> int:
    if at.tzinfo is None:
        raise ValueError(f"{at} has no time zone")
    ms = to_ms(at)
    if ms < 0:
        raise ValueError(f"{at} lies before 1970")
    return ms
