"""The exchange's option-chain JSON as chain snapshots, one for each expiry. Pure.

Rules: open interest stays in lots and may be fractional; open interest, its change and volume of
0 are figures, a price or an implied volatility of 0 is none; a missing leg is None in every column;
receipt time is the exchange's time, because a body tells no other.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b
from typing import Final

from msgspec.structs import replace

from optionstream.producers.feeds.checked import check_event
from optionstream.producers.feeds.hints import FeedHints
from optionstream.producers.feeds.nse_body import BodyLeg, BodyRecords, BodyRow, decode_body
from optionstream.producers.feeds.stamps import parse_date, parse_stamp
from optionstream.schemas.codec import is_product
from optionstream.schemas.errors import InputError, RecordError
from optionstream.schemas.events import ChainSnapshot, Legs

SOURCE: Final = "nse"

INDEX_PRODUCT: Final = {
    "NIFTY 50": "NIFTY",
    "NIFTY BANK": "BANKNIFTY",
    "NIFTY FIN SERVICE": "FINNIFTY",
    "NIFTY MID SELECT": "MIDCPNIFTY",
    "NIFTY NEXT 50": "NIFTYNXT50",
}
"""Product by the exchange's name of the index (``records.index``)."""

_NO_LEG: Final = BodyLeg()


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
    chains: list[ChainSnapshot] = []
    for expiry, rows in sorted(_by_expiry(records.data, hints, problems).items()):
        chain = _snapshot(product, expiry, ts_event, records.underlying_price, rows)
        try:
            chains.append(check_event(chain))
        except RecordError as error:
            problems.append(f"expiry {expiry}: {error}")
    if not chains:
        raise InputError(name, f"no expiry can be used; {problems[0]}")
    capture = capture_id(body)
    return [replace(c, capture_id=capture, expiries_in_capture=len(chains)) for c in chains]


def capture_id(body: bytes) -> str:
    """Names a body by its content: 16 hex digits of BLAKE2b."""
    return blake2b(body, digest_size=8).hexdigest()


def _product(records: BodyRecords, name: str, hints: FeedHints) -> str:
    legs = (leg for row in records.data for leg in (row.call, row.put))
    named = {leg.underlying for leg in legs if leg is not None and leg.underlying}
    if len(named) > 1:
        raise InputError(name, f"legs of several underlyings: {', '.join(sorted(named))}")
    index = records.index_name
    product = next(iter(named), None) or INDEX_PRODUCT.get(index or "", index) or hints.product
    if product is None:
        raise InputError(name, "it does not say its product: add --product NIFTY")
    if not is_product(product):
        raise InputError(name, f"{product!r} is no product name: upper-case letters and digits")
    return product


def _timestamp(records: BodyRecords, name: str, hints: FeedHints) -> int:
    if not records.timestamp:
        if hints.timestamp_ms is None:
            raise InputError(name, "it does not say its time: add --timestamp")
        return hints.timestamp_ms
    try:
        return parse_stamp(records.timestamp)
    except ValueError as error:
        raise InputError(name, f"records.timestamp: {error}") from None


Strikes = dict[float, BodyRow]


def _by_expiry(
    rows: Iterable[BodyRow], hints: FeedHints, problems: list[str]
) -> dict[str, Strikes]:
    expiries: dict[str, Strikes] = {}
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
        strikes = expiries.setdefault(expiry, {})
        if strikes.setdefault(row.strike, row) is not row:
            problems.append(
                f"row {number}: strike {row.strike:g} of {expiry} again; the first one counts"
            )
    return expiries


def _snapshot(
    product: str, expiry: str, ts_event: int, underlying: float | None, rows: Strikes
) -> ChainSnapshot:
    strikes = sorted(rows)
    return ChainSnapshot(
        product=product,
        expiry=expiry,
        source=SOURCE,
        ts_event=ts_event,
        ts_recv=ts_event,
        oi_unit="lots",
        strikes=strikes,
        calls=_legs([rows[strike].call or _NO_LEG for strike in strikes]),
        puts=_legs([rows[strike].put or _NO_LEG for strike in strikes]),
        underlying_price=underlying or None,
    )


def _legs(legs: list[BodyLeg]) -> Legs:
    return Legs(
        oi=[leg.oi for leg in legs],
        oi_change=[leg.oi_change for leg in legs],
        volume=[leg.volume for leg in legs],
        iv=[leg.iv or None for leg in legs],
        last=[leg.last or None for leg in legs],
        bid=[leg.bid or None for leg in legs],
        ask=[leg.ask or None for leg in legs],
    )
