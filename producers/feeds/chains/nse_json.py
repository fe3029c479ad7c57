"""The exchange's option-chain JSON as chain snapshots, one for each expiry. Pure.

Rules: open interest stays in lots and may be fractional; open interest, its change and volume of
0 are figures, a price or an implied volatility of 0 is none; a missing leg is None in every column;
receipt time is the exchange's time, because a body tells no other. The underlying price is the
body's own; legs of one expiry that told different ones, 0 left aside, make it mixed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from optionstream.producers.feeds.chains.legs import ChainBook, ChainKey, Leg, make_leg
from optionstream.producers.feeds.chains.nse_body import BodyLeg, BodyRecords, BodyRow, decode_body
from optionstream.producers.feeds.hints import FeedHints, needed_product, needed_time
from optionstream.producers.feeds.products import INDEX_PRODUCT
from optionstream.producers.feeds.stamps import parse_date, parse_stamp
from optionstream.schemas.errors import InputError
from optionstream.schemas.events import ChainSnapshot

SOURCE: Final = "nse"


def looks_like_nse(head: bytes) -> bool:
    """Whether JSON with ``records`` begins. They may begin later: the last word on JSON has
    ``chain_snapshots``, which says that there are none."""
    return is_json(head) and b'"records"' in head


def is_json(head: bytes) -> bool:
    """Whether an object or a list begins."""
    return head.lstrip().startswith((b"{", b"["))


def chain_snapshots(
    body: bytes, name: str, hints: FeedHints, problems: list[str]
) -> list[ChainSnapshot]:
    """The snapshots of one body, by expiry.

    ``name`` is what errors call the body; rows and expiries that cannot be used are told in
    ``problems``. Raises InputError: no option chain, wrong types, no strikes, no product, no time.
    """
    records = decode_body(body, name)
    if not records.data:
        raise InputError(name, "an option chain without any strikes")
    product = _product(records, name, hints)
    ts_event = _timestamp(records, name, hints)
    book = ChainBook(SOURCE, "lots", problems, lambda _: records.underlying_price or None)
    for number, row, expiry in _dated(records.data, hints, problems):
        key = ChainKey(ts_event, product, expiry)
        spots = [told.underlying_price for told in (row.call, row.put) if told is not None]
        book.add_row(number, key, row.strike, _leg(row.call), _leg(row.put), spots)
    return book.snapshots(body, name)


def _product(records: BodyRecords, name: str, hints: FeedHints) -> str:
    legs = (told for row in records.data for told in (row.call, row.put))
    named = {told.underlying for told in legs if told is not None and told.underlying}
    if len(named) > 1:
        raise InputError(name, f"legs of several underlyings: {', '.join(sorted(named))}")
    index = records.index_name
    product = next(iter(named), None) or INDEX_PRODUCT.get(index or "", index) or hints.product
    return needed_product(product, name)


def _timestamp(records: BodyRecords, name: str, hints: FeedHints) -> int:
    if not records.timestamp:
        return needed_time(hints.timestamp_ms, name)
    try:
        return parse_stamp(records.timestamp)
    except ValueError as error:
        raise InputError(name, f"records.timestamp: {error}") from None


def _dated(
    rows: Iterable[BodyRow], hints: FeedHints, problems: list[str]
) -> Iterator[tuple[int, BodyRow, str]]:
    dates: dict[str, str] = {}
    for number, row in enumerate(rows, 1):
        text = row.expiry or hints.expiry
        if text is None:
            problems.append(f"row {number}: no expiry; add --expiry-date YYYY-MM-DD")
            continue
        try:
            expiry = dates.get(text) or dates.setdefault(text, parse_date(text).isoformat())
        except ValueError as error:
            problems.append(f"row {number}: expiry: {error}")
            continue
        yield number, row, expiry


def _leg(told: BodyLeg | None) -> Leg | None:
    if told is None:
        return None
    return make_leg(told.oi, told.oi_change, told.volume, told.iv, told.last, told.bid, told.ask)
