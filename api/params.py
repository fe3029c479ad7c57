"""Parameters: instants, cursors, and the names that routes take."""

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
from optionstream.schemas.derived import INTERVAL_MS, Interval
from optionstream.schemas.times import to_ms

MOST_BARS = 5_000
_MOST_MS = 253_402_214_400_000

Product = Annotated[
    str,
    Path(
        pattern=r"^[A-Z0-9][A-Z0-9&_-]{0,31}$",
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
        "Without it the page holds the last ones before `end`.",
        openapi_examples={
            "RFC 3339": {"value": "2025-10-27T09:15:00+05:30"},
            "epoch ms": {"value": "1761536700000"},
        },
    ),
]
End = Annotated[
    str | None, Query(description="Last instant, exclusive; same forms as `start`. Open if absent.")
]
Limit = Annotated[int, Query(ge=1, le=MOST_BARS, description="Most rows of one page")]
CursorText = Annotated[
    str | None,
    Query(description="`next_cursor` of the page before; carries `start` and `end` with it"),
]

_PLUS_LOST = re.compile(r"(T\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?) (\d{2}:\d{2})$")


def instant_ms(name: str, text: str | None, where: str = "query") -> int | None:
    """Epoch ms of a parameter; raises the 422 that names it.

    A ``+`` that was not escaped in the URL arrives as a space and is understood.
    """
    if text is None:
        return None
    if re.fullmatch(r"-?\d{1,15}", text):
        moment = int(text)
    else:
        moment = _rfc3339_ms(name, _PLUS_LOST.sub(r"\1+\2", text), where)
    if not 0 <= moment <= _MOST_MS:
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
    """Raise the 422 that names a query parameter which the route does not take.

    Passed over, a misspelled ``expiry`` would be answered with the figures of another expiry.
    """
    route: APIRoute = request.scope["route"]
    taken = [field.alias for field in route.dependant.query_params]
    for name in request.query_params:
        if name not in taken:
            there = ", ".join(taken) or "none"
            raise problems.invalid(name, f"this route does not take it. It takes: {there}")


class Cursor(msgspec.Struct, frozen=True, array_like=True):
    """Where the next page begins, and of which request."""

    product: str
    interval: str
    start: int
    end: int | None


def write_cursor(cursor: Cursor) -> str:
    """An opaque text for URLs."""
    return base64.urlsafe_b64encode(msgspec.json.encode(cursor)).decode().rstrip("=")


def read_cursor(text: str, product: str, interval: str) -> Cursor:
    """The cursor of a request for the same bars; raises 422 ``invalid_cursor``."""
    try:
        padded = text + "=" * (-len(text) % 4)
        raw = base64.b64decode(padded.encode(), altchars=b"-_", validate=True)
        cursor = msgspec.json.decode(raw, type=Cursor)
    except (binascii.Error, msgspec.DecodeError, UnicodeError, ValueError):
        raise problems.invalid_cursor("it is not one that this interface gave out") from None
    if (cursor.product, cursor.interval) != (product, interval):
        raise problems.invalid_cursor(f"it is of {cursor.product} {cursor.interval}")
    last = _MOST_MS if cursor.end is None else cursor.end
    if not 0 <= cursor.start <= last <= _MOST_MS:
        raise problems.invalid_cursor("its range is impossible")
    return cursor


def interval_ms(interval: str) -> int:
    """Length of a window."""
    return INTERVAL_MS[interval]
