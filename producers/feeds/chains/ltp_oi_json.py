"""Last price and open interest of one expiry as a JSON list, a row a leg and five minutes. Pure.

``{"date": "2022-03-28T03:40:01.000Z", "Inst": "B", "strike": "33500CE", "lastprice": …, "oi": …}``:
times are UTC as written, ``B`` is BANKNIFTY. The file has no expiry.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Final

import msgspec
from msgspec import Struct

from optionstream.producers.feeds.chains.legs import ChainBook, ChainKey, make_leg, option_kind
from optionstream.producers.feeds.files.json_body import decode_json
from optionstream.producers.feeds.format import FeedInput
from optionstream.producers.feeds.hints import FeedHints
from optionstream.producers.feeds.times import not_before_1970
from optionstream.schemas.events import ChainSnapshot, OptionKind

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
    """True if the head starts a list whose rows have ``Inst`` and ``lastprice``."""
    return head.lstrip().startswith(b"[") and b'"Inst"' in head and b'"lastprice"' in head


def ltp_oi_chains(file: FeedInput) -> list[ChainSnapshot]:
    """Return a snapshot for each time; open interest is in shares. Raises InputError."""
    body = file.source.body()
    raws = decode_json(body, list[msgspec.Raw], file)
    decode = msgspec.json.Decoder(_Row).decode

    def parse(raw: msgspec.Raw) -> tuple[str, float, OptionKind, int, _Row]:
        row = decode(raw)
        return _product(row, file.hints), *_contract(row.contract), _instant_ms(row.date), row

    book = ChainBook(SOURCE, "shares", file)
    for number, (product, strike, kind, at, row) in file.parse_rows(enumerate(raws, 1), parse):
        expiry = file.need_expiry(file.hints.expiry_on(product, at))
        leg = make_leg(oi=row.oi, last=row.last)
        book.add_leg(number, ChainKey(at, product, expiry), strike, kind, leg)
    return book.snapshots(body)


def _product(row: _Row, hints: FeedHints) -> str:
    product = _PRODUCT.get(row.instrument, hints.product)
    if product is None:
        raise ValueError(f"instrument {row.instrument!r} is unknown; pass --product")
    return product


def _contract(text: str) -> tuple[float, OptionKind]:
    found = _CONTRACT.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is not a strike followed by CE or PE")
    return float(found[1]), option_kind(found[2])


def _instant_ms(at: datetime) -> int:
    if at.tzinfo is None:
        raise ValueError(f"{at} has no time zone")
    return not_before_1970(at, str(at))
