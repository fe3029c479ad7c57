"""Parameters of routes: their descriptions, instants, ranges and cursors."""

from __future__ import annotations

import base64
import binascii
import re
from datetime import date, datetime
from typing import Annotated

import msgspec
from fastapi import Path, Query, Request
from fastapi.routing import APIRoute

from optionstream.api import problems
from optionstream.schemas.derived import Interval
from optionstream.schemas.events import PRODUCT_PATTERN
from optionstream.schemas.times import LAST_MS, to_ms

MOST_BARS = 5_000

Product = Annotated[
    str,
    Path(
        pattern=PRODUCT_PATTERN,
        description="Product, in capitals",
        openapi_examples={"NIFTY": {"value": "NIFTY"}},
    ),
]
Expiry = Annotated[
    date | None,
    Query(
        description="Expiry date; without it the nearest that is not before the newest data",
        openapi_examples={"a Tuesday": {"value": "2025-10-28"}, "nearest": {"value": None}},
    ),
]
IntervalName = Annotated[Interval, Query(description="Length of the windows")]
Start = Annotated[
    str | None,
    Query(
        description="First instant, inclusive: RFC 3339 with an offset, or epoch milliseconds. "
        "Without it the page holds the last rows before `end`.",
        openapi_examples={
            "RFC 3339": {"value": "2025-10-27T09:15:00+05:30"},
            "epoch ms": {"value": "1761536700000"},
        },
    ),
]
End = Annotated[
    str | None,
    Query(description="Last instant, exclusive, in the forms of `start`. Without it: no limit."),
]
Limit = Annotated[int, Query(ge=1, le=MOST_BARS, description="Maximum number of rows in one page")]
CursorText = Annotated[
    str | None,
    Query(description="`next_cursor` of the previous page; replaces `start` and `end`"),
]

_PLUS_LOST = re.compile(r"(T\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?) (\d{2}:\d{2})$")


def instant_ms(name: str, text: str | None, where: str = "query") -> int | None:
    """Return the instant of a parameter in UTC epoch ms; None if it was not given.

    A ``+`` that was not escaped in the URL arrives as a space and is understood. Raises the 422
    that names the parameter, with ``where`` it stands.
    """
    if text is None:
        return None
    if re.fullmatch(r"-?\d{1,15}", text):
        moment = int(text)
    else:
        moment = _rfc3339_ms(name, _PLUS_LOST.sub(r"\1+\2", text), where)
    if not 0 <= moment <= LAST_MS:
        raise problems.invalid(name, "is before 1970 or after 9999", where)
    return moment


def _rfc3339_ms(name: str, text: str, where: str) -> int:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise problems.invalid(
            name, f"{text!r} is neither RFC 3339 (2025-10-27T09:15:00+05:30) nor epoch ms", where
        ) from None
    if moment.tzinfo is None:
        raise problems.invalid(name, f"{text!r} has no offset; write {text}+05:30 for IST", where)
    try:
        return to_ms(moment)
    except OverflowError:
        return -1


def only_known(request: Request) -> None:
    """Raise the 422 that names a query parameter unknown to the route.

    Ignored, a misspelled ``expiry`` would be answered with the figures of another expiry.
    """
    route: APIRoute = request.scope["route"]
    known = [field.alias for field in route.dependant.query_params]
    for name in request.query_params:
        if name not in known:
            listed = f"the parameters {', '.join(known)}" if known else "no query parameters"
            raise problems.invalid(name, f"unknown parameter; this route has {listed}")


def read_range(start: str | None, end: str | None) -> tuple[int | None, int | None]:
    """Return the range of a request, UTC epoch ms: ``start`` inclusive, ``end`` exclusive.

    None is an open end. Raises the 422 that names the parameter.
    """
    first, last = instant_ms("start", start), instant_ms("end", end)
    if first is not None and last is not None and first > last:
        raise problems.invalid("end", "is before `start`; give a later instant")
    return first, last


class Cursor(msgspec.Struct, frozen=True, array_like=True):
    """Position of the next page and the request it continues; times in UTC epoch ms."""

    product: str
    interval: str
    start: int
    end: int | None


def write_cursor(cursor: Cursor) -> str:
    """Return the cursor as an opaque text for URLs."""
    return base64.urlsafe_b64encode(msgspec.json.encode(cursor)).decode().rstrip("=")


def read_cursor(text: str, product: str, interval: str) -> Cursor:
    """Return the cursor in ``text``; raises 422 ``invalid_cursor`` if it is of another request."""
    try:
        padded = text + "=" * (-len(text) % 4)
        raw = base64.b64decode(padded.encode(), altchars=b"-_", validate=True)
        cursor = msgspec.json.decode(raw, type=Cursor)
    except (binascii.Error, msgspec.DecodeError, UnicodeError, ValueError):
        raise problems.invalid_cursor(
            "unknown cursor; use `next_cursor` of the previous page"
        ) from None
    if (cursor.product, cursor.interval) != (product, interval):
        raise problems.invalid_cursor(
            f"it belongs to {cursor.product} {cursor.interval}; use it with these"
        )
    last = LAST_MS if cursor.end is None else cursor.end
    if not 0 <= cursor.start <= last <= LAST_MS:
        raise problems.invalid_cursor(
            "its range is invalid; use `next_cursor` of the previous page"
        )
    return cursor
